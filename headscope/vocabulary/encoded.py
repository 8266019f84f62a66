"""A vocabulary as one space compares it: its table at a place, and how a head's vectors enter the space."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from headscope.errors import InputError
from headscope.neighbors import Place, Source, Table
from headscope.question.stopping import stop_point

_STRETCH = 4096  # tokens that are narrowed at a time

Derivation = Literal["closed form", "model"]  # how encodings came about


@dataclass(frozen=True)
class Aim:
    """How the vectors of a layer's heads enter a space: x ↦ x M + c, in every head."""

    matrix: Tensor  # float64 [head, d_head, width]
    offset: Tensor  # float64 [head, width]

    def __call__(self, x: Tensor) -> Tensor:
        """x M + c float32 [..., head, width], for x [..., head, d_head]."""
        return (self.linear(x) + self.offset).float()

    def linear(self, x: Tensor) -> Tensor:
        """x M float64 [..., head, width]."""
        return torch.einsum("...hd,hde->...he", x.double(), self.matrix)


@dataclass(frozen=True)
class Encoded:
    """The vocabulary in one space: R[h, t] = scale[t] (rows[h, t] + shift[h]) + bias[h], and how vectors get there."""

    source: Source
    place: Place
    way: Derivation
    error: float  # largest difference from the model's own values on a sample, relative to the largest |v|
    aim: Aim | None = None  # None: vectors are compared as they are

    @property
    def table(self) -> Table:
        """The source as rows that are held, where they were asked for."""
        assert isinstance(self.source, Table), "encodings for few vectors may have no table"
        return self.source

    def rows(self, ids: Tensor) -> Tensor:
        """R of `ids` [token] in every head of the source: float64 [token, head, width]."""
        return self.source.encodings(self.place, ids).transpose(0, 1)  # (token, head, width)

    def enter(self, vectors: Tensor) -> Tensor:
        """Vectors [..., head, d_head] of the layer's heads as they are compared: float32 [..., head, width]."""
        vectors = vectors.to(self.source.device)
        wanted = self.source.shape[2] if self.aim is None else self.aim.matrix.shape[1]
        if vectors.shape[-1] != wanted:
            raise InputError(
                f"each head's keys and queries have {wanted} numbers here, and what is to be compared with them has "
                f"{vectors.shape[-1]}: compare the head's own k or q (vector), or ask for the space value."
            )
        return vectors if self.aim is None else self.aim(vectors)

    def narrowed(self) -> Encoded:
        """The same comparison in d_head + 1 numbers, for an aim x M that widens: every product and length stays.

        With Q an orthonormal basis of M's rows, R becomes (R Q, |R − R Q Qᵀ|), and x M becomes (x M Q, 0). Searching
        many vectors is then as cheap as in the heads' own spaces, at the cost of a table for each layer.
        """
        assert self.aim is not None, "only W_O widens"
        basis, upper = torch.linalg.qr(self.aim.matrix.mT)  # (head, width, d_head), (head, d_head, d_head)
        across = basis.transpose(0, 1).flatten(1)  # (width, head · d_head): one product for all heads
        tokens, parts = self.source.shape[1], []
        for start in range(0, tokens, _STRETCH):
            stop_point()
            (rows,) = self.source.encodings(self.place, slice(start, start + _STRETCH))  # (token, width)
            inside = (rows @ across).unflatten(1, (len(basis), -1)).transpose(0, 1)  # (head, token, d_head)
            outside = (rows.square().sum(-1) - inside.square().sum(-1)).clamp_min(0).sqrt()
            parts.append(torch.cat([inside, outside[..., None]], -1).float())
        matrix = torch.nn.functional.pad(upper.mT, (0, 1))
        # An offset is what x M is at some x (minus a mean, in the space fitted): it lies in M's rows too.
        offset = torch.nn.functional.pad(torch.einsum("he,hed->hd", self.aim.offset, basis), (0, 1))
        return replace(self, source=unbiased(torch.cat(parts, dim=1)), place=Place.none, aim=Aim(matrix, offset))

    @property
    def nbytes(self) -> int:
        """Memory the source holds, in bytes."""
        return self.source.nbytes


def unbiased(rows: Tensor) -> Table:
    """The table of rows [head, token, width] that are encodings as they stand."""
    return Table.pack(rows, rows.new_zeros(rows.shape[0], rows.shape[2]))


def mean_of(table: Table) -> Tensor:
    """The mean of all finite rows, float64 [head, width]; for tables that need no place."""
    rows = [head[table.finite] if len(table.not_finite) else head for head in table.rows]
    return torch.stack([head.mean(0, dtype=torch.float64) for head in rows]) + table.bias.double()
