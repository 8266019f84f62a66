"""Ids and ranks are those of float64 brute force, whatever the rows look like."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headscope.neighbors import Backend, Place, Table, backend_in_use, search
from headscope.question.choices import METRICS, Metric
from tests.neighbors.agreement import assert_agrees
from tests.neighbors.brute import random_case

BACKENDS: tuple[Backend, ...] = ("torch", "numba") if backend_in_use() == "numba" else ("torch",)
KINDS = (
    "plain",
    "zero",
    "tiny",
    "huge",
    "overflowing",
    "copy",
    "scaled copy",
    "nearly a copy",
    "query",
    "cancels",
)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("metric", METRICS)
def test_a_table_like_a_model_s(metric: Metric, backend: Backend) -> None:
    table, places, queries, own, place_of = random_case(0)
    found = search(table, places, queries, own, place_of=place_of, metrics=(metric,), backend=backend)[metric]
    assert_agrees(found, metric, table, places, queries, own, place_of)


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_no_table_is_a_counter_example(backend: Backend, data: st.DataObject, seed: int) -> None:
    heads, group, d_head = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 9)))
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=40))
    query_scales = data.draw(st.lists(st.sampled_from([0.0, 1e-30, 1.0, 1e20]), min_size=1, max_size=3))
    moved = data.draw(st.booleans())
    draw = np.random.default_rng(seed)
    recurring = data.draw(st.sampled_from([1, 4]))
    tokens, count = len(kinds), recurring * len(query_scales)

    queries = draw.standard_normal((len(query_scales), heads * group, d_head))
    queries = np.concatenate([queries * np.array(query_scales)[:, None, None]] * recurring)
    shift = draw.standard_normal((heads, d_head)) if moved else np.zeros((heads, d_head))
    bias = draw.standard_normal((heads, d_head)).astype(np.float32)
    placed = data.draw(st.sampled_from([0.0, 1.0, 1e8])) * draw.standard_normal((heads, d_head))
    own_bias = bias - placed  # of the table: what the place adds makes it `bias` again, but for rounding
    rows = draw.standard_normal((heads, tokens, d_head))
    for token, kind in enumerate(kinds):
        earlier = rows[:, draw.integers(token + 1)]
        rows[:, token] = {
            "plain": rows[:, token],
            "zero": -shift,
            "tiny": 1e-15 * rows[:, token],
            "huge": 1e15 * rows[:, token],
            "overflowing": 1e25 * rows[:, token],
            "copy": earlier,
            "scaled copy": 3.0 * earlier,
            "nearly a copy": earlier * (1 + 1e-7 * rows[:, token]),
            "query": queries[0, ::group] - bias,
            "cancels": -shift - bias * (1 + 1e-6 * rows[:, token]),
        }[kind]
    scale = 1 + (draw.integers(0, 2, tokens) if moved else np.zeros(tokens))
    table = Table.pack(torch.tensor(rows), torch.tensor(own_bias))
    places = [Place(torch.tensor(scale).float(), torch.tensor(shift).float(), torch.tensor(placed).float()), Place.none]
    own = torch.tensor(draw.integers(tokens, size=count))
    place_of = torch.tensor(draw.integers(2, size=count))
    others = torch.tensor(draw.integers(-1, tokens, size=(count, 2)))
    candidates = torch.tensor(draw.random(tokens) < data.draw(st.sampled_from([0.5, 1.0])))
    candidates[draw.integers(tokens)] = True
    k = data.draw(st.integers(1, int(candidates.sum())))
    z = torch.tensor(queries).float()
    found = search(
        table, places, z, own, place_of=place_of, k=k, metrics=METRICS, candidates=candidates, others=others,
        backend=backend,
    )  # fmt: skip
    for metric in METRICS:
        assert_agrees(found[metric], metric, table, places, z, own, place_of, candidates=candidates, others=others)


@pytest.mark.parametrize("backend", BACKENDS)
def test_identical_rows_tie_and_are_listed_by_id(backend: Backend) -> None:
    table = Table.pack(torch.ones(1, 7, 4), torch.zeros(1, 4))
    near = search(table, [Place.none], torch.randn(1, 1, 4), torch.tensor([5]), k=7, metrics=METRICS, backend=backend)
    for metric in METRICS:
        assert near[metric].ids[0, 0].tolist() == list(range(7))
        assert near[metric].ranks[0, 0].tolist() == [1] * 7
        assert near[metric].own_rank.item() == 1


def test_a_zero_query_is_equally_far_from_everything_under_cosine() -> None:
    table = Table.pack(torch.randn(1, 50, 4), torch.zeros(1, 4))
    near = search(table, [Place.none], torch.zeros(1, 1, 4), torch.tensor([9]), k=5)["cosine"]
    assert near.ids[0, 0].tolist() == [0, 1, 2, 3, 4]
    assert near.distances[0, 0].tolist() == [1.0] * 5
    assert near.own_rank.item() == 1


def test_a_vocabulary_of_one_token() -> None:
    table = Table.pack(torch.ones(2, 1, 3), torch.ones(2, 3))
    near = search(table, [Place.none], torch.randn(1, 2, 3), torch.tensor([0]), k=1)["cosine"]
    assert near.ids.flatten().tolist() == [0, 0]
    assert near.own_rank.flatten().tolist() == [1, 1]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("metric", METRICS)
def test_a_query_that_recurs_at_other_places_among_encodings_whose_parts_cancel(
    metric: Metric, backend: Backend
) -> None:
    table, places, queries, own, _ = random_case(3, tokens=2000, d_head=64, places=4, count=6)
    assert places[0].shift is not None
    # The more of the rows is what the shift and the bias take away, the less certain is what is left.
    common = (places[0].shift + table.bias) * torch.linspace(0, 1, 2000)[:, None, None]
    table = Table.pack(table.rows - common.transpose(0, 1), table.bias)
    z, place_of = queries.repeat(4, 1, 1), torch.arange(4).repeat_interleave(6)
    own, others = own.repeat(4), torch.arange(24 * 15).view(24, 15)
    found = search(
        table, places, z, own, place_of=place_of, metrics=(metric,), others=others, backend=backend
    )[metric]  # fmt: skip
    assert_agrees(found, metric, table, places, z, own, place_of, others=others)


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("metric", METRICS)
def test_a_real_vocabulary_s_size_with_duplicate_rows(metric: Metric, backend: Backend) -> None:
    table, places, queries, own, place_of = random_case(1, heads=2, group=1, tokens=50_265, d_head=64, count=4)
    rows = table.rows.clone()
    rows[:, 40_000:40_040] = rows[:, 17:18]  # forty unused tokens, all alike
    rows[:, 50_000] = queries[0] - table.bias
    table = Table.pack(rows, table.bias)
    own[1] = 40_007
    found = search(table, places, queries, own, place_of=place_of, metrics=(metric,), backend=backend)[metric]
    assert_agrees(found, metric, table, places, queries, own, place_of)
