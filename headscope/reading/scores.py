"""How well linear maps do on what they never saw, with intervals, and the shuffled control beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Controlled:
    """A figure of one or many maps, float64 tensors of one shape: value, shuffled control, and their difference.

    Low and high are the ends of 95 % bootstrap intervals by text (by document, where documents are marked) and by token
    type; those of the difference are paired.
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


@dataclass(frozen=True)
class Scores:
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
