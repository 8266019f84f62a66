"""Figures with their intervals, and what a figure is in every replicate of a bootstrap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from headscope.inference.bootstrap import Array, interval

T = TypeVar("T", float, Array)


@dataclass(frozen=True)
class Estimate(Generic[T]):
    """A figure, one or an array of them, and the ends of its interval; nan where there is none."""

    value: T
    low: T
    high: T


def shaped(found: Any, like: T) -> T:
    """What was made of a figure, as the figure is: an array of them, or one number."""
    made: T = found if isinstance(like, np.ndarray) else float(found)
    return made


def recorded(value: float | None, low: float | None, high: float | None) -> Estimate[float]:
    """An estimate as JSON and tables record it: None stands for what is no number, see `number`."""
    return Estimate(*(math.nan if one is None else one for one in (value, low, high)))


@dataclass(frozen=True)
class Resampled(Generic[T]):
    """A figure, and what it is in every replicate: float64 [..., replicate]. Differences are replicate by replicate.

    >>> figure = Resampled(0.5, np.linspace(0.4, 0.6, 1001))
    >>> round(figure.low, 3), round((figure - figure).high, 3)
    (0.405, 0.0)
    """

    value: T
    replicates: Array

    @cached_property
    def estimate(self) -> Estimate[T]:
        """The figure with its 95 % interval."""
        return Estimate(self.value, *(shaped(end, self.value) for end in interval(self.replicates)))

    @property
    def low(self) -> T:
        """The lower end of the 95 % interval; nan where no replicate has a value."""
        return self.estimate.low

    @property
    def high(self) -> T:
        """The upper end."""
        return self.estimate.high

    def __sub__(self, other: Resampled[T]) -> Resampled[T]:
        return Resampled(self.value - other.value, self.replicates - other.replicates)


def median_of(levels: Array, counts: Array | NDArray[np.int64]) -> Array:
    """The median of each row of counts [row, level] of ascending levels; nan where a row is empty.

    >>> median_of(np.array([1.0, 5.0, 9.0]), np.array([[2, 0, 2], [0, 1, 2], [0, 0, 0]]))
    array([ 5.,  9., nan])
    """
    below = counts.cumsum(1)
    half = below[:, -1:] / 2
    last = len(levels) - 1
    lower, upper = (below >= half).argmax(1), np.minimum((below > half).argmax(1), last)
    return np.where(half[:, 0] > 0, (levels[lower] + levels[upper]) / 2, np.nan)


def number(value: float) -> float | None:
    """None for what is no number, which JSON has no word for."""
    return float(value) if math.isfinite(value) else None
