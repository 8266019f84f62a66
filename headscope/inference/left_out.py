"""Figures with what they are without each group: intervals and p by the delete-one-group jackknife, studentised.

Efron and Stein 1981, Annals of Statistics 9(3). What a figure is made of need not be independent within a group, and
whatever is made of figures by arithmetic has its interval from the same groups left out, so differences are paired.
docs/simulations.md has how often these intervals hold what they are for, by simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import sub, truediv
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headscope.inference.bootstrap import Array
from headscope.inference.estimates import Estimate, shaped
from headscope.inference.studentised import FEWEST, FEWEST_TESTED, Studentised

__all__ = [
    "FEWEST",
    "FEWEST_TESTED",
    "MOST",
    "ROUNDING",
    "Jackknifed",
    "changed",
    "folded",
    "group_count",
    "mean_by",
    "mean_of",
]
T = TypeVar("T", float, Array)
ROUNDING = 1e-6  # of figures made of float32 numbers: a difference of less is none, however steady
MOST = 1000  # groups that figures are kept without


@dataclass(frozen=True)
class Jackknifed(Generic[T]):
    """A figure, one or an array of them, and what it is `without` each group: float64 [..., group].

    `groups`: how many of them hold something of it, [...] or one number. Sums are figures too.

    >>> each = np.arange(30.0)
    >>> total, count = (Jackknifed(of.sum(), of.sum() - of, 30) for of in (each, np.ones(30)))
    >>> mean = total / count
    >>> mean.value, round(mean.error, 4), round(float(each.std(ddof=1)) / 30**0.5, 4)
    (np.float64(14.5), 1.6073, 1.6073)
    """

    value: T
    without: Array
    groups: int | NDArray[np.int64]

    @cached_property
    def influences(self) -> Array:
        """How much the figure moves as each group is left out: float64 [..., group]."""
        return np.asarray(self.without - np.asarray(self.value)[..., None])

    @cached_property
    def told(self) -> Studentised[T]:
        """The figure with its standard error."""
        return Studentised(self.value, self.error, self.freedom, self.groups)

    @cached_property
    def error(self) -> T:
        """The standard error, never below what rounding does; nan where there is but one group."""
        groups = np.asarray(self.groups, dtype=np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.sqrt(np.square(self.influences).sum(-1) * np.where(groups > 1, (groups - 1) / groups, np.nan))
        return shaped(np.maximum(error, ROUNDING), self.value)

    @cached_property
    def freedom(self) -> T:
        """Degrees of freedom: the geometric mean of groups − 1 and of how many groups the variance hangs on.

        Where few groups make most of it, because they are long or unlike the others, its estimate is as unsure as one
        of few groups. That number is itself unsure: alone it would cost more power than it mends.
        """
        most = np.maximum(np.asarray(self.groups, dtype=np.float64) - 1, 1)
        squares = np.square(self.influences)
        with np.errstate(invalid="ignore", divide="ignore"):
            # As many as there are, where influences are normal: Σd⁴ is three times the square of their variance.
            hang = 3 * np.square(squares.sum(-1)) / np.square(squares).sum(-1) - 2
        return shaped(np.sqrt(most * np.clip(np.where(np.isnan(hang), most, hang), 1, most)), self.value)

    @property
    def estimate(self) -> Estimate[T]:
        """The figure with its 95 % interval: nan where there are fewer than 10 groups."""
        return self.told.estimate

    @property
    def low(self) -> T:
        """The lower end of the 95 % interval."""
        return self.told.low

    @property
    def high(self) -> T:
        """The upper end."""
        return self.told.high

    @property
    def t(self) -> T:
        """Standard errors between the figure and 0; nan where there are fewer than 20 groups."""
        return self.told.t

    @property
    def p(self) -> T:
        """Two-sided, of the figure being 0; without a floor."""
        return self.told.p

    @property
    def p_above(self) -> T:
        """One-sided, of the figure not being above 0."""
        return self.told.p_above

    @property
    def smallest(self) -> T:
        """The smallest difference from 0 that so many groups show with a chance of 80 %, at the level of 5 %."""
        return self.told.smallest

    def __sub__(self, other: Jackknifed[T]) -> Jackknifed[T]:
        return changed(sub, self, other)

    def __truediv__(self, other: Jackknifed[T]) -> Jackknifed[T]:
        return changed(truediv, self, other)


def changed(change: Callable[..., Any], *parts: Jackknifed[T]) -> Jackknifed[T]:
    """What is made of figures by `change`, of their values and without each group; nan where that is no number.

    >>> changed(lambda a, b: a - 2 * b, Jackknifed(5.0, np.ones(3), 3), Jackknifed(1.0, np.ones(3), 3)).value
    3.0
    """
    groups = parts[0].groups
    for part in parts[1:]:
        groups = np.minimum(groups, part.groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Jackknifed(change(*(part.value for part in parts)), change(*(part.without for part in parts)), groups)


def mean_of(parts: Sequence[Jackknifed[T]]) -> Jackknifed[T]:
    """The mean of several figures.

    >>> mean_of([Jackknifed(1.0, np.ones(3), 3), Jackknifed(4.0, np.ones(3), 3)]).value
    2.5
    """
    return changed(lambda *values: sum(values) / len(values), *parts)


def group_count(documents: int) -> int:
    """How many groups so many documents are, see `folded`.

    >>> group_count(30), group_count(200_000)
    (30, 1000)
    """
    return min(documents, MOST)


def folded(documents: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The groups of documents, by their numbers among `count`: each its own up to MOST, else put together into MOST.

    >>> folded(np.array([0, 7, 999]), 1000).tolist(), folded(np.array([0, 7, 123456]), 200_000).max() < 1000
    ([0, 7, 999], np.True_)
    """
    if count <= MOST:
        return documents
    mixed = documents.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing: neighbours come apart
    found: NDArray[np.int64] = ((mixed >> np.uint64(32)) % np.uint64(MOST)).astype(np.int64)
    return found


def mean_by(
    groups: NDArray[np.int64], size: int, values: ArrayLike, counts: ArrayLike | None = None
) -> Jackknifed[float]:
    """Σ values / Σ counts of what is of `groups` int64 [item] among `size`; nan values are left out.

    `counts` None: every known value is one.

    >>> mean_by(np.array([0, 0, 2]), 3, [1.0, 2.0, 6.0]).without
    array([6. , 3. , 1.5])
    """
    values = np.asarray(values, dtype=np.float64)
    known = ~np.isnan(values)
    counted = known.astype(np.float64) if counts is None else np.where(known, counts, 0.0)
    top, bottom = (np.bincount(groups, of, size) for of in (np.where(known, values, 0.0), counted))
    there = len(np.unique(groups[counted > 0]))
    total = Jackknifed(top.sum(), top.sum() - top, there)
    found = total / Jackknifed(bottom.sum(), bottom.sum() - bottom, there)
    return Jackknifed(float(found.value), found.without, there)
