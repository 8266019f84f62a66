"""The scan through coarse rows: for many queries among wide rows of which few tokens are near.

Every token's score is bounded by a product of whole numbers; what reaches the k nearest, or a target, is looked at.
Where that is much for a few queries, as for those with a coordinate that drowns the others, they are taken in finer
steps. Where it still is, as where all rows are alike or a target is far from near, a query is left to the scan of every
row; and once many are, the rest are.
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
_FEW = 8  # one in so many queries is taken in fine steps by itself, or is left of those that are, at most
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
    batch, asked, fine = batch.by_row(), marks[metric], k in _fine.get(_coarse(batch), ())
    found = _sieved(batch, k, allowed, asked, fine)
    left = found.crowded.nonzero().squeeze(1)
    if not fine and 0 < len(left) * _FEW <= batch.rows:
        found = _joined(found, left, _sieved(batch.some(left), k, allowed, asked[left], fine=True))
        left = found.crowded.nonzero().squeeze(1)
    if len(left):
        scanned = numba_tiles.scan(batch.some(left), metrics, k, allowed, {metric: asked[left]})[metric]
        found = _joined(found, left, scanned)
    return {metric: found}


def _pays(batch: Batch, metrics: Sequence[Metric], k: int) -> bool:
    """Whether the rows can be searched so, and few tokens are asked for."""
    few = batch.targets.shape[1] <= _TARGETS and _OPEN * k <= batch.source.shape[1]
    many = batch.rows >= QUERIES
    return tuple(metrics) == ("cosine",) and few and many and is_open() and batch.table.coarse is not None


def _coarse(batch: Batch) -> CoarseRows:
    assert batch.table.coarse is not None, "asked before"
    return batch.table.coarse


def _sieved(batch: Batch, k: int, allowed: Tensor, marks: Tensor, fine: bool) -> Findings:
    """Findings under the cosine of queries that are a row each; `marks` float64 [row, target].

    Rows of which too much is open are crowded. Queries are taken in fine steps as well where these are asked for.
    """
    work, lanes = _Sieve.of(batch, k, allowed, marks, fine), batch.rows
    dense = [torch.zeros(QUERIES, dtype=torch.bool)]  # of the lanes that were looked at, and some that go before

    def findings(some: slice) -> _Found:
        tried = torch.cat(dense)
        if int(tried.sum()) * (_FEW if fine else 2) >= len(tried):
            return _Found.left(some.stop - some.start, marks.shape[1])
        found = work.findings(some)
        dense.append(found.dense)
        return found

    # Two pieces a thread at least, or one thread would wait for the other's last.
    size = max(LANES, min(_SCORES // len(work.allowed), -(-lanes // (2 * threads()))) // LANES * LANES)
    parts = spread(findings, [slice(start, min(start + size, lanes)) for start in range(0, lanes, size)])
    if not fine and sum(part.looks for part in parts) * _LOOKS > sum(map(len, dense[1:])) * batch.source.shape[1]:
        _fine.setdefault(work.coarse, set()).add(k)
    doubtful, contenders = (
        tuple(torch.cat(some) for some in zip(*pairs, strict=True))
        for pairs in ([part.doubtful for part in parts], [part.contenders for part in parts])
    )
    nearer, crowded = torch.cat([part.nearer for part in parts]), torch.cat([part.dense for part in parts])
    return Findings(nearer, doubtful, contenders, crowded)


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

    @classmethod
    def left(cls, lanes: int, targets: int) -> _Found:
        """Of lanes that are not looked at."""
        none = torch.zeros(0, dtype=torch.int64)
        dense = torch.ones(lanes, dtype=torch.bool)
        return cls(torch.zeros(lanes, targets, dtype=torch.int64), dense, 0, (none,) * 4, (none,) * 2)


@dataclass(frozen=True)
class _Sieve:
    """A batch of queries of one row each, laid out for the kernels. A lane is a row; they stand in order of place."""

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
    def of(cls, batch: Batch, k: int, allowed: Tensor, marks: Tensor, fine: bool) -> _Sieve:
        table, coarse = batch.table, _coarse(batch)
        past = (0, len(coarse.step) - table.rows.shape[1])
        z, place_of = batch.queries[:, 0], batch.place_of
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
        steps = CoarseVectors.of(z, planes=2 if fine else 1)
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
        size[open_.numpy()] = doubts[open_.numpy()] = 0  # torch's mask of one is taken for an index
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
