"""Figures and their intervals: what a figure is in every replicate of a bootstrap, and what follows from that."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import sub, truediv
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from headscope.inference.bootstrap import Array, Draws, interval, p_value

T = TypeVar("T", float, Array)
_GROUPS = 1024  # whose sums wait for their product


@dataclass(frozen=True)
class Estimate(Generic[T]):
    """A figure, one or an array of them, and the ends of its interval; nan where there is none."""

    value: T
    low: T
    high: T


def recorded(value: float | None, low: float | None, high: float | None) -> Estimate[float]:
    """An estimate as JSON and tables record it: None stands for what is no number, see `number`."""
    return Estimate(*(math.nan if one is None else one for one in (value, low, high)))


@dataclass(frozen=True)
class Resampled(Generic[T]):
    """A figure, and what it is in every replicate: float64 [..., replicate]. Sums are figures too.

    >>> figure = Resampled(0.5, np.linspace(0.4, 0.6, 1001))
    >>> round(figure.low, 3), round((figure - figure).high, 3), figure.p < 0.01
    (0.405, 0.0, True)
    """

    value: T
    replicates: Array

    @cached_property
    def estimate(self) -> Estimate[T]:
        """The figure with its 95 % interval."""
        return Estimate(self.value, *(self._like(end) for end in interval(self.replicates)))

    @property
    def low(self) -> T:
        """The lower end of the 95 % interval; nan where no replicate has a value."""
        return self.estimate.low

    @property
    def high(self) -> T:
        """The upper end."""
        return self.estimate.high

    @property
    def p(self) -> T:
        """Of the figure being 0, see `p_value`."""
        return self._like(p_value(self.replicates))

    def __sub__(self, other: Resampled[T]) -> Resampled[T]:
        return together(sub, self, other)

    def __truediv__(self, other: Resampled[T]) -> Resampled[T]:
        return together(truediv, self, other)

    def _like(self, found: Array) -> T:
        return found if isinstance(self.value, np.ndarray) else float(found)


def together(change: Callable[..., Any], *parts: Resampled[T]) -> Resampled[T]:
    """What is made of figures by `change`, of their values and replicate by replicate; nan where that is no number.

    >>> together(lambda a, b: a - 2 * b, Resampled(5.0, np.ones(3)), Resampled(1.0, np.ones(3))).value
    3.0
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return Resampled(change(*(part.value for part in parts)), change(*(part.replicates for part in parts)))


def weighted(parts: Sequence[Resampled[T]], weights: Sequence[float]) -> Resampled[T]:
    """Σ weight · figure.

    >>> weighted([Resampled(1.0, np.ones(3)), Resampled(4.0, np.ones(3))], [-1, 1]).value
    3.0
    """
    return together(lambda *values: sum(w * value for w, value in zip(weights, values, strict=True)), *parts)


def slope(parts: Sequence[Resampled[T]]) -> Resampled[T]:
    """How much a figure rises from one layer to the next: its least-squares slope."""
    places = np.arange(len(parts)) - (len(parts) - 1) / 2
    return weighted(parts, (places / (places**2).sum()).tolist())


def rise(parts: Sequence[Resampled[T]]) -> Resampled[T]:
    """How much a figure rises from the first to the last of several layers, by its slope.

    >>> rise([Resampled(x, np.full(2, x)) for x in (1.0, 2.0, 3.0)]).value
    2.0
    """
    return weighted([slope(parts)], [len(parts) - 1])


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


class RunningSums:
    """Sums over groups that come a few at a time, as they are and in every replicate.

    They wait until there are enough of them: one large product costs less than many.
    """

    def __init__(self, draws: Draws) -> None:
        self._draws = draws
        self._waiting: list[tuple[NDArray[np.int64], Array]] = []  # groups, sums [column, group]
        self._total: Resampled[Array] | None = None

    def add(self, groups: NDArray[np.int64], sums: Array) -> None:
        """Add what some groups sum to, [column, group]; a group may come again."""
        self._waiting.append((groups, sums))
        if sum(len(groups) for groups, _ in self._waiting) > _GROUPS:
            self._settle()

    @property
    def total(self) -> Resampled[Array]:
        """The sums over all groups that came: [column]."""
        if self._waiting:
            self._settle()
        assert self._total is not None, "something was added"
        return self._total

    def _settle(self) -> None:
        groups = np.concatenate([groups for groups, _ in self._waiting])
        sums = np.concatenate([sums for _, sums in self._waiting], axis=1)
        self._waiting = []
        whole, drawn = sums.sum(1), sums @ self._draws.weights(groups).T
        if self._total is None:
            self._total = Resampled(whole, drawn)
        else:  # in place: they may be large
            for sums_of, more in ((self._total.value, whole), (self._total.replicates, drawn)):
                sums_of += more
