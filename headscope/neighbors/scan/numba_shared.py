"""The compiled scan of rows that are not held: torch multiplies shared vectors, compiled code reads the products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headscope.cores.pool import spread, threads
from headscope.neighbors import bounds
from headscope.neighbors.batch import Batch
from headscope.neighbors.scan import torch_tiles
from headscope.neighbors.scan.numba_notes import KernelNotes, NotesRoom
from headscope.neighbors.scan.numba_products import read_products
from headscope.neighbors.scan.numba_scores import FEW, TOKENS
from headscope.neighbors.scan.torch_rows import Additions, multiply, narrow, roundings
from headscope.neighbors.settle import Findings
from headscope.neighbors.shared import Shared
from headscope.question.choices import METRICS, Metric

Array = np.ndarray[Any, Any]
_PRODUCTS = 2**18  # at a time: with what is not added up yet, what a core's second cache holds
_MOST_TOKENS = 1024  # of a tile, where the queries are few
_PIECES = 4  # for each thread: whoever shares its core with another program then holds up the rest for a short while
_ROOM = NotesRoom(1024, 1024)  # a row more in float64 would be dear: the vocabulary's rows are made for it


def scan(
    batch: Batch, metrics: Sequence[Metric], k: int, allowed: Tensor, marks: dict[Metric, Tensor]
) -> dict[Metric, Findings]:
    """Findings of every metric; `marks` float64 [row, target] are the exact scores of the targets.

    Many targets are counted in torch.
    """
    if batch.targets.shape[1] > FEW:
        return torch_tiles.scan(batch, metrics, k, allowed, marks)
    work = _Work.of(batch, metrics, allowed, marks)
    tiling = _Tiling.of(work)
    starts = range(0, len(work.allowed), tiling.stretch)
    notes = KernelNotes.empty(work.row, work.starts, work.marks, len(starts), k, _ROOM)
    spread(lambda one: work.scan(notes, tiling, *one), list(enumerate(starts)))
    return {metric: notes.findings(m) for m, metric in enumerate(metrics)}


@dataclass(frozen=True)
class _Tiling:
    """How a scan falls apart: the vocabulary into stretches, those into tiles, and a head's lanes into groups."""

    stretch: int  # in tokens
    tokens: int  # of a tile
    lanes: int  # of a group

    @classmethod
    def of(cls, work: _Work) -> _Tiling:
        heads, lanes, _ = work.vectors.shape
        vectors, tokens = work.additions.vectors.shape[1], len(work.allowed)
        group = min(lanes, max(1, _PRODUCTS // (heads * TOKENS)))
        most = max(TOKENS, min(_MOST_TOKENS, _PRODUCTS // (heads * (group + vectors)) // TOKENS * TOKENS))
        pieces = -(-tokens // (_PIECES * threads()))
        size = min(most, -(-pieces // TOKENS) * TOKENS)
        return cls(-(-pieces // size) * size, size, group)


@dataclass(frozen=True)
class _Work:
    """A batch laid out for the kernel; a lane is a row, and a head's stand in order of their place."""

    source: Shared
    additions: Additions
    metrics: Array  # [metric]
    allowed: Array  # [token]
    scale: Array  # [place, token]
    of_places: Array  # [head, place, 7], see `read_products`
    starts: Array  # [place + 1], first lane of every place
    row: Array  # [head, lane]
    vectors: Tensor  # float32 [head, lane, d], what is drawn of z
    z_along: Array  # [head, 2, lane], z·shift and z·bias
    length: Array  # [head, lane], |z|
    pull: Array  # [head, lane], how long what is drawn of z is
    live: Array  # [head, 1, lane]
    marks: Array  # [head, metric, lane, target]
    targets: Array  # [head, lane], how many there are

    @classmethod
    def of(cls, batch: Batch, metrics: Sequence[Metric], allowed: Tensor, marks: dict[Metric, Tensor]) -> _Work:
        source, additions, places = batch.source, Additions.of_batch(batch), range(len(batch.spans))
        assert isinstance(source, Shared)
        by_place = [batch.rows_by_head(place, 1) for place in places]
        row, counts = torch.cat(by_place, 1), torch.tensor([of_place.shape[1] for of_place in by_place])
        z = batch.queries.flatten(0, 1)[row]  # (head, lane, d_head)
        length = torch.linalg.vector_norm(z, dim=-1, dtype=torch.float64)
        live = (length >= bounds.SMALLEST) & (length <= bounds.LARGEST)
        vectors, pull = narrow(batch.drawn.queries[row].masked_fill(~live[..., None], 0.0))
        live &= pull[..., 0].isfinite()
        shift, bias = additions.at(torch.repeat_interleave(counts))
        wide = z.masked_fill(~live[..., None], 0.0).double()
        along = [torch.zeros_like(length) if part is None else (wide * part).sum(2) for part in (shift, bias)]
        return cls(
            source,
            additions,
            np.array([METRICS.index(metric) for metric in metrics]),
            allowed.numpy(),
            (torch.ones(len(places), len(allowed)) if batch.scale is None else batch.scale).contiguous().numpy(),
            additions.of_places().numpy(),
            np.cumsum([0, *counts.tolist()]),
            row.numpy(),
            vectors,
            torch.stack(along, 1).float().numpy(),
            length.masked_fill(~live, 0.0).numpy(),
            pull[..., 0].masked_fill(~live, 0.0).numpy(),
            live[:, None].numpy(),
            torch.stack([marks[metric][row] for metric in metrics], 1).numpy(),
            marks[metrics[0]].isfinite().sum(1)[row].numpy(),
        )

    def scan(self, notes: KernelNotes, tiling: _Tiling, at: int, first: int) -> None:
        """Take notes on one stretch of the vocabulary."""
        _, lanes, width = self.vectors.shape
        notes.live[at], notes.listed[at] = self.live, 0
        groups = [slice(lane, min(lane + tiling.lanes, lanes)) for lane in range(0, lanes, tiling.lanes)]
        # One product with both reads the vectors once.
        vectors = [torch.cat([self.additions.vectors, self.vectors[:, groups[0]]], 1)]
        vectors += [self.vectors[:, group].contiguous() for group in groups[1:]]
        room = torch.empty(3, vectors[0][..., 0].numel() * tiling.tokens)
        shifts = 0 if self.additions.shift is None else len(self.starts) - 1
        biases = self.additions.vectors.shape[1] - shifts
        for start in range(first, min(first + tiling.stretch, len(self.allowed)), tiling.tokens):
            tokens = slice(start, min(start + tiling.tokens, first + tiling.stretch, len(self.allowed)))
            along = self._product(tokens, vectors[0], room[0], room[2], tiling.tokens)
            for group, of_group in zip(groups, vectors, strict=True):
                product = self._product(tokens, of_group, room[1], room[2], tiling.tokens) if group.start else along
                read_products(
                    start, tokens.stop - start, (group.start, group.stop), product, along, (shifts, biases),
                    self.source.norms.numpy(), self.source.stock.lengths.numpy(), self._along_bias, self.allowed,
                    self.scale, self.of_places, self.additions.cap[..., 0].numpy(), self.starts, self.metrics,
                    bounds.gamma(roundings(width) + 2), self.z_along, self.length, self.pull, notes.live[at],
                    self.marks, self.targets, notes.nearer[at], notes.heaps[at], notes.most[at], notes.token[at],
                    notes.size[at], notes.doubtful[at], notes.aside[at], notes.listed[at],
                )  # fmt: skip

    def _product(self, tokens: slice, vectors: Tensor, room: Tensor, spare: Tensor, count: int) -> Array:
        """Products float32 [head, vector, token of the tile], in some room."""
        heads, several, _ = vectors.shape
        out, left = (part[: heads * several * count].view(heads, several, count) for part in (room, spare))
        multiply(self.source, slice(0, heads), tokens, vectors, out, left)
        return out.numpy()

    @property
    def _along_bias(self) -> Array:
        along = None if self.additions.along_bias is None else self.source.along
        return np.empty((len(self.row), 0), np.float32) if along is None else along.numpy()
