"""What a scan through shared vectors leaves open, narrowed in float64 before any row is made.

A float32 product of d numbers leaves more open than one of d_head, even summed in parts. The same in float64 leaves
next to nothing of it, and costs one of the shared vectors, where a row costs a whole matrix. What is open then is what
a row's own rounding decides, and is settled as with a table.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from headscope.cores.pool import spread
from headscope.neighbors import bounds
from headscope.neighbors.asked import Asked
from headscope.neighbors.batch import Batch
from headscope.neighbors.settle import Findings
from headscope.neighbors.shared import Shared
from headscope.question.choices import Metric

_ROWS = 512  # whose drawn vectors are brought together at a time


def narrowed(batch: Batch, metric: Metric, k: int, asked: Asked, findings: Findings) -> Findings:
    """The same findings with fewer pairs that are doubtful, and fewer contenders."""
    if not isinstance(batch.source, Shared):
        return findings
    row, first, last, token = findings.doubtful
    pairs = [torch.cat(parts) for parts in zip((row, token), findings.contenders, strict=True)]
    score, error = (part.tensor_split([len(row)]) for part in narrow_scores(batch, metric, *pairs))

    passed, reached = (asked.passed(row, first, last, score[0] + sign * error[0]) for sign in (-1, 1))
    nearer = findings.nearer + asked.counted(row, first, passed)
    open_ = passed < reached
    doubtful = row[open_], passed[open_], reached[open_], token[open_]

    row, token = findings.contenders
    floor = _kth(batch, k, row, score[1] - error[1])
    kept = score[1] + error[1] >= floor[row]
    return replace(findings, nearer=nearer, doubtful=doubtful, contenders=(row[kept], token[kept]))


def _kth(batch: Batch, k: int, row: Tensor, score: Tensor) -> Tensor:
    """The k-th highest score of every row, float64 [row]; −inf where there are fewer."""
    order = score.argsort(descending=True)
    order = order[row[order].argsort(stable=True)]  # row by row, the highest first
    count = torch.bincount(row, minlength=batch.rows)
    at = count.cumsum(0) - count + k - 1
    floor = torch.full((batch.rows,), -torch.inf, dtype=torch.float64, device=row.device)
    enough = count >= k
    floor[enough] = score[order[at[enough]]]
    return floor


def narrow_scores(batch: Batch, metric: Metric, row: Tensor, token: Tensor) -> tuple[Tensor, Tensor]:
    """Scores as `bounds` defines them of pairs, float64 [pair], and what they may be off by; infinite if not known."""
    source = batch.source
    assert isinstance(source, Shared)
    along, along_shift, along_bias = _products(batch, source, row, token).unbind(1)
    of_rows, at = row.unique(return_inverse=True)
    head, place = _whose(batch, of_rows)
    z, bias = batch.queries.flatten(0, 1)[of_rows].double(), batch.bias[place, head].double()
    shift = torch.zeros_like(bias) if batch.shift is None else batch.shift[place, head].double()
    drawn = batch.drawn
    pulls = (
        drawn.queries.norm(dim=1)[of_rows],
        drawn.shift.norm(dim=2)[head, place],
        drawn.bias.norm(dim=2)[head, place],
    )
    scale = torch.ones_like(along) if batch.scale is None else batch.scale[place[at], token].double()
    norms = source.norms[head[at], token].double()

    def products(one: Tensor, other: Tensor) -> Tensor:
        return (one * other).sum(1)[at]

    dot = scale * (along + products(z, shift)) + products(z, bias)
    square = scale.square() * (norms.square() + 2 * along_shift + products(shift, shift)) + products(bias, bias)
    square += 2 * scale * (along_bias + products(shift, bias))

    stretch, (pull, pull_shift, pull_bias) = scale.abs(), (one[at] for one in pulls)
    length, far_shift, far_bias = (part.norm(dim=1)[at] for part in (z, shift, bias))
    reach = stretch * (norms + far_shift) + far_bias
    blur = bounds.narrow_gamma(source.stock.vectors.shape[1]) * stretch * source.stock.lengths[token]
    dot_error = bounds.narrow_dot_error(length, reach) + blur * pull
    square_error = bounds.narrow_square_error(reach) + 2 * blur * (stretch * pull_shift + pull_bias)
    known = reach <= bounds.LARGEST
    if metric == "cosine":
        known &= square_error <= bounds.SWAYED * square
        norm = square.clamp(min=0).sqrt()
        score = dot / norm
        error = dot_error / norm + length * (bounds.swayed(square_error / square) + bounds.EXACT_UNIT)
    elif metric == "euclidean":
        score, error = dot - 0.5 * square, dot_error + 0.5 * square_error + bounds.EXACT_UNIT * length.square()
    else:
        score, error = dot, dot_error
    known &= error.isfinite() & score.isfinite()
    return torch.where(known, score, 0.0), torch.where(known, error, torch.inf)


def _products(batch: Batch, source: Shared, row: Tensor, token: Tensor) -> Tensor:
    """Products of each pair's shared vector with what is drawn of its query, shift and bias: float64 [pair, 3]."""
    order, drawn = row.argsort(stable=True), batch.drawn  # made here, and not by several threads
    rows, count = torch.unique_consecutive(row[order], return_counts=True)
    found = torch.empty(len(row), 3, dtype=torch.float64, device=row.device)

    def multiply(task: tuple[Tensor, Tensor]) -> None:
        of_row, pairs = task
        found[pairs] = source.stock.vectors[token[pairs]].double() @ of_row.T

    pairs = iter(order.split(count.tolist()))
    for some in rows.split(_ROWS):
        head, place = _whose(batch, some)
        of_rows = torch.stack([drawn.queries[some], drawn.shift[head, place], drawn.bias[head, place]], 1)
        # (row, 3, d)
        spread(multiply, list(zip(of_rows, pairs, strict=False)))
    return found


def _whose(batch: Batch, row: Tensor) -> tuple[Tensor, Tensor]:
    """The head that each row reads, and its place, int64 [row]."""
    query, q_head = row // batch.queries.shape[1], row % batch.queries.shape[1]
    return q_head // batch.group, batch.place_of[query]
