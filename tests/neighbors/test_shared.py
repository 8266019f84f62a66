"""Rows that are not held: whether a search goes through a table or through what layers share, the answer is one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from headscope.neighbors import Nearest, Place, Shared, Table, search
from headscope.neighbors.shared import Numbers, Stock, rows_of
from headscope.question.choices import METRICS
from tests.neighbors.agreement import assert_agrees
from tests.neighbors.test_exactness import BACKENDS

KINDS = ("plain", "zero", "tiny", "huge", "not finite", "copy", "scaled copy", "nearly a copy", "cancels")


def both(vectors: Tensor, matrices: Tensor, bias: Tensor) -> tuple[Table, Shared]:
    """The same rows, held and not, of vectors [token, d] and matrices [layer, head, d, width]."""
    lengths = vectors.double().norm(dim=1).float() * (1 + 2.0**-22)
    stock = Stock(vectors, lengths)
    parts = [
        Shared.of(stock, matrix, of_layer, Numbers.of(stock, matrix, of_layer))
        for matrix, of_layer in zip(matrices, bias, strict=True)
    ]
    return Table.pack(rows_of(vectors, list(matrices)), bias.flatten(0, 1)), Shared.joined(parts)


def random_both(seed: int, *, layers: int = 2, heads: int = 2, tokens: int = 300, d: int = 48, width: int = 16):
    draw = torch.Generator().manual_seed(seed)
    return both(
        torch.randn(tokens, d, generator=draw),
        torch.randn(layers, heads, d, width, generator=draw) / d**0.5,
        0.3 * torch.randn(layers, heads, width, generator=draw),
    )


def assert_same(one: Nearest, other: Nearest) -> None:
    assert torch.equal(one.ids, other.ids)
    assert torch.equal(one.ranks, other.ranks)
    assert torch.equal(one.own_rank, other.own_rank)
    assert (one.other_ranks is None) == (other.other_ranks is None)
    if one.other_ranks is not None and other.other_ranks is not None:
        assert torch.equal(one.other_ranks, other.other_ranks)


def test_rows_are_the_same_however_many_are_made_at_a_time() -> None:
    table, shared = random_both(0)
    head, token = torch.meshgrid(torch.arange(4), torch.arange(300), indexing="ij")
    order = torch.randperm(1200, generator=torch.Generator().manual_seed(1))
    assert torch.equal(shared.some(slice(None)), table.rows)
    assert torch.equal(shared.some(torch.tensor([7, 3])), table.rows[:, [7, 3]])
    assert torch.equal(shared.pairs(head.flatten()[order], token.flatten()[order]), table.rows.flatten(0, 1)[order])


def test_numbers_are_those_of_the_rows() -> None:
    table, shared = random_both(1)
    assert torch.allclose(shared.norms, table.norms, rtol=1e-6)
    assert shared.along is not None
    assert torch.allclose(shared.along, (table.rows * table.bias[:, None]).sum(-1), atol=1e-5)
    assert torch.equal(shared.finite, table.finite)


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("count", [12, 150])  # what is multiplied together, and more
def test_the_answer_is_that_of_a_table(backend, dtype: torch.dtype, count: int) -> None:
    draw = torch.Generator().manual_seed(2)
    vectors = (torch.randn(2000, 500, generator=draw) + 0.5).to(dtype)
    table, shared = both(vectors, torch.randn(2, 2, 500, 16, generator=draw), torch.randn(2, 2, 16, generator=draw))
    places = [
        Place(1 + torch.rand(2000, generator=draw), torch.randn(4, 16, generator=draw)),
        Place(bias=torch.randn(4, 16, generator=draw)),
        Place.none,
    ]
    queries, own = 10 * torch.randn(count, 8, 16, generator=draw), torch.randint(2000, (count,), generator=draw)
    others, place_of = torch.randint(-1, 2000, (count, 240 // count), generator=draw), torch.arange(count) % 3
    one, other = (
        search(
            source, places, queries, own, place_of=place_of, k=5, metrics=METRICS, others=others, backend=backend,
        )
        for source in (table, shared)
    )  # fmt: skip
    for metric in METRICS:
        assert_same(one[metric], other[metric])
        assert torch.allclose(one[metric].distances, other[metric].distances, atol=1e-6)
        assert_agrees(other[metric], metric, table, places, queries, own, place_of, others=others)


@pytest.mark.long
@settings(max_examples=80, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_no_vocabulary_is_a_counter_example(data: st.DataObject, seed: int) -> None:
    layers, heads, group, d, width = data.draw(
        st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 2), st.integers(1, 40), st.integers(1, 6))
    )
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=40))
    query_scales = data.draw(st.lists(st.sampled_from([0.0, 1e-30, 1.0, 1e20]), min_size=1, max_size=3))
    stretched = data.draw(st.sampled_from([1.0, 1e-12, 1e12]))
    draw = np.random.default_rng(seed)
    tokens, count = len(kinds), len(query_scales)

    # A direction that all vectors have much of, and the matrices nothing, as where a norm would take it away.
    common = data.draw(st.sampled_from([0.0, 3.0, 1e4])) * np.ones(d)
    matrices = stretched * draw.standard_normal((layers, heads, d, width))
    if d > 1:
        matrices -= matrices.mean(2, keepdims=True)
    offset = draw.standard_normal(d) if data.draw(st.booleans()) else np.zeros(d)
    vectors = draw.standard_normal((tokens, d)) + common
    for token, kind in enumerate(kinds):
        earlier = vectors[draw.integers(token + 1)]
        vectors[token] = {
            "plain": vectors[token],
            "zero": np.zeros(d),
            "tiny": 1e-15 * vectors[token],
            "huge": 1e15 * vectors[token],
            "not finite": np.full(d, np.nan) if token else vectors[token],
            "copy": earlier,
            "scaled copy": 3.0 * earlier,
            "nearly a copy": earlier * (1 + 1e-7 * vectors[token]),
            "cancels": -offset * (1 + 1e-6 * vectors[token]),
        }[kind]
    bias = draw.standard_normal((layers, heads, width)) * data.draw(st.sampled_from([0.0, 1.0]))
    table, shared = both(torch.tensor(vectors).float(), torch.tensor(matrices).float(), torch.tensor(bias).float())
    shift = torch.einsum("d,lhdw->lhw", torch.tensor(offset), torch.tensor(matrices)).flatten(0, 1).float()
    scale = torch.tensor(1 + draw.integers(0, 2, tokens)).float()
    places = [Place(scale, shift), Place(bias=torch.tensor(draw.standard_normal((layers * heads, width))).float())]
    queries = draw.standard_normal((count, layers * heads * group, width)) * np.array(query_scales)[:, None, None]
    z = torch.tensor(queries).float()
    own, place_of = torch.tensor(draw.integers(tokens, size=count)), torch.tensor(draw.integers(2, size=count))
    others = torch.tensor(draw.integers(-1, tokens, size=(count, data.draw(st.sampled_from([1, 12])))))
    k = data.draw(st.integers(1, table.candidates))
    held, *found = [
        search(source, places, z, own, place_of=place_of, k=k, metrics=METRICS, others=others, backend=backend)
        for source, backend in ((table, "torch"), *((shared, backend) for backend in BACKENDS))
    ]
    for metric in METRICS:
        assert_agrees(held[metric], metric, table, places, z, own, place_of, others=others)
        for one in found:
            assert_same(held[metric], one[metric])


def test_few_rows_are_made_for_an_answer(monkeypatch) -> None:
    table, shared = random_both(3, layers=1, heads=2, tokens=20_000, d=256, width=32)
    made: list[int] = []
    pairs = Shared.pairs
    monkeypatch.setattr(Shared, "pairs", lambda self, head, token: made.append(len(head)) or pairs(self, head, token))
    draw = torch.Generator().manual_seed(4)
    queries, own = torch.randn(4, 2, 32, generator=draw), torch.randint(20_000, (4,), generator=draw)
    found = search(shared, [Place.none], queries, own, k=10, metrics=("cosine",))["cosine"]
    assert_same(search(table, [Place.none], queries, own, k=10, metrics=("cosine",))["cosine"], found)
    assert sum(made) <= 8 * (1 + 10 + 4)  # the own token, the ten nearest, and hardly another
