"""The scan in pure torch, on any device: one product and a few passes over each tile of the vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.neighbors import bounds
from headscope.neighbors.batch import Batch
from headscope.neighbors.scan.torch_notes import BLOCK, Notes
from headscope.neighbors.scan.torch_rows import Additions, Rows, Tile, Weights, weigh
from headscope.neighbors.settle import Findings
from headscope.question.choices import Metric
from headscope.question.stopping import stop_point

_SCORES = {"cpu": 2**21, "cuda": 2**25}  # at a time: what the caches hold; what keeps a GPU busy
_TOKENS = {"cpu": 1024, "cuda": 4096}  # of a tile; below 32 blocks, passes over them are not of vector instructions


def scan(
    batch: Batch, metrics: Sequence[Metric], k: int, allowed: Tensor, marks: dict[Metric, Tensor]
) -> dict[Metric, Findings]:
    """Findings of every metric; `marks` float64 [row, target] are the exact scores of the targets."""
    heads, tokens, d_head = batch.table.rows.shape
    device = batch.queries.device
    size = -(-min(_TOKENS[device.type], tokens) // BLOCK) * BLOCK
    additions = Additions.of(batch)
    groups = _groups(batch, additions, metrics, k, marks, max(1, _SCORES[device.type] // (heads * size)))
    rows = Rows(batch, additions, size)
    # Written again and again: fresh memory would cost as much as the arithmetic.
    room = torch.empty(3, heads * groups[0].row.shape[1] * size, device=device)
    for start in range(0, tokens, size):
        stop_point()
        tile = rows.move(start, allowed)
        weights = [weigh(tile, metric, additions.cap, d_head) for metric in metrics]
        for group in groups:
            group.read(start, rows.wide, tile, weights, room)
    for notes in (notes for group in groups for notes in group.notes):
        notes.finish()
    return {
        metric: Notes.findings(batch, marks[metric].shape[1], [group.notes[m] for group in groups])
        for m, metric in enumerate(metrics)
    }


@dataclass(frozen=True)
class _Group:
    """Queries that are multiplied together, in order of their place; a lane is one of them."""

    row: Tensor  # int64 [head, lane]
    place_of: Tensor  # int64 [lane]
    spans: list[tuple[int, slice]]  # places, and their lanes
    z: Tensor  # float32 [head, lane, d_head + 1]: z, z·shift
    along_bias: Tensor  # float32 [head, lane, 1], z·bias
    notes: list[Notes]  # of every metric

    def read(self, start: int, rows: Tensor, tile: Tile, weights: list[Weights], room: Tensor) -> None:
        """Take notes of tokens from `start`: rows [head, token, d_head + 1]; room for three arrays of scores."""
        heads, tokens, _ = rows.shape
        lanes = self.row.shape[1]
        product, spare, scratch = room[:, : heads * lanes * tokens].view(3, heads, lanes, tokens)
        torch.bmm(self.z, rows.transpose(1, 2), out=product)
        for notes, of_metric in zip(self.notes, weights, strict=True):
            # The last metric may use up the product.
            scores = product if notes is self.notes[-1] else spare
            for place, at in self.spans:
                of_metric.scores(place, product[:, at], self.along_bias[:, at], scores[:, at])
            error, fixed_error = of_metric.error[:, self.place_of], of_metric.fixed_error[:, self.place_of]
            notes.read(start, scores, error, fixed_error, scratch)
            aside = tile.fit & ~of_metric.usable  # [head, place, token]
            if aside.any():
                notes.set_aside(start, aside, self.place_of)


def _groups(
    batch: Batch, additions: Additions, metrics: Sequence[Metric], k: int, marks: dict[Metric, Tensor], lanes: int
) -> list[_Group]:
    """All queries of a batch in groups of at most `lanes` lanes, the first one the largest."""
    by_place = [batch.rows_by_head(place, 1) for place in range(len(batch.spans))]
    place_of = torch.repeat_interleave(torch.arange(len(by_place)), torch.tensor([row.shape[1] for row in by_place]))
    groups = []
    for row, place in zip(torch.cat(by_place, 1).split(lanes, 1), place_of.split(lanes), strict=True):
        z = batch.queries.flatten(0, 1)[row]  # [head, lane, d_head]
        length = torch.linalg.vector_norm(z, dim=-1, dtype=torch.float64)
        live = (length >= bounds.SMALLEST) & (length <= bounds.LARGEST)
        z = torch.where(live[..., None], z, 0.0)
        along = [(z.double() * part).sum(2, keepdim=True).float() for part in additions.at(place)]
        ends = torch.bincount(place).cumsum(0).tolist()
        spans = [(p, slice(ends[p - 1] if p else 0, ends[p])) for p in place.unique().tolist()]
        notes = [Notes.start(metric, k, row, live, length, marks[metric]) for metric in metrics]
        groups.append(_Group(row, place.to(z.device), spans, torch.cat([z, along[0]], 2), along[1], notes))
    return groups
