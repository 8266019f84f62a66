"""The tokens whose ranks are wanted: each once a query, and row by row in order of their distance."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headscope.neighbors import bounds
from headscope.neighbors.batch import Batch
from headscope.question.choices import Metric

_BEYOND = 4 * bounds.LARGEST**2  # further than a score that float32 is certain of


def distinct(wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Every query's tokens once, padded with −1, and where each of `wanted` int64 [query, target] stands among them.

    >>> distinct(torch.tensor([[7, 5, 7, -1], [3, 3, 3, 3]]))
    (tensor([[-1,  5,  7],
            [ 3, -1, -1]]), tensor([[2, 1, 2, 0],
            [0, 0, 0, 0]]))
    """
    ascending, order = wanted.sort(1)
    fresh = torch.ones_like(ascending, dtype=torch.bool)
    fresh[:, 1:] = ascending[:, 1:] != ascending[:, :-1]
    column = fresh.cumsum(1) - 1
    width = int(column.max()) + 1 if column.numel() else 1
    tokens = torch.full((len(wanted), width), -1, device=wanted.device).scatter_(1, column, ascending)
    return tokens, torch.empty_like(order).scatter_(1, order, column)


@dataclass(frozen=True)
class Asked:
    """The targets of every row of a batch under one metric, the farthest first, so that their scores ascend."""

    tokens: Tensor  # int64 [row, target], −1 where there is none: they come last
    distances: Tensor  # float64 [row, target], descending; −inf where there is none
    marks: Tensor  # float64 [row, target], ascending scores as `bounds` defines them; inf where there is none
    order: Tensor  # int64 [row, target], each one's column in the batch's targets

    @classmethod
    def of(cls, batch: Batch, metric: Metric, exact: Tensor) -> "Asked":
        """Of the distances of `batch.target_pairs`, float64 [pair]."""
        tokens = batch.targets.repeat_interleave(batch.queries.shape[1], 0)
        distances = torch.full(tokens.shape, -torch.inf, dtype=torch.float64, device=exact.device)
        distances[tokens >= 0] = exact
        order = _ascending(-distances)
        tokens, distances = tokens.gather(1, order), distances.gather(1, order)
        marks = batch.scores(metric, distances).clamp_(-_BEYOND, _BEYOND).masked_fill_(tokens < 0, torch.inf)
        return cls(tokens, distances, marks, order)

    def nearer_than(self, row: Tensor, first: Tensor, last: Tensor, distances: Tensor) -> Tensor:
        """How many distances are nearer than each of a row's targets first … last − 1, int64 [row, target].

        `row`, `first`, `last` int64 [pair], distances float64 [pair].
        """
        return self.counted(row, first, first_not_passed(-self.distances, row, first, last, -distances))

    def passed(self, row: Tensor, first: Tensor, last: Tensor, scores: Tensor) -> Tensor:
        """The first of the targets first … last − 1 whose mark a score does not pass, or last: int64 [pair]."""
        return first_not_passed(self.marks, row, first, last, scores)

    def counted(self, row: Tensor, first: Tensor, past: Tensor) -> Tensor:
        """How many pairs have each of a row's targets among first … past − 1, int64 [row, target]."""
        rows, targets = self.distances.shape
        size, flat = rows * (targets + 1), row * (targets + 1)  # every row has room for one past its last
        steps = torch.bincount(flat + first, minlength=size) - torch.bincount(flat + past, minlength=size)
        return steps.view(rows, -1).cumsum(1)[:, :-1]


def first_not_passed(marks: Tensor, row: Tensor, first: Tensor, last: Tensor, scores: Tensor) -> Tensor:
    """The first of a row's ascending marks first … last − 1 that a score does not pass, or last: int64 [pair]."""
    low, high = first.clone(), last.clone()
    pair = (low < high).nonzero().squeeze(1)
    while len(pair):
        middle = (low[pair] + high[pair]) // 2
        passes = marks[row[pair], middle] < scores[pair]
        low[pair] = torch.where(passes, middle + 1, low[pair])
        high[pair] = torch.where(passes, high[pair], middle)
        pair = pair[low[pair] < high[pair]]
    return low


def _ascending(values: Tensor) -> Tensor:
    """Order of the last axis. On a CPU numpy's sort is of vector instructions, and torch's takes five times as long."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.argsort(values.numpy(), 1))
    return values.argsort(1)
