"""Figures of held-out samples, each with its interval, and the shuffled control beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headscope.inference.bootstrap import Array
from headscope.inference.left_out import Jackknifed
from headscope.inference.two_way import TwoWay
from headscope.reading.scores import Controlled, Scores

_MAPS = 16  # whose figures are worked out at a time: what bounds the memory


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

    def scores(self) -> Scores:
        """Figures over all samples: tensors [map]; intervals by text and by token type, see `TwoWay`."""
        factors = [_numbered(self.group.expand_as(self.label)), _numbered(self.label)]
        factors.append(_numbered(factors[0] * (int(factors[1].max()) + 1) + factors[1]))
        maps = self.rank.shape[2]
        return Scores.join([self._scores(slice(start, start + _MAPS), factors) for start in range(0, maps, _MAPS)])

    def _scores(self, maps: slice, factors: Sequence[Tensor]) -> Scores:
        rank, loss, spread = (of[..., maps] for of in (self.rank, self.loss, self.spread))
        counts = [torch.ones_like(loss), rank <= 1, rank <= 10, loss, spread]
        sums = torch.stack([count.double() for count in counts], -1)  # (side, sample, map, sum)
        sides = [
            [TwoWay(*parts) for parts in zip(*(_left_out(sums[side], of[side], of) for of in factors), strict=True)]
            for side in (0, 1)
        ]
        top1, top10, r2 = (_figure(*pair) for pair in zip(*sides, strict=True))
        return Scores(top1, top10, r2, torch.full(rank.shape[2:], rank.shape[1]))


def _numbered(levels: Tensor) -> Tensor:
    """Levels of a factor numbered from 0, alike on both sides: so that what is left out of both can be subtracted."""
    found: Tensor = levels.unique(return_inverse=True)[1]
    return found


def _left_out(sums: Tensor, levels: Tensor, of_all: Tensor) -> Iterator[Jackknifed[Array]]:
    """Top-1, top-10 and R² of sums over samples [sample, map, sum], and what they are without each level."""
    lost = sums.new_zeros(int(of_all.max()) + 1, *sums.shape[1:]).index_add(0, levels, sums)
    total = sums.sum(0)
    value, without = _shares(total).numpy(), _shares(total - lost).numpy()
    for n in range(value.shape[-1]):
        yield Jackknifed(value[..., n], np.moveaxis(without[..., n], 0, -1), len(levels.unique()))


def _shares(sums: Tensor) -> Tensor:
    """Top-1, top-10 and R² of sums [..., sum]; nan where there are none."""
    count, first, ten, loss, spread = sums.unbind(-1)
    return torch.stack([first / count, ten / count, 1 - loss / spread], -1)


def _figure(maps: TwoWay[Array], control: TwoWay[Array]) -> Controlled:
    parts = (one.told.estimate for one in (maps, control, maps - control))
    return Controlled(*(torch.as_tensor(end) for one in parts for end in (one.value, one.low, one.high)))
