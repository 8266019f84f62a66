"""The scan in pure torch, on any device: one product and a few passes over each tile of the vocabulary.

On a CPU it falls into pieces, some heads' stretch of the vocabulary each, and each is read on one thread.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.cores.pool import spread, threads
from headscope.neighbors import bounds
from headscope.neighbors.batch import Batch
from headscope.neighbors.scan.torch_notes import BLOCK, Notes
from headscope.neighbors.scan.torch_rows import Additions, Tile, Weights, multiply, narrow, weigh
from headscope.neighbors.settle import Findings
from headscope.neighbors.shared import Shared
from headscope.question.choices import Metric

_SCORES = {"cpu": 2**19, "cuda": 2**25}  # at a time: what a core's caches hold; what keeps a GPU busy
_TOKENS = {"cpu": 1024, "cuda": 4096}  # of a tile; below 32 blocks, passes over them are not of vector instructions
_MOST_TOKENS = 4096  # of a tile on a CPU, where the queries are few
_PIECES = 4  # for each thread: whoever shares its core with another program then holds up the rest for a short while


def scan(
    batch: Batch, metrics: Sequence[Metric], k: int, allowed: Tensor, marks: dict[Metric, Tensor]
) -> dict[Metric, Findings]:
    """Findings of every metric; `marks` float64 [row, target] are the exact scores of the targets."""
    cut, additions = _Cut.of(batch), Additions.of_batch(batch)
    groups = _groups(batch, additions, cut.lanes)

    def read(piece: tuple[slice, range]) -> list[list[Notes]]:
        reader = _Reader.of(batch, additions, groups, piece[0], cut.tokens)
        notes = [[group.notes(metric, k, marks[metric]) for metric in metrics] for group in reader.groups]
        for start in piece[1]:
            reader.read(slice(start, min(start + cut.tokens, piece[1].stop)), allowed, notes)
        for of_metrics in notes:
            for of_metric in of_metrics:
                of_metric.finish()
        return notes

    blocks, stretches = cut.pieces(batch)
    notes = spread(read, [(heads, stretch) for heads in blocks for stretch in stretches])
    same = [notes[b : b + len(stretches)] for b in range(0, len(notes), len(stretches))]  # of one block of heads each
    return {
        metric: Notes.findings(
            batch,
            marks[metric].shape[1],
            [[piece[g][m] for piece in pieces] for pieces in same for g in range(len(groups))],
        )
        for m, metric in enumerate(metrics)
    }


@dataclass(frozen=True)
class _Cut:
    """How a scan falls apart: into pieces, and those into tiles and groups of queries."""

    heads: int  # of a piece
    stretch: int  # of a piece, in tokens
    tokens: int  # of a tile
    lanes: int  # queries of a head that are multiplied together

    @classmethod
    def of(cls, batch: Batch) -> "_Cut":
        heads, tokens, _ = batch.source.shape
        device, queries = batch.queries.device.type, batch.rows // heads
        scores, least = _SCORES[device], _TOKENS[device]
        if device != "cpu":
            size = _tile(tokens, least)
            return cls(heads, tokens, size, max(1, scores // (heads * size)))
        # Heads that multiply the same vectors do it together.
        lanes = max(1, min(queries, scores // (least * heads if isinstance(batch.source, Shared) else least)))
        several = heads if isinstance(batch.source, Shared) else _even(heads, max(1, scores // (lanes * least)))
        size = _tile(tokens, max(least, min(_MOST_TOKENS, scores // (lanes * several))))
        cuts = -(-_PIECES * threads() // -(-heads // several))
        return cls(several, -(-tokens // (cuts * size)) * size, size, lanes)

    def pieces(self, batch: Batch) -> tuple[list[slice], list[range]]:
        """Blocks of heads, and stretches of the vocabulary as the first tokens of their tiles."""
        heads, tokens, _ = batch.source.shape
        return (
            [slice(first, min(first + self.heads, heads)) for first in range(0, heads, self.heads)],
            [range(first, min(first + self.stretch, tokens), self.tokens) for first in range(0, tokens, self.stretch)],
        )


def _tile(tokens: int, most: int) -> int:
    """Tokens of a tile: the last one is filled up."""
    return -(-_even(tokens, most) // BLOCK) * BLOCK


def _even(count: int, most: int) -> int:
    """The least size of the fewest parts of `count` that have at most `most` each."""
    return -(-count // -(-count // most))


@dataclass(frozen=True)
class _Group:
    """Queries that are multiplied together, in order of their place; a lane is one of them."""

    row: Tensor  # int64 [head, lane]
    place_of: Tensor  # int64 [lane]
    spans: list[tuple[int, slice]]  # places, and their lanes
    along_shift: Tensor | None  # float32 [head, lane, 1], z·shift
    along_bias: Tensor  # float32 [head, lane, 1], z·bias
    vectors: Tensor  # float32 [head, lane, …], what rows are multiplied with for z
    pull: Tensor | None  # float32 [head, lane], how long these are, where they are drawn
    length: Tensor  # float64 [head, lane], |z|
    live: Tensor  # bool [head, lane], false where left to float64

    def of(self, heads: slice) -> "_Group":
        along_shift, pull = (None if part is None else part[heads] for part in (self.along_shift, self.pull))
        return _Group(
            self.row[heads], self.place_of, self.spans, along_shift, self.along_bias[heads], self.vectors[heads],
            pull, self.length[heads], self.live[heads],
        )  # fmt: skip

    def notes(self, metric: Metric, k: int, marks: Tensor) -> Notes:
        return Notes.start(metric, k, self.row, self.live, self.length, marks)


def _groups(batch: Batch, additions: Additions, lanes: int) -> list[_Group]:
    """All queries of a batch in groups of at most `lanes` lanes, the first one the largest."""
    by_place = [batch.rows_by_head(place, 1) for place in range(len(batch.spans))]
    place_of = torch.repeat_interleave(torch.arange(len(by_place)), torch.tensor([row.shape[1] for row in by_place]))
    groups = []
    for row, place in zip(torch.cat(by_place, 1).split(lanes, 1), place_of.split(lanes), strict=True):
        z = batch.queries.flatten(0, 1)[row]  # [head, lane, d_head]
        length = torch.linalg.vector_norm(z, dim=-1, dtype=torch.float64)
        live = (length >= bounds.SMALLEST) & (length <= bounds.LARGEST)
        z = torch.where(live[..., None], z, 0.0)
        shift, bias = (
            None if part is None else (z.double() * part).sum(2, keepdim=True).float() for part in additions.at(place)
        )
        assert bias is not None
        ends = torch.bincount(place).cumsum(0).tolist()
        spans = [(p, slice(ends[p - 1] if p else 0, ends[p])) for p in place.unique().tolist()]
        vectors, pull = z, None
        if isinstance(batch.source, Shared):
            vectors, pull = narrow(torch.where(live[..., None], batch.drawn.queries[row], 0.0))
            live, pull = live & pull[..., 0].isfinite(), pull[..., 0].nan_to_num(posinf=0.0)
        groups.append(_Group(row, place.to(z.device), spans, shift, bias, vectors, pull, length, live))
    return groups


@dataclass(frozen=True)
class _Reader:
    """Reads tiles of some heads' vocabulary."""

    batch: Batch
    heads: slice
    additions: Additions
    groups: list[_Group]
    vectors: list[Tensor]  # float32 [head, vector, d_head]: every group's queries, and before the first's the places'
    tokens: int  # of a tile; the last may have fewer
    room: Tensor  # float32 [3, …], for three arrays of scores

    @classmethod
    def of(cls, batch: Batch, additions: Additions, groups: list[_Group], heads: slice, tokens: int) -> "_Reader":
        additions, groups = additions.of(heads), [group.of(heads) for group in groups]
        # One product with both reads the rows once.
        vectors = [torch.cat([additions.vectors, groups[0].vectors], 1), *(group.vectors for group in groups[1:])]
        # Written again and again: fresh memory would cost as much as the arithmetic.
        room = torch.empty(3, vectors[0].shape[0] * vectors[0].shape[1] * tokens, device=batch.queries.device)
        return cls(batch, heads, additions, groups, vectors, tokens, room)

    def read(self, tokens: slice, allowed: Tensor, notes: list[list[Notes]]) -> None:
        """Take notes of a tile's tokens, for every group and metric."""
        source, tile, weights = self.batch.source, None, []
        width = source.shape[2]
        for group, vectors, of_metrics in zip(self.groups, self.vectors, notes, strict=True):
            heads, count, _ = vectors.shape
            shape = heads, count, self.tokens
            product, spare = self.room[:2, : heads * count * self.tokens].view(2, *shape)
            multiply(source, self.heads, tokens, vectors, product, spare)
            if tile is None:
                along, product = product.tensor_split([count - group.row.shape[1]], 1)
                tile = Tile.of(self.additions, source, self.heads, tokens, along, allowed[tokens])
                weights = [weigh(tile, notes.metric, self.additions.cap, width) for notes in of_metrics]
            self._score(group, tokens.start, product, tile, weights, of_metrics)

    def _score(
        self, group: _Group, start: int, product: Tensor, tile: Tile, weights: list[Weights], notes: list[Notes]
    ) -> None:
        spare, scratch = self.room[1:, : product.numel()].view(2, *product.shape)
        if group.along_shift is not None:
            product += group.along_shift
        for of_metric, weight in zip(notes, weights, strict=True):
            # The last metric may use up the product.
            scores = product if of_metric is notes[-1] else spare
            for place, at in group.spans:
                weight.scores(place, product[:, at], group.along_bias[:, at], scores[:, at])
            error, fixed_error = weight.error[:, group.place_of], weight.fixed_error[:, group.place_of]
            if weight.blur is not None and group.pull is not None:
                fixed_error = fixed_error + weight.blur[:, group.place_of] * group.pull
            of_metric.read(start, scores, error, fixed_error, scratch)
            aside = tile.fit & ~weight.usable  # [head, place, token]
            if aside.any():
                of_metric.set_aside(start, aside, group.place_of)
