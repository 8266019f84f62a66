"""Rows in few bits: whole numbers of a step each, and how far the row itself can be from them.

A product of such rows takes a fourth of the time of a float32 product, and bounds it: x·y is off from the product of
the whole numbers by at most |x̂||y − ŷ| + |x − x̂||y|. Whoever looks for what is far above the rest (the nearest tokens,
a high rank) sees by these bounds alone that most tokens are not it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.cores.pool import spread

TOKENS = 512  # of a tile,
GROUP = 16  # and of a group in it: what stays beside the processor while it is multiplied with many vectors
QUAD = 4  # numbers that are added up in one instruction
CHUNK = 16  # quads whose products are added up in 16 bits
WIDTH = 128  # narrower rows are not worth it
ZERO = 128  # the cell that stands for 0: cells are not negative
# Pairs of products are within 16 bits: 2 · 255 · 63 < 2¹⁵. So are a chunk's sums of them, of the first two numbers of
# each quad and of the last two: by Cauchy-Schwarz none is above the product of two lengths, with what 32 roundings can
# add to each, 3: 259 · 125 < 2¹⁵.
_CELLS = (127, 256)  # the largest number of a row, and the longest half of a chunk, in steps
_STEPS = (63, 122)  # the same of a vector
FINE = 42  # so many fine steps are one: half as many, the most that is left, have 21 √32 < 122 in half a chunk
_ROOM = 1 + 2.0**-20  # for the rounding of lengths


@dataclass(frozen=True, eq=False)
class CoarseRows:
    """The rows of one head's table, tile by tile; tokens past the last are 0."""

    cells: Tensor  # uint8 [tile, group, quad, GROUP, QUAD], ZERO and the number of steps
    step: Tensor  # float32 [tile · TOKENS]
    rest: Tensor  # float32 [tile · TOKENS], |row − its steps|, or more

    @classmethod
    def of(cls, rows: Tensor) -> CoarseRows:
        """Of rows float32 [token, width]; those that are not finite mean nothing."""
        parts = spread(_tile, rows.split(TOKENS))
        cells, step, rest = (torch.stack(part) for part in zip(*parts, strict=True))
        return cls(cells, step.flatten(), rest.flatten())

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self.cells.nbytes + self.step.nbytes + self.rest.nbytes

    @staticmethod
    def size(tokens: int, width: int) -> int:
        """How many bytes such rows would hold."""
        return -(-tokens // TOKENS) * TOKENS * (-(-width // QUAD) * QUAD + 8)


@dataclass(frozen=True)
class CoarseVectors:
    """Vectors that coarse rows are multiplied with: in steps, and on a second plane what is left of them in fine steps.

    A product with the second plane is added to FINE times that with the first, and both count fine steps then. Whoever
    takes one plane knows less, for half the work.
    """

    steps: Tensor  # int8 [plane, vector, quad, QUAD]
    start: Tensor  # int32 [plane, vector, chunk + 1]: what takes away what ZERO adds, see `_starts`
    step: Tensor  # float32 [vector], of the last plane
    rest: Tensor  # float32 [vector], |vector − its steps|, or more

    @property
    def count(self) -> int:
        """How many vectors."""
        return len(self.step)

    @classmethod
    def of(cls, vectors: Tensor, planes: int = 1) -> CoarseVectors:
        """Of finite vectors float32 [vector, width]; planes: 1 or 2."""
        whole, step, rest = _steps(vectors, *_STEPS)
        made = [whole]
        if planes > 1:
            step = step / FINE
            wide = step.double()[:, None]
            left = _padded(vectors).double() - whole.double() * FINE * wide
            fine = (left / wide).round().clamp(-FINE // 2, FINE // 2)
            fine = torch.where(whole.any(1, keepdim=True), fine, 0.0)  # else all is rest
            made.append(fine.float())
            rest = _length(left - fine * wide)
        quads = torch.stack(made).unflatten(2, (-1, QUAD))  # [plane, vector, quad, QUAD]
        return cls(quads.to(torch.int8).contiguous(), _starts(quads), step, rest)


def _starts(quads: Tensor) -> Tensor:
    """Of steps [plane, vector, quad, QUAD]: each chunk's two sums of 16 bits each, and at last that of all in 32."""
    chunks = torch.nn.functional.pad(quads, (0, 0, 0, -quads.shape[2] % CHUNK)).unflatten(2, (-1, CHUNK))
    sums = chunks.unflatten(4, (2, 2)).sum((3, 5)).long() * -ZERO  # [plane, vector, chunk, half]
    low, high = (sums & 0xFFFF).unbind(3)
    every = sums.sum((2, 3))[..., None]  # [plane, vector, 1]
    return torch.cat([low | high << 16, every], 2).to(torch.int32).contiguous()


def _tile(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cells, step and rest of the rows of one tile."""
    rows = torch.nn.functional.pad(rows, (0, 0, 0, TOKENS - len(rows)))
    known = rows.isfinite().all(1)
    whole, step, rest = _steps(rows if known.all() else rows.masked_fill(~known[:, None], 0.0), *_CELLS)
    cells = (whole + ZERO).to(torch.uint8).unflatten(1, (-1, QUAD)).unflatten(0, (-1, GROUP)).transpose(1, 2)
    return cells.contiguous(), step, rest


def _padded(vectors: Tensor) -> Tensor:
    """Vectors [vector, width] with as many zeros as make whole quads."""
    return torch.nn.functional.pad(vectors, (0, -vectors.shape[1] % QUAD))


def _steps(vectors: Tensor, largest: int, longest: int) -> tuple[Tensor, Tensor, Tensor]:
    """Whole numbers float32 [vector, padded width], the step of each vector, and |vector − its steps|."""
    vectors = _padded(vectors)
    wide = vectors.shape[1] // QUAD
    squares = torch.nn.functional.pad(vectors.double().square(), (0, -wide % CHUNK * QUAD))
    # [vector, chunk, quad of the chunk, half, number of the half]
    halves = squares.unflatten(1, (-1, CHUNK, 2, 2)).sum((2, 4)).flatten(1).sqrt().amax(1)
    step = torch.maximum(vectors.abs().amax(1).double() / largest, halves / longest).float() * _ROOM
    fits = (step > 2.0**-100) & (step < 2.0**60)  # else all is rest
    step = torch.where(fits, step, 1.0)
    whole = torch.where(fits[:, None], (vectors / step[:, None]).round(), 0.0)
    return whole, step, _length(vectors.double() - whole.double() * step.double()[:, None])


def _length(rest: Tensor) -> Tensor:
    """The lengths of float64 vectors [vector, width], or a little more: float32 [vector]."""
    found: Tensor = (torch.linalg.vector_norm(rest, dim=1) * _ROOM).float() * _ROOM
    return found
