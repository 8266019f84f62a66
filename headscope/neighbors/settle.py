"""From what a float32 scan is certain of, and what it leaves open, to exact ids and ranks."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.neighbors.asked import Asked
from headscope.neighbors.batch import Batch
from headscope.question.choices import Metric
from headscope.question.stopping import stop_point

Exact = Callable[[Batch, Metric, Tensor, Tensor], Tensor]
"""Distances in float64 of pairs of a row and a token."""


@dataclass(frozen=True)
class Findings:
    """What a scan of the vocabulary knows of one batch under one metric; targets stand in the order of `Asked`."""

    nearer: Tensor  # int64 [row, target], candidates certainly nearer than the target
    doubtful: tuple[Tensor, ...]  # row, first, last, token: int64 [pair], may be nearer than targets first … last − 1
    contenders: tuple[Tensor, ...]  # row, token: int64 [pair], all that may be among the k nearest
    crowded: Tensor  # bool [row], left to float64 altogether


@dataclass(frozen=True)
class Settled:
    """Exact results of one batch under one metric."""

    ids: Tensor  # int64 [row, k]
    distances: Tensor  # float64 [row, k], ascending
    nearer: Tensor  # int64 [row, target], candidates strictly nearer than the target


def settle(
    batch: Batch, metric: Metric, k: int, allowed: Tensor, asked: Asked, findings: Findings, distances: Exact
) -> Settled:
    """Exact results from a scan's findings; targets stand in the order of `asked`."""
    # A target is never nearer than itself: with many targets such pairs are a good part.
    row, first, last, token = findings.doubtful
    open_ = (last - first > 1) | (asked.tokens[row, first] != token)
    row, first, last, token = row[open_], first[open_], last[open_], token[open_]
    nearer = findings.nearer + asked.nearer_than(row, first, last, distances(batch, metric, row, token))

    row, token = findings.contenders
    order = (row * batch.source.shape[1] + token).argsort()
    row, token = row[order], token[order]
    count = torch.bincount(row, minlength=batch.rows)
    column = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
    width = max(k, int(count.max()))
    scores = torch.full((batch.rows, width), torch.inf, dtype=torch.float64, device=row.device)
    tokens = torch.zeros(batch.rows, width, dtype=torch.int64, device=row.device)
    scores[row, column] = distances(batch, metric, row, token)
    tokens[row, column] = token
    # Tokens stand in order of their id, and a stable sort keeps ties so.
    scores, column = scores.sort(dim=1, stable=True)
    ids, best = tokens.gather(1, column[:, :k]), scores[:, :k].contiguous()

    for row in findings.crowded.nonzero().squeeze(-1).tolist():
        stop_point()
        ids[row], best[row], nearer[row] = _scan(batch, metric, row, k, allowed, asked.distances[row], distances)
    return Settled(ids, best, nearer)


def _scan(
    batch: Batch, metric: Metric, row: int, k: int, allowed: Tensor, asked: Tensor, distances: Exact
) -> tuple[Tensor, Tensor, Tensor]:
    """The k nearest ids and distances of one row, and how many are nearer than its targets, in float64."""
    token = torch.arange(batch.source.shape[1], device=asked.device)
    scores = distances(batch, metric, torch.full_like(token, row), token).masked_fill_(~allowed, torch.inf)
    best, ids = scores.sort(stable=True)
    return ids[:k], best[:k], torch.searchsorted(best, asked)
