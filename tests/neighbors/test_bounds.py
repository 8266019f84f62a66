"""No score of the scan in torch is further from the exact one than its bound says."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headscope.neighbors import Place, Table, bounds
from headscope.neighbors.batch import Batch, batches
from headscope.neighbors.scan.torch_rows import Additions, Tile, Weights, multiply, weigh
from headscope.question.choices import METRICS, Metric


def _batch(draw: torch.Generator, d_head: int, signs: str, cancelling: float) -> Batch:
    """One query at one place; rows of one sign add up their roundings, cancelling ones lose figures."""
    heads, tokens = 2, 64
    rows, shift, bias, z = (
        torch.randn(shape, generator=draw) + (3 if signs == "alike" else 0)
        for shape in ((heads, tokens, d_head), (heads, d_head), (heads, d_head), (1, heads, d_head))
    )
    scale = 0.5 + torch.rand(tokens, generator=draw)
    opposed = -shift[:, None] - bias[:, None] / scale[:, None]
    rows = torch.lerp(rows, opposed, cancelling)
    own = torch.zeros(1, dtype=torch.int64)
    return next(batches(Table.pack(rows, bias), [Place(scale, shift)], z, own[:, None], own, 1))


def _scores(batch: Batch, metric: Metric) -> tuple[torch.Tensor, Weights]:
    """Scores float32 [head, token], and what is known of their errors."""
    table, additions, tokens = batch.table, Additions.of_batch(batch), slice(0, batch.table.rows.shape[1])
    z = batch.queries.transpose(0, 1)  # [head, query, d_head]
    vectors = torch.cat([additions.vectors, z], 1)
    products = torch.empty(*vectors.shape[:2], tokens.stop)
    multiply(table, slice(None), tokens, vectors, products)
    along, product = products.tensor_split([additions.vectors.shape[1]], 1)
    tile = Tile.of(additions, tokens, table.norms, along, table.finite)
    weights = weigh(tile, metric, additions.cap, z.shape[2])
    shift, bias = additions.at(batch.place_of)
    assert shift is not None
    product = product + (z.double() * shift).sum(2, keepdim=True).float()
    scores = torch.empty_like(product)
    weights.scores(0, product, (z.double() * bias).sum(2, keepdim=True).float(), scores)
    return scores[:, 0], weights


def _exact(batch: Batch, metric: Metric) -> torch.Tensor:
    """The same in float64, by the definitions of `bounds`."""
    assert batch.scale is not None
    assert batch.shift is not None
    encoded = (batch.table.rows.double() + batch.shift[0, :, None]) * batch.scale[0, :, None] + batch.bias[0, :, None]
    dot = (encoded * batch.queries[0, :, None]).sum(2)  # [head, token]
    if metric == "cosine":
        return dot / encoded.norm(dim=2)
    return dot - 0.5 * encoded.square().sum(2) if metric == "euclidean" else dot


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    d_head=st.sampled_from([1, 3, 32, 64, 128, 768, 2048]),
    signs=st.sampled_from(["mixed", "alike"]),
    cancelling=st.sampled_from([0.0, 0.5, 0.8, 0.95]),
)
def test_a_score_is_within_its_bound(metric: Metric, seed: int, d_head: int, signs: str, cancelling: float) -> None:
    batch = _batch(torch.Generator().manual_seed(seed), d_head, signs, cancelling)
    scores, weights = _scores(batch, metric)
    length = batch.queries[0].double().norm(dim=1)  # [head]
    bound = weights.error[:, 0] * length + weights.fixed_error[:, 0]
    if metric == "euclidean":
        bound = bound + bounds.EXACT_UNIT * length**2
    off = (scores.double() - _exact(batch, metric)).abs()
    usable = weights.usable[:, 0]
    assert (off <= bound[:, None])[usable].all()
    # What is not usable is left to float64, and never passes for a neighbour.
    assert (scores[~usable] == -torch.inf).all()
