"""Ranks of many tokens at a time: each is what it would be alone, and no query is left to float64 for their number."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headscope.neighbors import Backend, Nearest, Place, Table, backend_in_use, search
from headscope.neighbors.asked import Asked, distinct
from headscope.neighbors.batch import batches
from headscope.neighbors.scan.backends import choose
from headscope.question.choices import METRICS
from tests.neighbors.agreement import assert_agrees
from tests.neighbors.brute import random_case

BACKENDS: tuple[Backend, ...] = ("torch", "numba") if backend_in_use() == "numba" else ("torch",)
Case = tuple[Table, list[Place], torch.Tensor, torch.Tensor, torch.Tensor]


def _odd_case(seed: int, tokens: int = 1300) -> Case:
    """Grouped queries; rows that tie, nearly tie, are zero, very long, or not finite."""
    table, places, queries, own, place_of = random_case(seed, tokens=tokens, count=6)
    rows = table.rows.clone()
    rows[:, 20:60] = rows[:, 19:20]
    rows[:, 60:90] = rows[:, 19:20] * (1 + 1e-7 * torch.arange(30)[:, None])
    rows[:, 100] = 0.0
    rows[:, 110] *= 1e12
    rows[:, 111] *= 1e30
    rows[:, 120] = torch.nan
    queries[0] *= 1e-3
    queries[1] = 0.0
    return Table.pack(rows, table.bias), places, queries, own, place_of


@pytest.mark.slow(cases=3)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("count", [12, 40, 300])
def test_many_ranks_are_those_of_float64(backend: Backend, count: int) -> None:
    table, places, queries, own, place_of = _odd_case(count)
    draw = torch.Generator().manual_seed(0)
    others = torch.cat(
        [torch.randint(-1, 1300, (6, count), generator=draw), torch.tensor([[120, -1, 25, 100, 111]] * 6)], 1
    )
    others[2, 5:] = -1  # padded
    others[3] = others[3, 0]  # repeated
    found = search(table, places, queries, own, place_of=place_of, metrics=METRICS, others=others, backend=backend)
    for metric in METRICS:
        assert_agrees(found[metric], metric, table, places, queries, own, place_of, others=others)


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_set_of_targets_has_the_ranks_that_each_has_alone(backend: Backend, data: st.DataObject) -> None:
    table, places, queries, own, place_of = _CASE
    token = st.sampled_from([-1, *_TARGETS])
    few = data.draw(st.lists(token, min_size=1, max_size=60))
    others = torch.tensor([few, few[::-1], [*few[1:], -1], few, few, few])
    found = search(table, places, queries, own, place_of=place_of, metrics=METRICS, others=others, backend=backend)
    for metric in METRICS:
        ranks = found[metric].other_ranks
        assert ranks is not None
        alone = _all_ranks(backend)[metric]
        for query in range(6):
            known = (others[query] >= 0) & table.finite[others[query]]
            assert torch.equal(ranks[query], torch.where(known, alone[query][:, others[query]], 0))
        assert torch.equal(found[metric].ids, _plain(backend)[metric].ids)
        assert torch.equal(found[metric].own_rank, _plain(backend)[metric].own_rank)
        assert torch.equal(found[metric].own_distance, _plain(backend)[metric].own_distance)


_CASE = _odd_case(7)
_TARGETS = sorted({*range(0, 1300, 7), 19, 20, 59, 61, 89, 100, 110, 111, 120, 1299})
_kept: dict[str, dict[str, Nearest]] = {}
_ranks: dict[str, dict[str, torch.Tensor]] = {}


def _plain(backend: Backend) -> dict[str, Nearest]:
    if backend not in _kept:
        table, places, queries, own, place_of = _CASE
        found = search(table, places, queries, own, place_of=place_of, metrics=METRICS, backend=backend)
        _kept[backend] = {str(metric): one for metric, one in found.items()}
    return _kept[backend]


def _all_ranks(backend: Backend) -> dict[str, torch.Tensor]:
    """Ranks of the targets, int64 [query, q_head, token], each asked for alone as the own token of a query; else 0."""
    if backend not in _ranks:
        table, places, queries, _, place_of = _CASE
        tokens = torch.tensor(_TARGETS)
        count = len(tokens)
        parts = [
            search(
                table, places, queries[[query]].expand(count, -1, -1), tokens,
                place_of=place_of[[query]].expand(count), k=1, metrics=METRICS, backend=backend,
            )
            for query in range(6)
        ]  # fmt: skip
        whole = {
            metric: torch.zeros(6, parts[0][metric].own_rank.shape[1], 1300, dtype=torch.int64) for metric in METRICS
        }
        for metric, ranks in whole.items():
            ranks[:, :, tokens] = torch.stack([part[metric].own_rank.T for part in parts])
        _ranks[backend] = whole
    return _ranks[backend]


@pytest.mark.parametrize("backend", BACKENDS)
def test_targets_whose_scores_are_all_equal_share_a_rank(backend: Backend) -> None:
    table, _, queries, own, _ = random_case(3, tokens=900, places=1, count=2)
    rows = table.rows.clone()
    rows[:, 200:260] = rows[:, 200:201]
    table = Table.pack(rows, table.bias)
    others = torch.arange(200, 260).expand(2, -1)
    found = search(table, [Place.none], queries, own, metrics=METRICS, others=others, backend=backend)
    for metric in METRICS:
        ranks = found[metric].other_ranks
        assert ranks is not None
        assert (ranks == ranks[..., :1]).all()
        assert_agrees(found[metric], metric, table, [Place.none], queries, own, own * 0, others=others)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_nearest_and_the_farthest_tokens_are_ranked_from_first_to_last(backend: Backend) -> None:
    table, _, queries, own, _ = random_case(4, heads=1, group=1, tokens=2000, places=1, count=1)
    order = search(table, [Place.none], queries, own, k=2000, backend=backend)["cosine"].ids[0, 0]
    for some in (order[:30], order[-30:], torch.cat([order[:20], order[-20:]]), order[::2]):
        found = search(table, [Place.none], queries, own, others=some[None], backend=backend)["cosine"].other_ranks
        assert found is not None
        assert found[0, 0].tolist() == [1 + order.tolist().index(token) for token in some.tolist()]


@pytest.mark.parametrize("backend", BACKENDS)
def test_more_tokens_than_a_bucket_can_count_at_once(backend: Backend) -> None:
    # Nearly all scores are alike: one bucket gets them all, tile after tile.
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(1, 70_000, 4, generator=draw) * 1e-3 + torch.tensor([1.0, 0, 0, 0])
    rows[:, :40] = torch.randn(40, 4, generator=draw)
    table, queries, own = Table.pack(rows, torch.zeros(1, 4)), torch.randn(1, 1, 4, generator=draw), torch.tensor([0])
    others = torch.arange(40)[None]
    found = search(table, [Place.none], queries, own, others=others, backend=backend)["cosine"]
    assert_agrees(found, "cosine", table, [Place.none], queries, own, own, others=others)


@pytest.mark.parametrize("backend", BACKENDS)
def test_many_targets_leave_nothing_to_float64_but_near_ties(backend: Backend) -> None:
    table, places, queries, own, place_of = random_case(5, tokens=4000, d_head=64, count=30)
    others = torch.randint(4000, (30, 200), generator=torch.Generator().manual_seed(0))
    targets, _ = distinct(torch.cat([own[:, None], others], 1))
    engine = choose(backend, table, 0)
    batch = next(batches(table, places, queries, targets, place_of, 30))
    for metric in METRICS:
        asked = Asked.of(batch, metric, engine.distances(batch, metric, *batch.target_pairs))
        found = engine.scan(batch, [metric], 15, table.finite, {metric: asked.marks})[metric]
        assert not found.crowded.any()
        # Every target is as near as itself; others as near are rare.
        assert len(batch.target_pairs[0]) <= len(found.doubtful[0]) < 3 * len(batch.target_pairs[0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_wide_rows_that_are_all_alike_leave_near_ties_and_no_query_to_float64(backend: Backend) -> None:
    # What float32 leaves open grows with the width: here about a hundred tokens with every target.
    draw = torch.Generator().manual_seed(0)
    common = torch.randn(768, generator=draw)
    rows = common + 0.4 * torch.randn(1, 20_000, 768, generator=draw)
    queries, own = (common + torch.randn(30, 1, 768, generator=draw)), torch.randint(20_000, (30,), generator=draw)
    table = Table.pack(rows, torch.zeros(1, 768))
    targets, _ = distinct(torch.cat([own[:, None], torch.randint(20_000, (30, 9), generator=draw)], 1))
    engine = choose(backend, table, 0)
    batch = next(batches(table, [Place.none], queries, targets, torch.zeros(30, dtype=torch.int64), 30))
    asked = Asked.of(batch, "cosine", engine.distances(batch, "cosine", *batch.target_pairs))
    found = engine.scan(batch, ["cosine"], 1, table.finite, {"cosine": asked.marks})["cosine"]
    assert not found.crowded.any()
    assert len(found.doubtful[0]) > 32 * len(batch.target_pairs[0])
