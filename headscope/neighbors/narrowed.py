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
    batch.drawn  # noqa: B018 - made here, and not by several threads
    order = row.argsort(stable=True)
    rows, count = torch.unique_consecutive(row[order], return_counts=True)
    score, error = torch.empty(2, len(row), dtype=torch.float64, device=row.device)

    def measure(task: tuple[int, Tensor]) -> None:
        score[task[1]], error[task[1]] = _of_row(batch, source, metric, task[0], token[task[1]])

    spread(measure, list(zip(rows.tolist(), order.split(count.tolist()), strict=True)))
    return score, error


def _of_row(batch: Batch, source: Shared, metric: Metric, row: int, token: Tensor) -> tuple[Tensor, Tensor]:
    query, q_head = divmod(row, batch.queries.shape[1])
    head, place = q_head // batch.group, int(batch.place_of[query])
    z, bias = batch.queries[query, q_head].double(), batch.bias[place, head].double()
    shift = torch.zeros_like(bias) if batch.shift is None else batch.shift[place, head].double()
    scale = torch.ones_like(token).double() if batch.scale is None else batch.scale[place, token].double()
    drawn = torch.stack([batch.drawn.queries[row], batch.drawn.shift[head, place], batch.drawn.bias[head, place]])
    vectors, norms = source.stock.vectors[token].double(), source.norms[head, token].double()
    along, along_shift, along_bias = (vectors @ drawn.T).unbind(1)
    dot = scale * (along + z @ shift) + z @ bias
    square = scale.square() * (norms.square() + 2 * along_shift + shift @ shift) + bias @ bias
    square += 2 * scale * (along_bias + shift @ bias)

    stretch, (pull, pull_shift, pull_bias) = scale.abs(), drawn.norm(dim=1)
    reach = stretch * (norms + shift.norm()) + bias.norm()
    blur = bounds.narrow_gamma(len(drawn.T)) * stretch * source.stock.lengths[token]
    dot_error = bounds.narrow_dot_error(z.norm(), reach) + blur * pull
    square_error = bounds.narrow_square_error(reach) + 2 * blur * (stretch * pull_shift + pull_bias)
    known = reach <= bounds.LARGEST
    if metric == "cosine":
        known &= square_error <= bounds.SWAYED * square
        length = square.clamp(min=0).sqrt()
        score = dot / length
        error = dot_error / length + z.norm() * (bounds.swayed(square_error / square) + bounds.EXACT_UNIT)
    elif metric == "euclidean":
        score, error = dot - 0.5 * square, dot_error + 0.5 * square_error + bounds.EXACT_UNIT * z.norm().square()
    else:
        score, error = dot, dot_error
    known &= error.isfinite() & score.isfinite()
    return torch.where(known, score, 0.0), torch.where(known, error, torch.inf)
