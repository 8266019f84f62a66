"""Float64 distances of many pairs, compiled: the formulas of `metrics` without a pass of memory a step."""

import numpy as np
import torch
from torch import Tensor

from headscope.cores import spread
from headscope.neighbors.batch import Batch
from headscope.neighbors.scan.numba_jit import LINE, jit, prefetch
from headscope.question.choices import METRICS, Metric

_PAIRS = 4096  # of one task
_AHEAD = 8  # pairs
_COSINE, _EUCLIDEAN = METRICS.index("cosine"), METRICS.index("euclidean")

# R is defined by its roundings, one after each step; only sums may be taken in vector lanes.
strict, summed = jit(), jit("reassoc", "nsz")


def pair_distances(batch: Batch, metric: Metric, row: Tensor, token: Tensor) -> Tensor:
    """Exact distances of pairs `row`, `token` int64 [pair], float64 [pair]."""
    table, (heads, tokens, d_head) = batch.table, batch.table.rows.shape
    places = len(batch.spans)
    scale = torch.ones(1, tokens).expand(places, -1) if batch.scale is None else batch.scale
    shift = torch.zeros(places, heads, d_head) if batch.shift is None else batch.shift
    parts = [part.numpy() for part in (table.rows, batch.bias, scale.contiguous(), shift, batch.place_of)]
    queries, out = batch.queries.contiguous().numpy(), np.empty(len(row))
    rows, ids = row.contiguous().numpy(), token.contiguous().numpy()

    def measure(start: int) -> None:
        pair = slice(start, start + _PAIRS)
        _measure(METRICS.index(metric), *parts, queries, rows[pair], ids[pair], out[pair])

    spread(measure, range(0, len(row), _PAIRS))
    return torch.from_numpy(out)


@strict
def _measure(metric, rows, bias, scale, shift, place_of, queries, row, token, out):  # type: ignore[no-untyped-def]
    q_heads, d_head = queries.shape[1], queries.shape[2]
    group = q_heads // len(rows)
    z, r = np.empty(d_head), np.empty(d_head)
    for pair in range(len(row)):
        # The rows lie anywhere in memory: without asking ahead, most of the time would be spent waiting for them.
        later = min(pair + _AHEAD, len(row) - 1)
        for i in range(0, d_head, LINE):
            prefetch(rows[row[later] % q_heads // group], token[later], i)
        query, q_head = row[pair] // q_heads, row[pair] % q_heads
        place, head, t = place_of[query], q_head // group, token[pair]
        u = np.float64(scale[place, t])
        for i in range(d_head):
            z[i] = queries[query, q_head, i]
            moved = np.float64(rows[head, t, i]) + np.float64(shift[place, head, i])
            r[i] = moved * u + np.float64(bias[place, head, i])
        if metric == _COSINE:
            out[pair] = _cosine(z, r)
        elif metric == _EUCLIDEAN:
            out[pair] = _euclidean(z, r)
        else:
            out[pair] = _dot(z, r)


@summed
def _cosine(z, r):  # type: ignore[no-untyped-def]
    z_norm, r_norm, apart = np.sqrt(-_dot(z, z)), np.sqrt(-_dot(r, r)), 0.0
    if z_norm == 0 or r_norm == 0:
        return 1.0
    for i in range(len(z)):
        apart += (z[i] / z_norm - r[i] / r_norm) ** 2
    return 0.5 * apart


@summed
def _euclidean(z, r):  # type: ignore[no-untyped-def]
    square = 0.0
    for i in range(len(z)):
        square += (z[i] - r[i]) ** 2
    return np.sqrt(square)


@summed
def _dot(z, r):  # type: ignore[no-untyped-def]
    dot = 0.0
    for i in range(len(z)):
        dot += z[i] * r[i]
    return -dot
