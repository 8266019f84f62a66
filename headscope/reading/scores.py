"""How well linear maps do on what they never saw, with intervals, and the shuffled control beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from headscope.inference.estimates import number
from headscope.question.shown import Summarised
from headscope.reading.answer import Record
from headscope.show.sheet import Cell

FIGURES = ("top1", "top10", "r2")
STARRED = "*: the 95 % interval of the difference from the control lies above 0."


@dataclass(frozen=True, eq=False, repr=False)
class Controlled(Summarised):
    """A figure of one or many maps, float64 tensors of one shape: value, shuffled control, and their difference.

    Low and high are the ends of 95 % intervals by text (by document, where documents are marked) and by token type, nan
    where there are fewer than 10 of either; those of the difference are paired.
    """

    value: Tensor
    low: Tensor
    high: Tensor
    control: Tensor
    control_low: Tensor
    control_high: Tensor
    difference: Tensor
    difference_low: Tensor
    difference_high: Tensor

    def each(self, change: Callable[[Tensor], Tensor]) -> Controlled:
        """The same with every tensor changed alike (indexed, reshaped)."""
        return Controlled(*(change(part) for part in self.__dict__.values()))

    @property
    def above(self) -> Tensor:
        """Where the whole interval of the difference lies above 0: bool."""
        return self.difference_low > 0

    def cell(self, shown: str, *at: int) -> Cell:
        """The value of one map, written as `shown`, with a star where it is surely above the control."""
        value, star = float(self.value[at]), "*" if bool(self.above[at]) else ""
        # R² may be below 0, where a ground has no strength.
        return Cell(number=star + shown, share=min(max(value, 0.0), 1.0) if isfinite(value) else None)


@dataclass(frozen=True, eq=False, repr=False)
class Scores(Summarised):
    """How well maps do on held-out texts and token types: retrieval of the token, and R².

    `top1`, `top10`: the share of held-out positions whose token is the nearest of the candidates by cosine, or among
    the 10 nearest. `r2`: 1 − Σ|y − ŷ|² / Σ|y − ȳ|², with ȳ the mean target of what was fitted. `samples`: how many
    held-out positions.
    """

    top1: Controlled
    top10: Controlled
    r2: Controlled
    samples: Tensor

    def each(self, change: Callable[[Tensor], Tensor]) -> Scores:
        """The same with every tensor changed alike (indexed, reshaped)."""
        return Scores(self.top1.each(change), self.top10.each(change), self.r2.each(change), change(self.samples))

    def row(self, *at: int) -> Record:
        """The figures of one map, flat: `top1`, `top1_low`, …, `top1_control`, …; None where there is no number."""
        row: Record = {"samples": int(self.samples[at])}
        for name in FIGURES:
            for part, values in getattr(self, name).__dict__.items():
                row[name if part == "value" else f"{name}_{part}"] = number(float(values[at]))
        return row

    @classmethod
    def stack(cls, parts: Sequence[Scores]) -> Scores:
        """Scores of several maps as one, along a new first axis."""
        return cls._together(parts, torch.stack)

    @classmethod
    def join(cls, parts: Sequence[Scores]) -> Scores:
        """Scores of several maps as one, along their first axis."""
        return cls._together(parts, torch.cat)

    @classmethod
    def _together(cls, parts: Sequence[Scores], how: Callable[[list[Tensor]], Tensor]) -> Scores:
        def figure(name: str) -> Controlled:
            figures = [getattr(part, name) for part in parts]
            return Controlled(*(how([getattr(one, of) for one in figures]) for of in Controlled.__annotations__))

        return cls(figure("top1"), figure("top10"), figure("r2"), how([part.samples for part in parts]))


def nested(row: Record) -> Record:
    """A flat row with the parts of each figure under its name, as JSON has them."""
    flat = {key: value for key, value in row.items() if key.partition("_")[0] not in FIGURES}
    for name in FIGURES:
        flat[name] = {"value": row[name]} | {
            key.removeprefix(f"{name}_"): value for key, value in row.items() if key.startswith(f"{name}_")
        }
    return flat
