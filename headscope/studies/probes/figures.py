"""Figures of held-out samples, each with its interval, and the shuffled control beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from headscope.corpus.bootstrap import Draws, interval
from headscope.reading.scores import Figure, Scores

_WEIGHTS = 2**22  # of samples in replicates, that are kept at a time


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
        """Figures over all samples: tensors [map].

        The bootstrap draws texts and, apart from them, token types; a sample counts as often as the product of both
        (Owen and Eckles 2012, Annals of Applied Statistics 6(3), for crossed data). By texts alone, the few types that
        are most of a text would look like many independent ones.
        """
        counts = [torch.ones_like(self.loss), self.rank <= 1, self.rank <= 10, self.loss, self.spread]
        sums = torch.stack([count.double() for count in counts], -1)  # (side, sample, map, sum)
        value = _shares(sums.sum(1))  # (side, map, figure)
        group, label = (labels.unique(return_inverse=True)[1] for labels in (self.group, self.label))
        drawn = torch.stack([_drawn(sums[side], group, label[side], seed) for side in (0, 1)], 1)
        shares = _shares(drawn)  # (replicate, side, map, figure)
        figures = [_figure(value[..., n], shares[..., n]) for n in range(3)]
        return Scores(figures[0], figures[1], figures[2], torch.full(self.rank.shape[2:], self.rank.shape[1]))


def _drawn(sums: Tensor, group: Tensor, label: Tensor, seed: int) -> Tensor:
    """The sums [sample, map, sum] in every replicate: [replicate, map, sum]; groups and labels from 0 without gaps."""
    drawn, flat = [], sums.flatten(1)
    by_group, by_type = _weights(int(group.max()) + 1, seed), _weights(int(label.max()) + 1, seed + 1)
    size = max(1, _WEIGHTS // len(flat))
    for start in range(0, len(by_group), size):
        here = slice(start, start + size)
        drawn.append((by_group[here][:, group] * by_type[here][:, label]) @ flat)
    return torch.cat(drawn).view(-1, *sums.shape[1:])


def _shares(sums: Tensor) -> Tensor:
    """Top-1, top-10 and R² of sums [..., sum]; nan where there are none."""
    count, first, ten, loss, spread = sums.unbind(-1)
    return torch.stack([first / count, ten / count, 1 - loss / spread], -1)


@lru_cache(maxsize=4)
def _weights(groups: int, seed: int) -> Tensor:
    return torch.from_numpy(Draws(groups, seed).weights(np.arange(groups)))  # (replicate, group)


def _figure(value: Tensor, drawn: Tensor) -> Figure:
    """Of values [side, map] and replicates [replicate, side, map]."""
    apart = drawn[:, 0] - drawn[:, 1]
    ends = [_ends(replicates) for replicates in (drawn[:, 0], drawn[:, 1], apart)]
    return Figure(value[0], *ends[0], value[1], *ends[1], value[0] - value[1], *ends[2])


def _ends(drawn: Tensor) -> tuple[Tensor, Tensor]:
    low, high = interval(drawn.movedim(0, -1).numpy())
    return torch.as_tensor(low), torch.as_tensor(high)
