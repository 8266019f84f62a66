"""Encodings of a vocabulary, factored into what every position shares and what one position adds.

What a search needs to know of them beside their numbers is worked out once: a click has no time for it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from headscope.cores.pool import spread
from headscope.neighbors.coarse import WIDTH, CoarseRows

_NUMBERS = 2**20  # of rows whose lengths are taken at a time


@dataclass(frozen=True)
class Place:
    """What one position does to a `Source`: R[h, t] = scale[t] · (rows[h, t] + shift[h]) + bias[h].

    bias is the source's own, and where the place has one too, the float32 sum of the two.
    """

    scale: Tensor | None = None  # float32 [token]; None: 1, at no cost
    shift: Tensor | None = None  # float32 [head, d_head]; None: 0, at no cost
    bias: Tensor | None = None  # float32 [head, d_head]; None: 0

    none: ClassVar["Place"]
    """The place of encodings that no position changes."""

    @cached_property
    def stretch(self) -> float:
        """The mean of |scale|, where it is finite."""
        if self.scale is None:
            return 1.0
        known = self.scale if self._all_finite else self.scale[self.scale.isfinite()]
        return float(known.abs().mean())

    def is_finite(self, source: "Source") -> bool:
        """Whether the shift is finite, and the scale of the source's finite tokens, and the bias of both together."""
        if self.shift is not None and not self.shift.isfinite().all():
            return False
        if self.bias is not None and not source.bias_at(self).isfinite().all():
            return False
        return self.scale is None or self._all_finite or bool(self.scale[source.finite].isfinite().all())

    @cached_property
    def _all_finite(self) -> bool:
        return self.scale is None or bool(self.scale.isfinite().all())

    @property
    def nbytes(self) -> int:
        """Memory the place holds, in bytes."""
        return sum(part.nbytes for part in (self.scale, self.shift, self.bias) if part is not None)


Place.none = Place()


@dataclass(frozen=True, kw_only=True)
class Source(ABC):
    """The part of a vocabulary's encodings that no position changes: rows that are held, or made when asked for."""

    bias: Tensor  # float32 [head, width]
    norms: Tensor  # float32 [head, token], |rows|
    typical: Tensor  # float32 [head], about the median of norms
    finite: Tensor  # bool [token], every head's row is finite

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Memory that is held, in bytes."""

    @abstractmethod
    def some(self, tokens: Tensor | slice) -> Tensor:
        """The rows of some tokens: float32 [head, token, width]."""

    @abstractmethod
    def pairs(self, head: Tensor, token: Tensor) -> Tensor:
        """The rows of pairs of a head and a token, int64 [pair] each: float32 [pair, width]."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Heads, tokens, and the numbers of a row."""
        heads, tokens = self.norms.shape
        return heads, tokens, self.bias.shape[1]

    @property
    def device(self) -> torch.device:
        """Where the rows are, and what is compared with them."""
        return self.norms.device

    def bias_at(self, place: Place) -> Tensor:
        """The bias of every encoding at a place: float32 [head, width]."""
        return self.bias if place.bias is None else self.bias + place.bias.float()

    def encodings(self, place: Place, tokens: Tensor | slice) -> Tensor:
        """R of some tokens at a place: float64 [head, token, width]."""
        return self.placed(self.some(tokens).double(), place, tokens)

    def placed(self, rows: Tensor, place: Place, tokens: Tensor | slice) -> Tensor:
        """R of some tokens at a place, made of a copy of their rows [head, token, width], which it overwrites."""
        if place.shift is not None:
            rows += place.shift[:, None]
        if place.scale is not None:
            rows *= place.scale[tokens, None]
        return rows.add_(self.bias_at(place)[:, None])

    @cached_property
    def candidates(self) -> int:
        """How many tokens can be a neighbour."""
        return int(self.finite.sum())

    @cached_property
    def not_finite(self) -> Tensor:
        """Ids of the tokens that can be nobody's neighbour, because a row of theirs is not finite."""
        return (~self.finite).nonzero().squeeze(-1)


@dataclass(frozen=True, kw_only=True)
class Table(Source):
    """Rows that are held; made by `Table.pack`, then kept."""

    rows: Tensor  # float32 [head, token, width], contiguous

    @classmethod
    def pack(cls, rows: Tensor, bias: Tensor) -> "Table":
        """Table of `rows` [head, token, width] and `bias` [head, width], in float32.

        Raises ValueError where the shapes do not fit or the bias is not finite.
        """
        if rows.ndim != 3 or bias.shape != (rows.shape[0], rows.shape[2]):
            raise ValueError(
                f"rows {list(rows.shape)} and bias {list(bias.shape)} do not fit "
                "[head, token, d_head] and [head, d_head]"
            )
        if not torch.isfinite(bias).all():
            raise ValueError("the bias holds values that are not finite")
        rows = rows.float().contiguous()
        norms = _lengths(rows)
        finite = torch.isfinite(norms).all(0)
        known = [head[finite] if finite.any() else head[:1] for head in norms]
        typical = torch.stack(spread(torch.median, known))
        return cls(
            rows=rows, bias=bias.float().contiguous(), norms=norms.float(), typical=typical.float(), finite=finite
        )

    def some(self, tokens: Tensor | slice) -> Tensor:
        return self.rows[:, tokens]

    def pairs(self, head: Tensor, token: Tensor) -> Tensor:
        return self.rows[head, token]

    @cached_property
    def coarse(self) -> CoarseRows | None:
        """The rows in few bits, made when they are first asked for; None of several heads, or of narrow rows."""
        return CoarseRows.of(self.rows[0]) if self._may_be_coarse else None

    @property
    def _may_be_coarse(self) -> bool:
        return self.rows.shape[0] == 1 and self.rows.shape[2] >= WIDTH

    @property
    def nbytes(self) -> int:
        # Room for the coarse rows is counted from the start: what is kept is asked for its size once.
        coarse = CoarseRows.size(*self.rows.shape[1:]) if self._may_be_coarse else 0
        return coarse + sum(part.nbytes for part in (self.rows, self.bias, self.norms, self.typical, self.finite))


def _lengths(rows: Tensor) -> Tensor:
    """|rows| float64 [head, token]: squares of large float32 values overflow in float32, and float64 makes a copy."""

    def lengths(part: Tensor) -> Tensor:
        found: Tensor = torch.linalg.vector_norm(part, dim=-1, dtype=torch.float64)
        return found

    heads, _, width = rows.shape
    return torch.cat(spread(lengths, rows.split(max(1, _NUMBERS // max(1, heads * width)), 1)), 1)
