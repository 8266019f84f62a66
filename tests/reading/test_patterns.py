"""The figures of a pattern, against what they say."""

from __future__ import annotations

import torch

from headscope.reading.patterns import pattern_figures


def test_the_first_position_has_no_previous_one():
    _, _, previous, _ = pattern_figures(torch.ones(2, 3, 3) / 3, torch.tensor([False, True, False]))
    assert previous[:, 0].isnan().all()
    assert torch.equal(previous[:, 1:], torch.full((2, 2), 1 / 3))


def test_attention_on_one_token_has_no_entropy_and_even_attention_the_most():
    entropy, own, _, special = pattern_figures(torch.stack([torch.eye(4), torch.ones(4, 4) / 4]), torch.arange(4) < 1)
    assert torch.equal(entropy[0], torch.zeros(4))
    torch.testing.assert_close(entropy[1], torch.full((4,), 4.0).log())
    assert torch.equal(own, torch.tensor([[1.0] * 4, [0.25] * 4]))
    assert torch.equal(special[0], torch.tensor([1.0, 0, 0, 0]))
