"""Controlleds of held-out samples, each with its interval, and the shuffled control beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.inference.crossed import crossed
from headscope.inference.estimates import Resampled


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


@dataclass(frozen=True)
class Outcomes:
    """What became of held-out samples under several maps, and under the maps of the control.

    group int64 [sample]; label int64 [side, sample]; rank int64 and loss, spread float64 [side, sample, map], side 0
    the maps, 1 the control: the token that is looked for, its rank among the candidates, |y − ŷ|² and |y − ȳ|².
    """

    group: Tensor
    label: Tensor
    rank: Tensor
    loss: Tensor
    spread: Tensor

    @classmethod
    def join(cls, parts: Sequence[Outcomes]) -> Outcomes:
        """The outcomes of several folds."""
        others = (torch.cat([getattr(part, name) for part in parts], 1) for name in ("label", "rank", "loss", "spread"))
        return cls(torch.cat([part.group for part in parts]), *others)

    def scores(self, seed: int = 0) -> Scores:
        """Controlleds over all samples: tensors [map].

        The bootstrap draws texts and, apart from them, token types, see `crossed`.
        """
        counts = [torch.ones_like(self.loss), self.rank <= 1, self.rank <= 10, self.loss, self.spread]
        sums = torch.stack([count.double() for count in counts], -1)  # (side, sample, map, sum)
        value = _shares(sums.sum(1))  # (side, map, figure)
        group, label = (labels.unique(return_inverse=True)[1] for labels in (self.group, self.label))
        drawn = torch.stack([crossed(sums[side], (group, label[side]), seed) for side in (0, 1)], 1)
        shares = _shares(drawn)  # (replicate, side, map, figure)
        figures = [_figure(value[..., n], shares[..., n]) for n in range(3)]
        return Scores(figures[0], figures[1], figures[2], torch.full(self.rank.shape[2:], self.rank.shape[1]))


def _shares(sums: Tensor) -> Tensor:
    """Top-1, top-10 and R² of sums [..., sum]; nan where there are none."""
    count, first, ten, loss, spread = sums.unbind(-1)
    return torch.stack([first / count, ten / count, 1 - loss / spread], -1)


def _figure(value: Tensor, drawn: Tensor) -> Controlled:
    """Of values [side, map] and replicates [replicate, side, map]."""
    maps, control = (Resampled(value[side].numpy(), drawn[:, side].movedim(0, -1).numpy()) for side in (0, 1))
    parts = (one.estimate for one in (maps, control, maps - control))
    return Controlled(*(torch.as_tensor(end) for one in parts for end in (one.value, one.low, one.high)))
