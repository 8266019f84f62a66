"""The scan in pure torch, on any device: one product and a few passes over each tile of the vocabulary."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.neighbors import bounds
from headscope.neighbors.batch import Batch, Extent
from headscope.neighbors.metrics import Metric
from headscope.neighbors.settle import Findings
from headscope.neighbors.torch_notes import BLOCK, Notes

_SCORES = {"cpu": 2**20, "cuda": 2**25}  # of one tile: what the caches hold; what keeps a GPU busy
_LONGEST = 4096  # tokens of one tile, where queries are few


def scan(
    batch: Batch, metrics: Sequence[Metric], k: int, allowed: Tensor, marks: dict[Metric, Tensor]
) -> dict[Metric, Findings]:
    """Findings of every metric; `marks` float64 [row, target] are the exact scores of the targets."""
    notes: dict[Metric, list[Notes]] = {metric: [] for metric in metrics}
    with _full_float32():
        for place in range(len(batch.spans)):
            for metric, taken in _scan_place(batch, place, metrics, k, allowed, marks).items():
                notes[metric].append(taken)
    return {metric: Notes.findings(batch, marks[metric].shape[1], notes[metric]) for metric in metrics}


@contextmanager
def _full_float32() -> Iterator[None]:
    # TF32 keeps ten bits of a float32's 23: no rank would survive it.
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def _scan_place(
    batch: Batch, place: int, metrics: Sequence[Metric], k: int, allowed: Tensor, marks: dict[Metric, Tensor]
) -> dict[Metric, Notes]:
    table = batch.table
    heads, tokens, d_head = table.rows.shape
    row = batch.rows_by_head(place, 1)  # [head, lane]
    z = batch.queries.flatten(0, 1)[row.clamp(min=0)]  # [head, lane, d_head]
    length = torch.linalg.vector_norm(z, dim=-1, dtype=torch.float64)
    live = (row >= 0) & (length >= bounds.SMALLEST) & (length <= bounds.LARGEST)
    z = torch.where(live[..., None], z, 0.0).transpose(1, 2)  # [head, d_head, lane]
    notes = {m: Notes.start(m, k, row, live, length, marks[m]) for m in metrics}
    size = max(1, min(_LONGEST, _SCORES[z.device.type] // (heads * row.shape[1]), tokens) // BLOCK) * BLOCK
    encoder = Encoder.at(batch, place, size)
    # Written again and again: fresh memory would cost as much as the arithmetic.
    product, spare, scratch = torch.empty(3, heads, size, row.shape[1], device=z.device)
    for start in range(0, tokens, size):
        tile = encoder.tile(start, allowed)
        torch.bmm(tile.encoded, z, out=product)
        for metric in metrics:
            weights = weigh(tile, metric, encoder.extent.cap[:, None], bounds.gamma(d_head))
            # The last metric may use up the product.
            scores = product if metric == metrics[-1] else spare.copy_(product)
            if weights.weight is not None:
                scores *= weights.weight[..., None]
            if weights.offset is not None:
                scores += weights.offset[..., None]
            notes[metric].read(start, scores, weights.error, weights.fixed_error, scratch)
            notes[metric].set_aside(start, tile.fit & ~weights.usable)
    for taken in notes.values():
        taken.finish()
    return notes


@dataclass(frozen=True)
class Tile:
    """The encodings of a stretch of the vocabulary at one place."""

    encoded: Tensor  # float32 [head, token, d_head]; zero where they could overflow
    norm: Tensor  # float32 [head, token], |encoded|
    reach: Tensor  # float32 [head, token], see `bounds`
    fit: Tensor  # bool [token], may be a neighbour


@dataclass(frozen=True)
class Encoder:
    """Encodes one tile after another at one place."""

    batch: Batch
    scale: Tensor | None  # [token]
    shift: Tensor | None  # [head, 1, d_head]
    bias: Tensor  # [head, 1, d_head]
    extent: Extent
    buffer: Tensor  # float32 [head, token of the tile, d_head]

    @classmethod
    def at(cls, batch: Batch, place: int, size: int) -> "Encoder":
        """Encoder of tiles of `size` tokens."""
        heads, _, d_head = batch.table.rows.shape
        scale = None if batch.scale is None else batch.scale[place]
        shift = None if batch.shift is None else batch.shift[place][:, None]
        buffer = torch.zeros(heads, size, d_head, device=batch.queries.device)
        return cls(batch, scale, shift, batch.bias[place][:, None], batch.extent(place), buffer)

    def tile(self, start: int, allowed: Tensor) -> Tile:
        """Tokens from `start` on; past the vocabulary's end they are not fit. The next tile overwrites it."""
        table, stretch = self.batch.table, slice(start, start + self.buffer.shape[1])
        reach = table.norms[:, stretch] + self.extent.shift[:, None]
        encoded = self.buffer[:, : reach.shape[1]]
        if self.shift is None:
            encoded.copy_(table.rows[:, stretch])
        else:
            torch.add(table.rows[:, stretch], self.shift, out=encoded)
        if self.scale is None:
            encoded += self.bias
        else:
            torch.addcmul(self.bias, encoded, self.scale[stretch, None], out=encoded)
            reach = reach * self.scale[stretch].abs()
        reach = reach + self.extent.bias[:, None] + bounds.SMALLEST
        wild = ~(reach <= bounds.LARGEST)
        if wild.any():
            encoded.masked_fill_(wild[..., None], 0.0)
        past = (0, self.buffer.shape[1] - reach.shape[1])
        fit, reach = torch.nn.functional.pad(allowed[stretch], past), torch.nn.functional.pad(reach, past)
        return Tile(self.buffer, torch.linalg.vector_norm(self.buffer, dim=-1), reach, fit)


@dataclass(frozen=True)
class Weights:
    """What makes the product z·R one metric's score: score = product · weight + offset."""

    weight: Tensor | None  # float32 [head, token]; None: 1
    offset: Tensor | None  # float32 [head, token], −inf where not usable; None: 0
    usable: Tensor  # bool [head, token], fit, and certain enough
    error: Tensor  # float32 [head], largest error of a usable score, per |z|
    fixed_error: Tensor  # float32 [head], and whatever z is


def weigh(tile: Tile, metric: Metric, cap: Tensor, gamma: float) -> Weights:
    """Weights of a tile's tokens under one metric."""
    norm, reach = tile.norm, tile.reach
    if metric == "cosine":
        certain = (norm >= bounds.SMALLEST) & (reach <= bounds.CANCELLED * norm) & (reach <= bounds.LARGEST)
    else:
        certain = reach <= cap
    usable = tile.fit & certain
    everything = bool(usable.all())

    def largest(values: Tensor) -> Tensor:
        return (values if everything else torch.where(usable, values, 0.0)).amax(1)  # [head]

    # Every bound grows with each of its arguments, so a tile's largest ones bound all of its tokens.
    fixed = torch.zeros_like(norm[:, 0])
    weight = offset = None
    if metric == "cosine":
        weight = norm.reciprocal() if everything else torch.where(usable, 1 / norm, 0.0)
        error = bounds.cosine_error(gamma, torch.ones_like(fixed), largest(reach * weight))
    else:
        longest, farthest = largest(norm), largest(reach)
        error = bounds.dot_error(gamma, longest, farthest)
        if metric == "euclidean":
            offset = -0.5 * norm * norm
            fixed = bounds.square_error(gamma, longest, farthest)
    if not everything:
        offset = (torch.zeros_like(norm) if offset is None else offset).masked_fill(~usable, -torch.inf)
    return Weights(weight, offset, usable, error, fixed)
