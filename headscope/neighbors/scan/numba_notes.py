"""What compiled scans take note of: counts, near-ties, and whatever may be among the k nearest."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headscope.neighbors.scan.numba_scores import TOKENS
from headscope.neighbors.settle import Findings

Array = np.ndarray[Any, Any]
_MOST_DOUBTS = 2**23  # near-ties that there is room for in all: 160 MB, which are memory only as far as they are needed
_ROWS = 1024  # whose pools are gone through at a time: indices of all would take more than the pools do
_ASIDE = 4096  # tokens of one stretch, metric and place that float64 may have to score for every row


@dataclass(frozen=True)
class NotesRoom:
    """Where there is no more of it, a row is left to float64."""

    spare: int  # places in a row's pool beside k: ties and near-ties at the k-th
    doubts: int  # near-ties of a row with a target, on average


@dataclass(frozen=True)
class KernelNotes:
    """What kernels write, see `scan_head`; the first axes are the cuts of the vocabulary, and the heads."""

    k: int
    row: Array  # [head, lane], −1 where padded
    starts: Array  # [place + 1], first lane of every place
    nearer: Array  # [cut, head, metric, lane, target]
    heaps: Array  # [cut, head, metric, lane, k], the least first
    most: Array  # [cut, head, metric, lane, pool]
    token: Array  # [cut, head, metric, lane, pool]
    size: Array  # [cut, head, metric, lane]
    live: Array  # [cut, head, metric, lane]
    doubtful: Array  # [cut, head, pair, 5]: metric, lane, first target, last, token
    aside: Array  # [cut, head, pair, 3]: metric, place, token
    listed: Array  # [cut, head, 2], how many doubtful and how many aside

    @classmethod
    def empty(cls, row: Array, starts: Array, marks: Array, cuts: int, k: int, room: NotesRoom) -> "KernelNotes":
        """For rows [head, lane], −1 where padded, in order of place, starts [place + 1], of so many marks each."""
        heads, metrics, lanes, targets = marks.shape
        shape = cuts, heads, metrics, lanes
        pooled = (*shape, k + room.spare)
        doubts = min(room.doubts * metrics * lanes * targets, _MOST_DOUBTS // (cuts * heads)) + TOKENS
        return cls(
            k,
            row,
            starts,
            np.zeros((*shape, targets), np.int64),
            np.full((*shape, k), -np.inf, np.float32),
            np.empty(pooled, np.float32),
            np.empty(pooled, np.int32),
            np.zeros(shape, np.int64),
            np.empty(shape, np.bool_),
            np.empty((cuts, heads, doubts, 5), np.int32),
            np.empty((cuts, heads, _ASIDE, 3), np.int64),
            np.empty((cuts, heads, 2), np.int64),
        )

    def findings(self, m: int) -> Findings:
        """What all cuts say about one metric."""
        rows, targets = int(self.row.max()) + 1, self.nearer.shape[-1]
        # The last row is the padded lanes'.
        nearer, floor, live = np.empty((rows + 1, targets), np.int64), np.empty(rows + 1), np.empty(rows + 1, np.bool_)
        nearer[self.row] = self.nearer[:, :, m].sum(0)
        floor[self.row] = self.heaps[:, :, m, :, 0].max(0)  # k tokens surely score as much
        live[self.row] = self.live[:, :, m].all(0)
        live[-1] = False

        contenders, step = [np.empty((2, 0), np.int64)], max(1, _ROWS // self.listed[..., 0].size)
        for start in range(0, self.row.shape[1], step):
            lanes = slice(start, start + step)
            at, row = np.index_exp[:, :, m, lanes], self.row[:, lanes]
            where = _up_to(self.size[at])  # cut, head, lane, place in the pool
            of = row[where[1:3]]
            kept = self.most[at][where] >= floor[of]
            contenders.append(np.stack([of[kept], self.token[at][where][kept]]))
        cut, head, pair = _up_to(self.listed[..., 0])
        of_metric, lane, first, last, token = self.doubtful[cut, head, pair].astype(np.int64).T
        doubtful = [np.stack([self.row[head, lane], first, last, token])[:, of_metric == m]]
        for cut, head, pair in zip(*_up_to(self.listed[..., 1]), strict=True):
            metric, place, token = self.aside[cut, head, pair]
            every = self.row[head, self.starts[place] : self.starts[place + 1]]
            if metric == m:
                contenders.append(np.stack([every, np.full_like(every, token)]))
                doubtful.append(np.stack(np.broadcast_arrays(every, 0, targets, token)))
        return Findings(
            torch.from_numpy(nearer[:-1]),
            _of_live_rows(doubtful, live),
            _of_live_rows(contenders, live),
            torch.from_numpy(~live[:-1]),
        )


def _up_to(counts: Array) -> tuple[Array, ...]:
    """Indices [..., place] of the first so many places of each."""
    return (np.arange(counts.max(initial=0)) < counts[..., None]).nonzero()


def _of_live_rows(pairs: list[Array], live: Array) -> tuple[Tensor, ...]:
    joined = np.concatenate(pairs, 1)
    kept = live[joined[0]]
    joined = joined if kept.all() else joined[:, kept]
    return tuple(torch.from_numpy(np.ascontiguousarray(part)) for part in joined)
