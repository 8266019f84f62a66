"""Hub-aware scores and hubness, against the definitions written out over the bank."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headscope.neighbors import Moments, Place, Table, hub_aware, hubness, hubs, search
from headscope.question.choices import METRICS, Metric
from tests.neighbors.brute import encode, random_case


def similarity(metric: Metric, z: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """s of vectors [vector, d_head] and rows [token, d_head], by the textbook formula: [vector, token]."""
    if metric == "euclidean":
        return -((z[:, None] - rows[None]) ** 2).sum(-1)
    dot = z @ rows.T
    if metric == "dot":
        return dot
    lengths = np.linalg.norm(z, axis=1)[:, None] * np.linalg.norm(rows, axis=1)[None]
    return np.divide(dot, lengths, out=np.zeros_like(dot), where=lengths > 0)


def direct(metric: Metric, bank: torch.Tensor, table: Table, place: Place, vector: torch.Tensor) -> np.ndarray:
    """(s − mean over the bank) / deviation over the bank, float64 [head, token]; 0 where nothing deviates."""
    heads, found = bank.shape[1], []
    for head in range(heads):
        rows = encode(table, place, head * len(table.rows) // heads)
        over = similarity(metric, bank[:, head].double().numpy(), rows)
        own = similarity(metric, vector[head : head + 1].double().numpy(), rows)[0]
        deviation = over.std(0)
        silent = deviation <= 1e-12 * (1 + np.abs(over).max())
        found.append(np.where(silent, 0.0, (own - over.mean(0)) / np.where(silent, 1.0, deviation)))
    return np.stack(found)


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    metric=st.sampled_from(METRICS),
    heads=st.integers(1, 2),
    group=st.integers(1, 3),
    d_head=st.integers(1, 9),
    bank=st.integers(2, 60),
    scale=st.sampled_from([1e-4, 1.0, 1e5]),
    copies=st.booleans(),
)
def test_scores_are_those_of_a_pass_over_the_bank(seed, metric, heads, group, d_head, bank, scale, copies):
    table, places, vectors, own, _ = random_case(
        seed, heads=heads, group=group, tokens=40, d_head=d_head, count=bank + 1
    )
    if copies:
        rows = table.rows.clone()
        rows[:, 20:] = rows[:, :20]
        table = Table.pack(rows, table.bias)
    vectors, place = scale * vectors + 0.5 * scale, Place.none if copies else places[0]
    others, vector = vectors[1:], vectors[0]
    moments = Moments.of(metric, others)
    expected = direct(metric, others, table, place, vector)
    # A bank of few vectors has directions in which nothing deviates; beside them float64 has few digits left.
    whole = similarity_spread(metric, others, table, place)
    sure = whole > 1e-4
    found = moments.scores(table.encodings(place, torch.arange(40)), vector[None])[:, 0].numpy()
    assert np.allclose(found[sure], expected[sure], rtol=1e-6, atol=1e-6)

    k = 7
    near = hub_aware(moments, table, place, vector, int(own[0]), k)
    for head in range(heads * group):
        ids, scores = near.ids[head].numpy(), near.scores[head].numpy()
        assert np.allclose(scores, np.sort(found[head])[::-1][:k], rtol=1e-6, atol=1e-6)
        assert len(set(ids)) == k
        pairs = list(zip(near.ranks[head].tolist(), ids.tolist(), strict=True))
        assert pairs == sorted(pairs)
        if copies:  # equal rows tie, and stand in the order of their ids
            for rank, id in pairs:
                assert id < 20 or (rank, id - 20) in pairs
        above = (found[head] > found[head, own[0]] + 1e-6).sum(), (found[head] > found[head, own[0]] - 1e-6).sum()
        assert above[0] + 1 <= near.own_rank[head] <= above[1] + 1
        assert float(near.own_score[head]) == pytest.approx(found[head, own[0]], rel=1e-6, abs=1e-6)


def similarity_spread(metric: Metric, bank: torch.Tensor, table: Table, place: Place) -> np.ndarray:
    """By how much similarities deviate over the bank, as a share of their size: [head, token]."""
    heads, found = bank.shape[1], []
    for head in range(heads):
        over = similarity(metric, bank[:, head].double().numpy(), encode(table, place, head * len(table.rows) // heads))
        found.append(over.std(0) / np.abs(over).max(0))
    return np.stack(found)


@pytest.mark.parametrize("metric", METRICS)
def test_a_token_that_no_vector_tells_apart_has_the_score_0(metric):
    table = Table.pack(torch.tensor([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]]), torch.zeros(1, 2))
    bank = torch.tensor([[[1.0, 1.0]], [[1.0, 1.0]], [[1.0, 1.0]]])
    near = hub_aware(Moments.of(metric, bank), table, Place.none, torch.tensor([[3.0, 5.0]]), 2, 3)
    assert near.scores.tolist() == [[0.0, 0.0, 0.0]]
    assert near.ids.tolist() == [[0, 1, 2]]
    assert near.own_rank.item() == 1


@pytest.mark.parametrize("metric", METRICS)
def test_what_a_bank_tells_apart_by_rounding_alone_it_does_not_tell_apart(metric):
    # The bank differs along (1, −1): one row has the last bit of that direction, another a little.
    table = Table.pack(torch.tensor([[[1.0, 1 + 2.0**-23], [1.0, 1.001], [1.0, 0.0]]]), torch.zeros(1, 2))
    moments = Moments.of(metric, torch.tensor([[[2.0, 1.0]], [[1.0, 2.0]]]))
    vector, encodings = torch.tensor([[3.0, 5.0]]), table.encodings(Place.none, slice(None))
    near = hub_aware(moments, table, Place.none, vector, 0, 3)
    assert near.own_score.item() == 0.0
    scores = moments.scores(encodings, vector[None])[0, 0]
    assert scores[0] == 0.0
    assert scores[1].abs() > 100
    assert near.scores[0].tolist() == pytest.approx(scores.sort(descending=True).values.tolist())
    assert moments.in_float32().scores(encodings.float(), vector[None])[0, 0, 0] == 0.0


def test_a_zero_row_is_as_near_as_usual_under_cosine():
    table, _, vectors, _, _ = random_case(3, heads=1, group=1, count=30)
    rows = table.rows.clone()
    rows[:, 5] = -table.bias
    table = Table.pack(rows, table.bias)
    scores = Moments.of("cosine", vectors).scores(table.encodings(Place.none, torch.tensor([5, 6])), vectors[:2])
    assert scores[0, :, 0].tolist() == [0.0, 0.0]
    assert (scores[0, :, 1] != 0).all()


def test_over_the_bank_itself_every_score_has_mean_0_and_deviation_1():
    table, places, vectors, _, _ = random_case(4, count=50)
    for metric in METRICS:
        scores = Moments.of(metric, vectors).scores(table.encodings(places[1], slice(None)), vectors)
        assert torch.allclose(scores.mean(1), torch.zeros(()).double(), atol=1e-9)
        assert torch.allclose(scores.std(1, correction=0), torch.ones(()).double(), atol=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_vectors_in_few_of_their_directions_have_the_same_scores(metric):
    table, _, narrow, own, _ = random_case(5, heads=1, group=2, d_head=24, count=100)
    draw = torch.Generator().manual_seed(0)
    wide = (narrow[..., :4].double() @ torch.randn(4, 24, generator=draw).double()).float()
    moments = Moments.of(metric, wide[1:])
    expected = direct(metric, wide[1:], table, Place.none, wide[0])
    found = hub_aware(moments, table, Place.none, wide[0], int(own[0]), 300)
    assert np.allclose(found.scores, np.take_along_axis(expected, found.ids.numpy(), 1), rtol=1e-6, atol=1e-6)


def test_only_candidates_with_finite_rows_are_listed_and_counted():
    table, _, vectors, _, _ = random_case(6, heads=1, group=1, tokens=30, count=40)
    rows = table.rows.clone()
    rows[0, 3] = torch.nan
    table = Table.pack(rows, table.bias)
    candidates = torch.arange(30) < 10
    moments = Moments.of("cosine", vectors)
    near = hub_aware(moments, table, Place.none, vectors[0], 20, 9, candidates)
    assert sorted(near.ids[0].tolist()) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    everything = moments.scores(table.encodings(Place.none, slice(None)), vectors[:1])[0, 0]
    assert near.own_rank.item() == 1 + int((everything[near.ids[0]] > everything[20]).sum())
    lost = hub_aware(moments, table, Place.none, vectors[0], 3, 9, candidates)
    assert lost.own_rank.item() == 0
    assert lost.own_score.isnan().all()
    with pytest.raises(ValueError, match="9 candidates"):
        hub_aware(moments, table, Place.none, vectors[0], 3, 10, candidates)


@pytest.mark.parametrize("metric", METRICS)
def test_tokens_of_one_row_share_a_rank_and_the_least_ids_are_listed(metric, monkeypatch):
    table, _, vectors, _, _ = random_case(8, heads=4, group=2, tokens=60, d_head=13, count=40)
    rows = table.rows.clone()
    rows[:, 20:40] = rows[:, 40:] = rows[:, :20]
    table = Table.pack(rows, table.bias)
    monkeypatch.setattr(hubs, "_SCORES", 23 * table.rows[:, 0].numel())  # products of parts round each otherwise
    moments = Moments.of(metric, vectors[1:])
    for own in (3, 23, 43):
        near = hub_aware(moments, table, Place.none, vectors[0], own, 4)
        for head in range(8):
            exact = moments.exact(table, Place.none, vectors[0], head, torch.arange(60))
            assert near.own_rank[head] == 1 + (exact > exact[own]).sum()
            best = exact[:20].sort(descending=True, stable=True).indices
            assert near.ids[head].tolist() == [best[0], best[0] + 20, best[0] + 40, best[1]]
            assert near.ranks[head].tolist() == [1, 1, 1, 4]


def test_hubness_is_the_skewness_and_the_largest_share_of_how_often_tokens_are_near():
    table, places, vectors, own, _ = random_case(7, tokens=200, count=60)
    allowed = torch.arange(200) < 150
    near = search(table, places[:1], vectors, own.new_zeros(60), k=10, candidates=allowed)["cosine"]
    found = hubness(near.ids, allowed)
    for head in range(vectors.shape[1]):
        counts = np.zeros(200)
        for row in near.ids[:, head].tolist():
            counts[row] += 1
        inside = counts[:150]
        skewness = ((inside - inside.mean()) ** 3).mean() / inside.std() ** 3
        assert float(found.skewness[head]) == pytest.approx(skewness)
        assert float(found.largest[head]) == counts.max() / 60
        assert int(found.largest_id[head]) == counts.argmax()


def test_hubness_where_all_tokens_are_equally_near_is_not_skewed():
    assert hubness(torch.tensor([[[0, 1]], [[1, 0]]]), torch.ones(2, dtype=torch.bool)).skewness.item() == 0.0


def test_a_bank_of_one_vector_has_no_spread():
    with pytest.raises(ValueError, match="two or more"):
        Moments.of("dot", torch.ones(1, 2, 3))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("group", [1, 2])
def test_scores_in_float32_are_those_in_float64(metric, group):
    draw = torch.Generator().manual_seed(0)
    table = Table.pack(torch.randn(2, 50, 8, generator=draw), torch.randn(2, 8, generator=draw))
    moments = Moments.of(metric, torch.randn(400, 2 * group, 8, generator=draw) + 0.5)
    vectors, encodings = torch.randn(5, 2 * group, 8, generator=draw), table.encodings(Place.none, slice(None))
    found = moments.in_float32().scores(encodings.float(), vectors)
    assert found.dtype == torch.float32
    assert torch.allclose(found.double(), moments.scores(encodings, vectors), atol=1e-4)


def test_a_row_that_is_not_finite_leaves_the_others_their_scores():
    table, _, vectors, _, _ = random_case(7, heads=1, group=1, count=30)
    moments, encodings = Moments.of("cosine", vectors), table.encodings(Place.none, slice(None))
    broken = encodings.clone()
    broken[0, 3] = torch.inf
    whole, found = (moments.scores(rows, vectors[:2]) for rows in (encodings, broken))
    assert (found[..., 3] == 0).all()
    found[..., 3] = whole[..., 3]
    assert torch.allclose(found, whole, rtol=1e-12)
