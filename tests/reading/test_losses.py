"""What an output loses: the plain formulas."""

from __future__ import annotations

import pytest
import torch

from headscope.reading import losses


@pytest.mark.parametrize("at_a_time", [1, 2**22])
def test_kl_is_that_of_the_distributions(at_a_time, monkeypatch):
    monkeypatch.setattr(losses, "_LOGITS", at_a_time)
    before, after = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    p, q = (torch.distributions.Categorical(logits=logits.double()) for logits in (before, after))
    torch.testing.assert_close(losses.kl(before, after), torch.distributions.kl_divergence(p, q))
    torch.testing.assert_close(losses.kl(before[0], after), losses.kl(before[:1].repeat(5, 1), after))


def test_how_far_an_output_is_moved_is_in_units_of_its_length():
    before = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    found = losses.moved(before, torch.tensor([[3.0, 9.0], [0.0, 0.0]]))
    assert found.tolist() == [1.0, 0.0]
