"""How sure sizes are: 95 % intervals from what every document's encodings spread along the fitted axes. Tensors only.

By the infinitesimal jackknife by document, see `inference.jackknife`.

Axes fitted on few encodings hold more of these than of others: both sizes come out too low. The documents that nothing
was fitted on show by how much. So an interval spans two: that of the figure for as many texts as were fitted, and that
of what the other documents put in its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import exp, log

import torch
from torch import Tensor

from headscope.inference.jackknife import reach, variance
from headscope.inference.studentised import FEWEST
from headscope.studies.capacity.subspaces import VARIANCE


@dataclass(frozen=True)
class Spread:
    """Encodings along axes, summed by document: how many there are, float64 [document], and the squares of their
    distances from the axes' mean, float64 [document, axis]."""

    counts: Tensor
    squares: Tensor

    @cached_property
    def variances(self) -> Tensor:
        """Of all encodings, along every axis: float64 [axis]."""
        return self.squares.sum(0) / self.counts.sum()

    @cached_property
    def influences(self) -> Tensor:
        """The derivative of each variance by the weight of each document: float64 [document, axis]."""
        return (self.squares - self.counts[:, None] * self.variances) / self.counts.sum()

    @property
    def certain(self) -> bool:
        """Whether an interval follows: there are ten documents or more, and encodings differ."""
        return len(self.counts) >= FEWEST and float(self.variances.sum()) > 0


def participation_interval(fitted: Spread, other: Spread) -> tuple[float, float] | None:
    """Of the participation ratio of `fitted`, its principal axes being those that both are spread along.

    From the figure's own, tr(C)²/tr(C²), to that of tr(C) tr(D)/tr(C D), D the covariance of `other`, which few
    encodings do not make too low. Both on the log scale. None where there is no interval.
    """
    if not (fitted.certain and other.certain):
        return None
    own, held = fitted.variances, other.variances
    mixed = float(own @ held)
    if mixed <= 0:
        return None
    moved, moved_held = fitted.influences, other.influences
    trace, trace_held, squares = float(own.sum()), float(held.sum()), float(own.square().sum())
    own_error = variance(2 * moved.sum(1) / trace - 2 * moved @ own / squares)
    # D counts by its diagonal along the fitted axes: its other entries are chance.
    error = variance(moved.sum(1) / trace - moved @ held / mixed)
    error += variance(moved_held.sum(1) / trace_held - moved_held @ own / mixed)
    times = _times(fitted, other)
    ends = [
        (log(trace**2 / squares), times * float(own_error.sqrt())),
        (log(trace) + log(trace_held) - log(mixed), times * float(error.sqrt())),
    ]
    least, most = min(middle - reach for middle, reach in ends), max(middle + reach for middle, reach in ends)
    widest = float(len(own))
    # Clipped before exp: with two documents the reach may be beyond any number.
    return exp(max(least, 0.0)), min(exp(min(most, log(widest))), widest)


def dimension_interval(fitted: Spread, other: Spread) -> tuple[int, int] | None:
    """Of the 95 % dimension of `fitted`: all r whose first r axes may hold 95 % of the variance.

    From the first r of which that cannot be ruled out for `fitted`, to the first of which it is sure for `other`. None
    where there is no interval.
    """
    if not (fitted.certain and other.certain):
        return None
    times = _times(fitted, other)
    ends = [end for one in (fitted, other) for end in _reached(one, times)]
    return min(ends), max(ends)


def _reached(spread: Spread, times: float) -> tuple[int, int]:
    """How many axes it takes until their share may be 95 %, and until it surely is."""
    total = spread.variances.sum()
    shares = spread.variances.cumsum(0) / total  # (axis,)
    moved = (spread.influences.cumsum(1) - spread.influences.sum(1, keepdim=True) * shares) / total
    reach = times * variance(moved).sqrt()
    enough = VARIANCE * (1 - 1e-12)
    low, high = (int((ends >= enough).to(torch.int64).argmax()) for ends in (shares + reach, shares - reach))
    return low + 1, high + 1


def _times(fitted: Spread, other: Spread) -> float:
    """How many standard errors an interval reaches, by the smaller number of documents."""
    return reach(min(len(fitted.counts), len(other.counts)))
