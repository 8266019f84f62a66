"""Encodings of a vocabulary, factored into what every position shares and what one position adds.

What a search needs to know of them beside their numbers is worked out once: a click has no time for it.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from headscope.cores.pool import spread

_NUMBERS = 2**20  # of rows whose lengths are taken at a time


@dataclass(frozen=True)
class Place:
    """What one position does to a `Table`: R[h, t] = scale[t] · (rows[h, t] + shift[h]) + bias[h].

    bias is the table's own, and where the place has one too, the float32 sum of the two.
    """

    scale: Tensor | None = None  # float32 [token]; None: 1, at no cost
    shift: Tensor | None = None  # float32 [head, d_head]; None: 0, at no cost
    bias: Tensor | None = None  # float32 [head, d_head]; None: 0

    none: ClassVar["Place"]
    """The place of a table that no position changes."""

    @cached_property
    def stretch(self) -> float:
        """The mean of |scale|, where it is finite."""
        return 1.0 if self.scale is None else float(self.scale[self.scale.isfinite()].abs().mean())

    def is_finite(self, table: "Table") -> bool:
        """Whether the shift is finite, and the scale of the table's finite tokens, and the bias of both together."""
        if self.shift is not None and not self.shift.isfinite().all():
            return False
        if self.bias is not None and not table.bias_at(self).isfinite().all():
            return False
        return self.scale is None or self._all_finite or bool(self.scale[table.finite].isfinite().all())

    @cached_property
    def _all_finite(self) -> bool:
        return self.scale is None or bool(self.scale.isfinite().all())

    @property
    def nbytes(self) -> int:
        """Memory the place holds, in bytes."""
        return sum(part.nbytes for part in (self.scale, self.shift, self.bias) if part is not None)


Place.none = Place()


@dataclass(frozen=True)
class Table:
    """The part of a vocabulary's encodings that no position changes; made by `Table.pack`, then kept."""

    rows: Tensor  # float32 [head, token, d_head], contiguous
    bias: Tensor  # float32 [head, d_head]
    norms: Tensor  # float32 [head, token], |rows|
    typical: Tensor  # float32 [head], the median of norms
    finite: Tensor  # bool [token], every head's row is finite

    @classmethod
    def pack(cls, rows: Tensor, bias: Tensor) -> "Table":
        """Table of `rows` [head, token, d_head] and `bias` [head, d_head], in float32.

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
        return cls(rows, bias.float().contiguous(), norms.float(), typical.float(), finite)

    def bias_at(self, place: Place) -> Tensor:
        """The bias of every encoding at a place: float32 [head, d_head]."""
        return self.bias if place.bias is None else self.bias + place.bias.float()

    def encodings(self, place: Place, tokens: Tensor | slice) -> Tensor:
        """R of some tokens at a place: float64 [head, token, d_head]."""
        return self.placed(self.rows[:, tokens].double(), place, tokens)

    def placed(self, rows: Tensor, place: Place, tokens: Tensor | slice) -> Tensor:
        """R of some tokens at a place, made of a copy of their rows [head, token, d_head], which it overwrites."""
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

    @property
    def nbytes(self) -> int:
        """Memory the table holds, in bytes."""
        parts = (self.rows, self.bias, self.norms, self.typical, self.finite)
        return sum(part.numel() * part.element_size() for part in parts)


def _lengths(rows: Tensor) -> Tensor:
    """|rows| float64 [head, token]: squares of large float32 values overflow in float32, and float64 makes a copy."""

    def lengths(part: Tensor) -> Tensor:
        found: Tensor = torch.linalg.vector_norm(part, dim=-1, dtype=torch.float64)
        return found

    heads, _, width = rows.shape
    return torch.cat(spread(lengths, rows.split(max(1, _NUMBERS // max(1, heads * width)), 1)), 1)
