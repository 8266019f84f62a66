"""A figure with its standard error: intervals, p, and the smallest difference that it could have shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from headscope.inference.bootstrap import LEVEL, Array
from headscope.inference.estimates import Estimate, shaped

T = TypeVar("T", float, Array)
FEWEST = 10  # groups; below it there is no interval
FEWEST_TESTED = 20  # groups; below it there is no p
POWER = 0.8  # of finding the smallest difference that is called one


@dataclass(frozen=True)
class Studentised(Generic[T]):
    """A figure, one or an array of them, its standard error, and the degrees of freedom of its t.

    `groups`: how many of them it is of. nan where nothing is known.

    >>> figure = Studentised(0.3, 0.1, 30.0, 30)
    >>> round(figure.low, 3), round(figure.p, 4), round(figure.smallest, 3)
    (0.096, 0.0054, 0.29)
    """

    value: T
    error: T
    freedom: T
    groups: int | NDArray[np.int64]

    @cached_property
    def estimate(self) -> Estimate[T]:
        """The figure with its 95 % interval: nan where there are fewer than 10 groups."""
        reach = self._quantile((1 + LEVEL) / 2, FEWEST) * np.asarray(self.error)
        return Estimate(self.value, shaped(self.value - reach, self.value), shaped(self.value + reach, self.value))

    @property
    def low(self) -> T:
        """The lower end of the 95 % interval."""
        return self.estimate.low

    @property
    def high(self) -> T:
        """The upper end."""
        return self.estimate.high

    @cached_property
    def t(self) -> T:
        """Standard errors between the figure and 0; nan where there are fewer than 20 groups, or it cannot vary."""
        with np.errstate(invalid="ignore", divide="ignore"):
            t = np.asarray(self.value) / np.asarray(self.error)
        return shaped(np.where((np.asarray(self.groups) >= FEWEST_TESTED) & np.isfinite(t), t, np.nan), self.value)

    @property
    def p(self) -> T:
        """Two-sided, of the figure being 0; without a floor."""
        return shaped(2 * stdtr(np.asarray(self.freedom), -np.abs(self.t)), self.value)

    @property
    def p_above(self) -> T:
        """One-sided, of the figure not being above 0."""
        return shaped(stdtr(np.asarray(self.freedom), -np.asarray(self.t)), self.value)

    @property
    def smallest(self) -> T:
        """The smallest difference from 0 that would be shown with a chance of 80 %, two-sided at the level of 5 %."""
        reach = self._quantile((1 + LEVEL) / 2, FEWEST_TESTED) + self._quantile(POWER, FEWEST_TESTED)
        return shaped(reach * np.asarray(self.error), self.value)

    def _quantile(self, of: float, fewest: int) -> Any:
        """Of t; nan where there are fewer groups."""
        return np.where(np.asarray(self.groups) >= fewest, stdtrit(np.asarray(self.freedom), of), np.nan)
