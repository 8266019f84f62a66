"""The scan through coarse rows: for many queries among wide rows of which few tokens are near.

Every token's score is bounded by a product of whole numbers; what reaches the k nearest, or a target, is looked at.
Where that is much, as where all rows are alike, the query is left to the scan of every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from headscope.cores.pool import spread, threads
from headscope.neighbors import bounds
from headscope.neighbors.batch import Batch
from headscope.neighbors.coarse import CoarseRows, CoarseVectors
from headscope.neighbors.scan import numba_tiles
from headscope.neighbors.scan.numba_coarse import LANES, is_open
from headscope.neighbors.scan.numba_sift import bound_all, sift
from headscope.neighbors.settle import Findings
from headscope.question.choices import Metric

Array = np.ndarray[Any, Any]
QUERIES = 64  # fewer are not worth laying the coarse rows out
_TARGETS = 12  # of a query: more of them are better counted by buckets
_SCORES = 2**22  # of the lanes that one thread holds, 16 MB
_OPEN = 4  # one in so many tokens is looked at, at most
_SPARE = 112  # places beside k for ties and near-ties
_FAR = 2.0**60  # a product as large could not be held in float32
_LOOKS = 32  # where more than one in so many tokens is looked at, queries are taken in fine steps as well from then on
_DOUBTS = 64  # near-ties of a row with its targets that there is room for
# Rows among which so many nearest have been searched for at the cost of many looks.
_fine: WeakKeyDictionary[CoarseRows, set[int]] = WeakKeyDictionary()


def scan(
    batch: Batch, metrics: Sequence[Metric], k: int, allowed: Tensor, marks: dict[Metric, Tensor]
) -> dict[Metric, Findings]:
    """Findings of every metric, through coarse rows where that pays; `marks` float64 [row, target]."""
    if not _pays(batch, metrics, k):
        return numba_tiles.scan(batch, metrics, k, allowed, marks)
    (metric,) = metrics
    found, heads = _sieved(batch, k, allowed, marks[metric]), batch.queries.shape[1]
    left = found.crowded.view(-1, heads).any(1).nonzero().squeeze(1)
    if not len(left):
        return {metric: found}
    row = (left[:, None] * heads + torch.arange(heads)).flatten()
    other = numba_tiles.scan(batch.some(left), metrics, k, allowed, {metric: marks[metric][row]})[metric]
    return {metric: _joined(found, row, other)}


def _pays(batch: Batch, metrics: Sequence[Metric], k: int) -> bool:
    """Whether the rows can be searched so, and few tokens are asked for."""
    few = batch.targets.shape[1] <= _TARGETS and _OPEN * k <= batch.source.shape[1]
    many = batch.rows >= QUERIES
    return tuple(metrics) == ("cosine",) and few and many and is_open() and batch.table.coarse is not None


def _sieved(batch: Batch, k: int, allowed: Tensor, marks: Tensor) -> Findings:
    """Findings under the cosine; `marks` float64 [row, target]. Rows of which too much is open are crowded."""
    work = _Sieve.of(batch, k, allowed, marks)
    lanes = batch.rows
    # Two pieces a thread at least, or one thread would wait for the other's last.
    size = max(LANES, min(_SCORES // len(work.allowed), -(-lanes // (2 * threads()))) // LANES * LANES)
    parts = spread(work.findings, [slice(start, min(start + size, lanes)) for start in range(0, lanes, size)])
    if sum(part.looks for part in parts) * _LOOKS > lanes * batch.source.shape[1]:
        _fine.setdefault(work.coarse, set()).add(k)
    doubtful, contenders = (
        tuple(torch.cat(some) for some in zip(*pairs, strict=True))
        for pairs in ([part.doubtful for part in parts], [part.contenders for part in parts])
    )
    nearer, dense = torch.cat([part.nearer for part in parts]), torch.cat([part.dense for part in parts])
    return Findings(nearer, doubtful, contenders, dense)


def _joined(found: Findings, row: Tensor, other: Findings) -> Findings:
    """The same, with those of some rows int64 [row] in the place of what there is of them."""
    kept = torch.ones_like(found.crowded)
    kept[row] = False
    nearer, crowded = found.nearer.clone(), found.crowded.clone()
    nearer[row], crowded[row] = other.nearer, other.crowded

    def pairs(one: tuple[Tensor, ...], more: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        of_kept = kept[one[0]]
        own = [part[of_kept] for part in one]
        return tuple(torch.cat(both) for both in zip(own, (row[more[0]], *more[1:]), strict=True))

    return Findings(nearer, pairs(found.doubtful, other.doubtful), pairs(found.contenders, other.contenders), crowded)


@dataclass(frozen=True)
class _Found:
    """What is known of some lanes."""

    nearer: Tensor  # int64 [lane, target]
    dense: Tensor  # bool [lane]
    looks: int  # at tokens, of all lanes
    doubtful: tuple[Tensor, ...]  # row, first, last, token
    contenders: tuple[Tensor, ...]  # row, token


@dataclass(frozen=True)
class _Sieve:
    """A batch laid out for the kernels. A lane is a row; lanes stand in order of their place."""

    k: int
    rows: Array  # [token, d]
    coarse: CoarseRows
    norms: Array  # [token of a tile]
    allowed: Array  # [token of a tile]
    scale: Array  # [place, token of a tile]
    shift: Array  # float64 [place, d]
    bias: Array  # float64 [place, d]
    shifts: CoarseVectors  # of every place, or of one for all, and LANES more
    biases: CoarseVectors
    place: Array  # float32 [place, 7], see `_weigh`
    place_of: Array  # [lane]
    z: Array  # float64 [lane, d]
    steps: CoarseVectors  # and LANES more
    of_lane: Array  # float32 [lane, 5], see `bound_all`
    marks: Array  # float64 [lane, target]
    targets: Array  # [lane]
    live: Tensor  # bool [lane]

    @classmethod
    def of(cls, batch: Batch, k: int, allowed: Tensor, marks: Tensor) -> _Sieve:
        table, coarse = batch.table, batch.table.coarse
        assert coarse is not None, "asked before"
        past = (0, len(coarse.step) - table.rows.shape[1])
        z = batch.queries.flatten(0, 1)
        place_of = batch.place_of.repeat_interleave(batch.queries.shape[1])
        length = torch.linalg.vector_norm(z, dim=1, dtype=torch.float64)
        live = (length >= bounds.SMALLEST) & (length <= bounds.LARGEST)
        z, length = torch.where(live[:, None], z, 0.0), torch.where(live, length, 0.0)
        bias = batch.bias[:, 0].double()
        shift = torch.zeros_like(bias) if batch.shift is None else batch.shift[:, 0].double()
        wide = z.double()
        along = torch.stack([(wide * part[place_of]).sum(1) for part in (shift, bias)], 1)
        live &= along.abs().amax(1) <= _FAR
        scale = torch.ones(len(bias), table.rows.shape[1]) if batch.scale is None else batch.scale
        shifts, biases = (CoarseVectors.of(_once(part).float()) for part in (shift, bias))
        steps = CoarseVectors.of(z, planes=2 if k in _fine.get(coarse, ()) else 1)
        along = along.masked_fill(~live[:, None], 0.0)
        reach = (length + steps.rest) * (1 + bounds.COARSE_UNIT)
        of_lane = torch.cat([steps.step[:, None], along, reach[:, None], steps.rest[:, None]], 1)
        return cls(
            k, table.rows[0].numpy(), coarse, pad(table.norms[0], past).numpy(), pad(allowed, past).numpy(),
            pad(scale, past).numpy(), shift.numpy(), bias.numpy(), shifts, biases,
            _of_places(shift, bias, shifts, biases), place_of.numpy(), wide.numpy(), steps,
            of_lane.float().numpy(), marks.numpy(), marks.isfinite().sum(1).numpy(), live,
        )  # fmt: skip

    def findings(self, lanes: slice) -> _Found:
        """What is left of some lanes."""
        count, tokens = lanes.stop - lanes.start, len(self.allowed)
        places = slice(int(self.place_of[lanes.start]), int(self.place_of[lanes.stop - 1]) + 1)
        place_of = self.place_of[lanes] - places.start
        top, seeds = np.empty((count, tokens), np.float32), np.zeros((count, self.k), np.int64)
        bound_all(
            self.coarse.cells.numpy(), self.coarse.step.numpy(), self.coarse.rest.numpy(), self.norms, self.allowed,
            self.scale[places], _some(self.shifts, places), _some(self.biases, places),
            (int(self.shifts.count > 1), int(self.biases.count > 1)), self.place[places],
            *_some(self.steps, lanes), -(-count // LANES) * LANES if len(self.steps.steps) > 1 else 0,
            self.of_lane[lanes], place_of, top, seeds,
        )  # fmt: skip
        targets = self.marks.shape[1]
        nearer, size, doubts, looks = np.zeros((count, targets), np.int64), *np.zeros((3, count), np.int64)
        found = np.empty((count, self.k + _SPARE), np.int64)
        doubtful, dense = np.empty((count, _DOUBTS * targets, 2), np.int64), np.empty(count, np.bool_)
        sift(
            self.rows, self.norms, self.scale[places], self.shift[places], self.bias[places], self.place[places],
            place_of, self.z[lanes], self.of_lane[lanes, 3], top, seeds, self.marks[lanes], self.targets[lanes],
            max(self.k + _SPARE, len(self.rows) // _OPEN), looks, nearer, found, size, doubtful, doubts, dense,
        )  # fmt: skip
        open_ = torch.from_numpy(dense) | ~self.live[lanes]
        size[open_], doubts[open_] = 0, 0
        lane, column = _up_to(size, found.shape[1])
        doubt, pair = _up_to(doubts, doubtful.shape[1])
        target, token = torch.from_numpy(doubtful)[doubt, pair].unbind(1)
        return _Found(
            torch.from_numpy(nearer),
            open_,
            int(looks.sum()),
            (lanes.start + doubt, target, target + 1, token),
            (lanes.start + lane, torch.from_numpy(found)[lane, column]),
        )


def _up_to(counts: Array, room: int) -> tuple[Tensor, ...]:
    """Lane and column of the first so many of every lane."""
    return (torch.arange(room) < torch.from_numpy(counts)[:, None]).nonzero(as_tuple=True)


def _once(vectors: Tensor) -> Tensor:
    """One of vectors [place, d] that are all the same, or all of them."""
    return vectors[:1] if bool((vectors == vectors[:1]).all()) else vectors


def _some(vectors: CoarseVectors, chosen: slice) -> tuple[Array, Array]:
    """Steps and starts of some vectors, or of one for all, in fours; those of one plane after those of another."""
    steps, start = vectors.steps, vectors.start
    if vectors.count > 1:
        steps, start = steps[:, chosen], start[:, chosen]
    past = -steps.shape[1] % LANES
    steps, start = pad(steps, (0, 0, 0, 0, 0, past)), pad(start, (0, 0, 0, past))
    return steps.flatten(0, 1).numpy(), start.flatten(0, 1).numpy()  # (plane · vector, …)


def _of_places(shift: Tensor, bias: Tensor, shifts: CoarseVectors, biases: CoarseVectors) -> Array:
    """What `_weigh` has to know of every place, float32 [place, 7]."""
    columns = []
    for vectors, coarse in ((shift, shifts), (bias, biases)):
        columns += [vectors.norm(dim=1) * (1 + bounds.COARSE_UNIT), coarse.step, coarse.rest]
    columns.append((shift * bias).sum(1))
    return torch.stack([column.float().expand(len(shift)) for column in columns], 1).numpy()
