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
CHUNK = 32  # quads whose products are added up in 16 bits
WIDTH = 128  # narrower rows are not worth it
ZERO = 64  # the cell that stands for 0: cells are not negative
_LARGEST_CELL, _LARGEST = 63, 127
# A chunk's sums in 16 bits are of its first two numbers of each quad, and of its last two. By Cauchy-Schwarz none is
# above the product of two lengths: 176 steps each, and what 64 roundings can add to them, 4; 180² < 2¹⁵.
_LENGTH = 176
_ROOM = 1 + 2.0**-20  # for the rounding of lengths


@dataclass(frozen=True)
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
    """Vectors that coarse rows are multiplied with."""

    steps: Tensor  # int8 [vector, quad, QUAD]
    start: Tensor  # int32 [vector, chunk]: two sums of 16 bits each, which take away what ZERO adds
    step: Tensor  # float32 [vector]
    rest: Tensor  # float32 [vector], |vector − its steps|, or more

    @classmethod
    def of(cls, vectors: Tensor) -> CoarseVectors:
        """Of finite vectors float32 [vector, width]."""
        whole, step, rest = _steps(vectors, _LARGEST)
        quads = whole.unflatten(1, (-1, QUAD))  # [vector, quad, QUAD]
        chunks = torch.nn.functional.pad(quads, (0, 0, 0, -quads.shape[1] % CHUNK)).unflatten(1, (-1, CHUNK))
        sums = chunks.unflatten(3, (2, 2)).sum((2, 4)).long() * -ZERO  # [vector, chunk, half]
        low, high = (sums & 0xFFFF).unbind(2)
        start = (low | high << 16).to(torch.int32)
        return cls(quads.to(torch.int8).contiguous(), start.contiguous(), step, rest)


def _tile(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cells, step and rest of the rows of one tile."""
    rows = torch.nn.functional.pad(rows, (0, 0, 0, TOKENS - len(rows)))
    known = rows.isfinite().all(1)
    whole, step, rest = _steps(rows if known.all() else rows.masked_fill(~known[:, None], 0.0), _LARGEST_CELL)
    cells = (whole + ZERO).to(torch.uint8).unflatten(1, (-1, QUAD)).unflatten(0, (-1, GROUP)).transpose(1, 2)
    return cells.contiguous(), step, rest


def _steps(vectors: Tensor, largest: int) -> tuple[Tensor, Tensor, Tensor]:
    """Whole numbers float32 [vector, padded width], the step of each vector, and |vector − its steps|."""
    vectors = torch.nn.functional.pad(vectors, (0, -vectors.shape[1] % QUAD))
    wide = vectors.shape[1] // QUAD
    squares = torch.nn.functional.pad(vectors.double().square(), (0, -wide % CHUNK * QUAD))
    # [vector, chunk, quad of the chunk, half, number of the half]
    halves = squares.unflatten(1, (-1, CHUNK, 2, 2)).sum((2, 4)).flatten(1).sqrt().amax(1)
    step = torch.maximum(vectors.abs().amax(1).double() / largest, halves / _LENGTH).float() * _ROOM
    fits = (step > 2.0**-100) & (step < 2.0**60)  # else all is rest
    step = torch.where(fits, step, 1.0)
    whole = torch.where(fits[:, None], (vectors / step[:, None]).round(), 0.0)
    rest = torch.linalg.vector_norm(vectors.double() - whole.double() * step.double()[:, None], dim=1)
    return whole, step, (rest * _ROOM).float() * _ROOM
