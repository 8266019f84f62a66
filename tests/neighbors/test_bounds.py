"""No score of the scan in torch is further from the exact one than its bound says."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headscope.neighbors import Place, Shared, Source, Table, bounds
from headscope.neighbors.batch import Batch, batches
from headscope.neighbors.narrowed import narrow_scores
from headscope.neighbors.scan.torch_rows import Additions, Tile, multiply, narrow, weigh
from headscope.question.choices import METRICS, Metric
from tests.neighbors.test_shared import both


def _parts(draw: torch.Generator, d_head: int, signs: str, *shapes: tuple[int, ...]) -> list[torch.Tensor]:
    return [torch.randn(shape, generator=draw) + (3 if signs == "alike" else 0) for shape in shapes]


def _batch(source: Source, shift: torch.Tensor, scale: torch.Tensor, z: torch.Tensor) -> Batch:
    """One query at one place."""
    own = torch.zeros(1, dtype=torch.int64)
    return next(batches(source, [Place(scale, shift)], z, own[:, None], own, 1))


def _held(draw: torch.Generator, d_head: int, signs: str, cancelling: float) -> Batch:
    """Rows of one sign add up their roundings, cancelling ones lose figures."""
    heads, tokens = 2, 64
    shapes = (heads, tokens, d_head), (heads, d_head), (heads, d_head), (1, heads, d_head)
    rows, shift, bias, z = _parts(draw, d_head, signs, *shapes)
    scale = 0.5 + torch.rand(tokens, generator=draw)
    opposed = -shift[:, None] - bias[:, None] / scale[:, None]
    return _batch(Table.pack(torch.lerp(rows, opposed, cancelling), bias), shift, scale, z)


def _not_held(draw: torch.Generator, d: int, signs: str, cancelling: float) -> Batch:
    """The same of rows that are made of vectors of d numbers; what they have in common is shifted away."""
    heads, tokens, width = 2, 64, min(d, 16)
    vectors, matrix, bias, z = _parts(draw, d, signs, (tokens, d), (heads, d, width), (heads, width), (1, heads, width))
    _, shared = both(vectors, matrix[None], bias[None])
    shift = -cancelling * torch.einsum("d,hdw->hw", vectors.mean(0), matrix)
    return _batch(shared, shift, 0.5 + torch.rand(tokens, generator=draw), z)


def _scores(batch: Batch, metric: Metric) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scores float32 [head, token], what they may be off by, and which are usable."""
    source, additions, tokens = batch.source, Additions.of_batch(batch), slice(0, batch.source.shape[1])
    z = batch.queries.transpose(0, 1)  # [head, query, d_head]
    vectors, pull = z, None
    if isinstance(source, Shared):
        vectors, pull = narrow(batch.drawn.queries.unflatten(0, (1, -1)).transpose(0, 1))
    vectors = torch.cat([additions.vectors, vectors], 1)
    products, spare = torch.empty(2, *vectors.shape[:2], tokens.stop)
    multiply(source, slice(None), tokens, vectors, products, spare)
    along, product = products.tensor_split([additions.vectors.shape[1]], 1)
    tile = Tile.of(additions, source, slice(None), tokens, along, source.finite)
    weights = weigh(tile, metric, additions.cap, z.shape[2])
    shift, bias = additions.at(batch.place_of)
    assert shift is not None
    product = product + (z.double() * shift).sum(2, keepdim=True).float()
    scores = torch.empty_like(product)
    weights.scores(0, product, (z.double() * bias).sum(2, keepdim=True).float(), scores)
    length = batch.queries[0].double().norm(dim=1)  # [head]
    bound = weights.error[:, 0] * length + weights.fixed_error[:, 0]
    if pull is not None and weights.blur is not None:
        bound = bound + weights.blur[:, 0] * pull[:, 0, 0]
    if metric == "euclidean":
        bound = bound + bounds.EXACT_UNIT * length**2
    return scores[:, 0], bound[:, None], weights.usable[:, 0]


def _exact(batch: Batch, metric: Metric) -> torch.Tensor:
    """The same in float64, by the definitions of `bounds`."""
    assert batch.scale is not None
    assert batch.shift is not None
    encoded = (batch.source.some(slice(None)).double() + batch.shift[0, :, None]) * batch.scale[
        0, :, None
    ] + batch.bias[0, :, None]
    dot = (encoded * batch.queries[0, :, None]).sum(2)  # [head, token]
    if metric == "cosine":
        return dot / encoded.norm(dim=2)
    return dot - 0.5 * encoded.square().sum(2) if metric == "euclidean" else dot


@pytest.mark.slow
@pytest.mark.parametrize("made", [_held, _not_held])
@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    d=st.sampled_from([1, 3, 32, 64, 128, 768, 2048]),
    signs=st.sampled_from(["mixed", "alike"]),
    cancelling=st.sampled_from([0.0, 0.5, 0.8, 0.95]),
)
def test_a_score_is_within_its_bound(made, metric: Metric, seed: int, d: int, signs: str, cancelling: float) -> None:
    batch = made(torch.Generator().manual_seed(seed), d, signs, cancelling)
    scores, bound, usable = _scores(batch, metric)
    off = (scores.double() - _exact(batch, metric)).abs()
    assert (off <= bound)[usable].all()
    # What is not usable is left to float64, and never passes for a neighbour.
    assert (scores[~usable] == -torch.inf).all()


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    d=st.sampled_from([1, 3, 64, 768]),
    signs=st.sampled_from(["mixed", "alike"]),
    cancelling=st.sampled_from([0.0, 0.8, 0.95]),
)
def test_a_score_that_is_narrowed_is_within_its_bound(metric: Metric, seed: int, d: int, signs: str, cancelling: float):
    batch = _not_held(torch.Generator().manual_seed(seed), d, signs, cancelling)
    row, token = (x.flatten() for x in torch.meshgrid(torch.arange(2), torch.arange(64), indexing="ij"))
    score, error = narrow_scores(batch, metric, row, token)
    known = error.isfinite()
    assert ((score - _exact(batch, metric).flatten()).abs() <= error)[known].all()
    assert d < 64 or known.any()


@pytest.mark.parametrize("terms", [1, 3, 64, 196, 768, 2048])
def test_no_bound_is_below_what_sums_may_be_off_by(terms: int) -> None:
    # Of n products (Higham, Accuracy and Stability of Numerical Algorithms, §3.1); random ones stay far below.
    for unit, gamma in ((bounds.UNIT, bounds.gamma), (2.0**-53, bounds.narrow_gamma)):
        assert gamma(terms) >= terms * unit / (1 - terms * unit)
    assert bounds.blurred(1.0) >= 1
    assert bounds.swayed(1.0) >= 0.5  # of |R|², of which the root's is half
