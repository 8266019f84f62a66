"""Held-out recovery on vectors that were made for it: what is linear is found, what is not there is not."""

from __future__ import annotations

import pytest
import torch

from headscope.errors import InputError
from headscope.studies.probes import held_out

VOCABULARY, WIDTH, GROUPS, EACH = 120, 12, 40, 25


def corpus(seed: int = 0):
    """Ids and text groups of samples, and embeddings with a large common part, as real ones have."""
    draw = torch.Generator().manual_seed(seed)
    ids = torch.randint(VOCABULARY, (GROUPS * EACH,), generator=draw)
    embeddings = torch.randn(VOCABULARY, WIDTH, generator=draw) + 5
    return ids, torch.arange(GROUPS).repeat_interleave(EACH), embeddings, draw


def test_an_invertible_image_is_recovered_and_noise_is_at_the_control():
    ids, groups, embeddings, draw = corpus()
    image = embeddings[ids] @ torch.randn(WIDTH, WIDTH, generator=draw) + 3
    noise = torch.randn(len(ids), 9, WIDTH, generator=draw)
    scores = held_out(torch.cat([image[:, None], noise], 1), ids, groups, embeddings)
    assert scores.top1.value[0] == 1
    assert scores.r2.value[0] > 0.99
    assert scores.top1.above[0]
    assert scores.top1.above[1:].sum() <= 1
    assert (scores.top1.value[1:] < 0.12).all()  # of 30 candidates
    assert (scores.r2.value[1:].abs() < 0.05).all()
    assert (scores.top1.control < 0.12).all()


def test_what_only_known_types_would_give_is_not_recovered():
    """A code that says which type it is, and nothing of its embedding, is of no use for types that were never seen."""
    ids, groups, embeddings, draw = corpus()
    code = torch.randn(VOCABULARY, WIDTH, generator=draw)
    scores = held_out(code[ids][:, None], ids, groups, embeddings)
    assert not scores.top1.above[0]
    assert scores.top1.value[0] < 0.15


def test_intervals_enclose_the_value_and_the_same_seed_repeats_it():
    ids, groups, embeddings, draw = corpus()
    x = (embeddings[ids] + 2 * torch.randn(len(ids), WIDTH, generator=draw))[:, None]
    one, again = (held_out(x, ids, groups, embeddings, seed=3) for _ in range(2))
    for name in ("top1", "top10", "r2"):
        figure = getattr(one, name)
        assert figure.low[0] <= figure.value[0] <= figure.high[0]
        assert figure.difference_low[0] <= figure.difference[0] <= figure.difference_high[0]
        assert torch.equal(figure.difference, figure.value - figure.control)
        assert all(torch.equal(a, b) for a, b in zip(figure.__dict__.values(), getattr(again, name).__dict__.values(),
                                                       strict=True))  # fmt: skip


def test_a_scale_or_a_constant_of_the_vectors_changes_nothing():
    ids, groups, embeddings, draw = corpus()
    x = (embeddings[ids] + torch.randn(len(ids), WIDTH, generator=draw))[:, None].double()
    one, other = held_out(x, ids, groups, embeddings), held_out(1000 * x - 7, ids, groups, embeddings)
    assert torch.equal(one.top1.value, other.top1.value)
    assert torch.allclose(one.r2.value, other.r2.value, atol=1e-9)


def test_too_few_texts_are_refused():
    ids, _, embeddings, _ = corpus()
    with pytest.raises(InputError, match="4 folds need 4 texts"):
        held_out(torch.zeros(len(ids), 1, 3), ids, torch.zeros(len(ids), dtype=torch.int64), embeddings)


@pytest.mark.parametrize("constant", [0, 0.1, -7])
def test_a_head_that_always_writes_the_same_recovers_nothing(constant):
    ids, groups, embeddings, draw = corpus()
    x = torch.cat([torch.full((len(ids), 1, WIDTH), constant), torch.randn(len(ids), 1, WIDTH, generator=draw)], 1)
    scores = held_out(x, ids, groups, embeddings)
    for figure in (scores.top1, scores.top10):
        assert figure.value[0] == figure.control[0] == 0  # the middle of about 30 candidates
        assert not figure.above[0]
