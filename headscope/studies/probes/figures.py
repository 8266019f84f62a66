"""Figures of held-out samples, each with its interval, and the shuffled control beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.inference.crossed import crossed
from headscope.inference.estimates import Resampled
from headscope.reading.scores import Controlled, Scores


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
