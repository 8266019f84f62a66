"""Encodings of which no row is held: the vectors that layers share, and what each layer makes of them.

z·A[t] = ⟨W z, E[t]⟩: a product with the shared vectors takes the place of one with rows. What a search needs of the
rows beside it are a few numbers a token. Rows that it must see are made when it does, and are those of a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from headscope.cores import spread
from headscope.neighbors.rounded import rounded
from headscope.neighbors.table import Source

_TOKENS = 1024  # whose rows are made at a time: what a core's cache holds
_TOGETHER = 64  # tokens of each head
_TYPICAL = 4096  # tokens that the median is of
_OF_HEADS = ("bias", "norms", "typical")


@dataclass(frozen=True)
class Stock:
    """What the layers share: float vectors [token, d] of any precision, and their lengths float32 [token]."""

    vectors: Tensor
    lengths: Tensor


@dataclass(frozen=True)
class Numbers:
    """What a search needs of a layer's rows beside their products: float32 [head, token] each."""

    norms: Tensor  # |row|
    along: Tensor | None  # row·bias; None: 0

    @classmethod
    def of(cls, stock: Stock, matrix: Tensor, bias: Tensor) -> Numbers:
        """Of the rows E M, for a matrix float32 [head, d, width] and its bias [head, width].

        In float64, and not of the rows themselves: what rounding does to these is known, see `bounds`.
        """
        heads, _, width = matrix.shape
        wide = matrix.double().transpose(0, 1).flatten(1)
        kept = torch.empty(2 if bias.any() else 1, len(bias), len(stock.lengths), device=bias.device)

        def measure(tokens: slice) -> None:
            rows = (stock.vectors[tokens].double() @ wide).unflatten(1, (heads, width))  # (token, head, width)
            kept[0, :, tokens] = torch.linalg.vector_norm(rows, dim=-1).T
            if len(kept) > 1:
                kept[1, :, tokens] = torch.einsum("thw,hw->ht", rows, bias.double())

        spread(measure, _stretches(len(stock.lengths)))
        return cls.unpacked(kept)

    @classmethod
    def unpacked(cls, kept: Tensor) -> Numbers:
        """Of one tensor [1 or 2, head, token]."""
        return cls(kept[0], kept[1] if len(kept) > 1 else None)

    def packed(self) -> Tensor:
        """As one tensor."""
        return self.norms[None] if self.along is None else torch.stack([self.norms, self.along])


@dataclass(frozen=True, kw_only=True)
class Shared(Source):
    """Rows E M, each number rounded once, of the heads of one or several layers."""

    stock: Stock
    matrices: tuple[Tensor, ...]  # float32 [head, d, width], of each layer
    along: Tensor | None  # float32 [head, token], row·bias; None: 0

    @classmethod
    def of(cls, stock: Stock, matrix: Tensor, bias: Tensor, numbers: Numbers) -> Shared:
        """One layer's, of its matrix [head, d, width] and bias [head, width]."""
        finite = torch.isfinite(numbers.norms).all(0)
        some = numbers.norms[:, finite][:, :: max(1, int(finite.sum()) // _TYPICAL)]
        typical = some.median(-1).values if some.numel() else numbers.norms[:, 0]
        return cls(
            bias=bias, norms=numbers.norms, typical=typical, finite=finite, stock=stock, matrices=(matrix,),
            along=numbers.along,
        )  # fmt: skip

    @classmethod
    def joined(cls, parts: Sequence[Shared]) -> Shared:
        """The heads of several layers, one after the other."""
        first = parts[0]
        if len(parts) == 1:
            return first
        bias, norms, typical = (torch.cat([getattr(part, name) for part in parts]) for name in _OF_HEADS)
        along = None
        if any(part.along is not None for part in parts):
            along = torch.cat([torch.zeros_like(part.norms) if part.along is None else part.along for part in parts])
        finite = torch.stack([part.finite for part in parts]).all(0)
        matrices = tuple(matrix for part in parts for matrix in part.matrices)
        return replace(first, bias=bias, norms=norms, typical=typical, finite=finite, matrices=matrices, along=along)

    @property
    def nbytes(self) -> int:
        """Of the numbers; the stock, and what the matrices are of, are kept on their own."""
        along = 0 if self.along is None else self.along.nbytes
        return along + sum(part.nbytes for part in (self.bias, self.norms, self.typical, self.finite))

    def some(self, tokens: Tensor | slice) -> Tensor:
        return rows_of(self.stock.vectors[tokens], self.matrices)

    def pairs(self, head: Tensor, token: Tensor) -> Tensor:
        out = torch.empty(len(head), self.bias.shape[1], device=self.device)
        order = head.argsort(stable=True)
        count = torch.bincount(head, minlength=len(self.bias))
        start = count.cumsum(0) - count
        step = len(self.matrices[0])

        def make(piece: tuple[int, int]) -> None:
            layer, skipped = piece
            heads = torch.arange(layer * step, (layer + 1) * step, device=head.device)
            heads = heads[count[heads] > skipped]
            left = (count[heads] - skipped).clamp(max=_TOGETHER)
            lane = torch.arange(int(left.max()), device=head.device)
            # Where a head has fewer, its last one comes again.
            pair = order[start[heads, None] + skipped + torch.minimum(lane, left[:, None] - 1)]  # (head, lane)
            out[pair] = rounded(self.stock.vectors[token[pair]].float(), self.matrices[layer][heads - layer * step])

        most = count.view(-1, step).amax(1).tolist()
        spread(make, [(layer, skipped) for layer, of in enumerate(most) for skipped in range(0, of, _TOGETHER)])
        return out

    def drawn(self, vectors: Tensor) -> Tensor:
        """W z float64 [head, vector, d], for vectors z [head, vector, width]: what is multiplied with the stock."""
        parts = vectors.double().split(len(self.matrices[0]))
        return torch.cat([part @ matrix.double().mT for part, matrix in zip(parts, self.matrices, strict=True)])


def rows_of(vectors: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """E M float32 [head, token, width] of vectors E [token, d], for each of the matrices [head, d, width]."""
    heads, _, width = matrices[0].shape
    out = torch.empty(len(matrices), heads, len(vectors), width, device=vectors.device)

    def make(piece: tuple[int, slice]) -> None:
        layer, tokens = piece
        out[layer][:, tokens] = rounded(vectors[tokens].float(), matrices[layer])

    spread(make, [(layer, tokens) for tokens in _stretches(len(vectors)) for layer in range(len(matrices))])
    return out.flatten(0, 1)


def _stretches(count: int) -> list[slice]:
    return [slice(start, min(start + _TOKENS, count)) for start in range(0, count, _TOKENS)]
