"""What is left open is narrowed to what a row's own rounding decides, and nothing that is open is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from headscope.neighbors import Place
from headscope.neighbors.asked import Asked
from headscope.neighbors.batch import Batch, batches, pair_distances
from headscope.neighbors.narrowed import narrowed
from headscope.neighbors.settle import Findings, settle
from headscope.question.choices import METRICS, Metric
from tests.neighbors.test_shared import both

TOKENS, COPIES, K = 120, 40, 8


def _batch(seed: int) -> Batch:
    """Queries at two places, read by two heads each; a third of the tokens differ in their vectors' last bits."""
    draw = torch.Generator().manual_seed(seed)
    vectors = torch.randn(TOKENS, 48, generator=draw)
    vectors[:COPIES] = vectors[0] * (1 + 2.0**-23 * torch.randint(-3, 4, (COPIES, 48), generator=draw))
    matrix, bias = torch.randn(1, 2, 48, 16, generator=draw), torch.randn(1, 2, 16, generator=draw)
    _, shared = both(vectors, matrix, bias)
    places = [
        Place(0.5 + torch.rand(TOKENS, generator=draw), 3 * torch.randn(2, 16, generator=draw)),
        Place(bias=torch.randn(2, 16, generator=draw)),
    ]
    queries = torch.randn(6, 4, 16, generator=draw)
    queries[:4] += 3 * shared.some(slice(0, 1)).mT.squeeze(2).repeat_interleave(2, 0)  # the copies are the nearest
    targets = torch.stack([torch.randperm(TOKENS, generator=draw)[:5] for _ in queries])
    targets[0, 3:] = -1
    return next(batches(shared, places, queries, targets.sort(1).values, torch.arange(6) % 2, len(queries)))


def _all_open(batch: Batch, asked: Asked) -> Findings:
    """What a scan finds that is certain of nothing."""
    row, token = (x.flatten() for x in torch.meshgrid(torch.arange(batch.rows), torch.arange(TOKENS), indexing="ij"))
    last = (asked.tokens >= 0).sum(1)[row]
    nothing = torch.zeros_like(asked.order), torch.zeros(batch.rows, dtype=torch.bool)
    return Findings(nothing[0], (row, torch.zeros_like(row), last, token), (row, token), nothing[1])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_narrowed_is_settled_as_all_would_be(metric: Metric, seed: int) -> None:
    batch = _batch(seed)
    asked = Asked.of(batch, metric, pair_distances(batch, metric, *batch.target_pairs))
    everything = _all_open(batch, asked)
    few = narrowed(batch, metric, K, asked, everything)
    whole, found = (
        settle(batch, metric, K, batch.source.finite, asked, some, pair_distances) for some in (everything, few)
    )
    assert torch.equal(found.ids, whole.ids)
    assert torch.equal(found.nearer, whole.nearer)
    assert torch.equal(found.distances, whole.distances)
    # Of tokens that are not all but the same, hardly one is left.
    row, _, _, token = few.doubtful
    assert ((token >= COPIES) & ~(token[:, None] == asked.tokens[row]).any(1)).sum() <= 2
    others = few.contenders[1] >= COPIES
    assert others.sum() <= K * batch.rows
    assert (~others).any()


def test_where_nothing_is_certain_all_stays_open() -> None:
    batch = _batch(0)
    broken = replace(batch, queries=batch.queries * torch.inf)
    asked = Asked.of(batch, "dot", pair_distances(batch, "dot", *batch.target_pairs))
    everything = _all_open(batch, asked)
    kept = narrowed(broken, "dot", K, asked, everything)
    for one, other in zip(
        (*kept.doubtful, *kept.contenders), (*everything.doubtful, *everything.contenders), strict=True
    ):
        assert torch.equal(one, other)
    assert not kept.nearer.any()
