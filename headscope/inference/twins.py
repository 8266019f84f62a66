"""A trained model's figure against those of untrained twins: what one more untrained network might have had by itself.

Twins are the same architecture initialised anew, of several seeds, on the same texts. The heads of an untrained layer
are exchangeable, and so are seeds: both are random factors. A trained head differs where it is farther from the twins'
mean than an untrained head would be, and than the texts leave open: a prediction interval, not one of the mean, for an
untrained model held against its own twins must claim nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import stdtr, stdtrit

from headscope.inference.bootstrap import LEVEL
from headscope.inference.left_out import FEWEST, FEWEST_TESTED, POWER, Jackknifed, mean_of

FEWEST_TWINS = 5  # seeds


@dataclass(frozen=True)
class AgainstTwins:
    """How much a figure is above that of untrained twins: `value`, its standard `error` and its degrees of freedom."""

    value: float
    error: float
    freedom: float
    groups: int

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval; nan where there are fewer than 10 groups of texts, or 5 twins."""
        return self.value - self._reach

    @property
    def high(self) -> float:
        """The upper end."""
        return self.value + self._reach

    @cached_property
    def p(self) -> float:
        """Two-sided, of the figure being what an untrained network's is; nan where there are fewer than 20 groups."""
        return 2 * self._tail(-abs(self.value))

    @cached_property
    def p_above(self) -> float:
        """One-sided, of the figure not being above that."""
        return self._tail(-self.value)

    @property
    def smallest(self) -> float:
        """The smallest difference that so many texts and twins show with a chance of 80 %, at the level of 5 %."""
        reach = stdtrit(self.freedom, (1 + LEVEL) / 2) + stdtrit(self.freedom, POWER)
        return float(reach) * self.error if self.groups >= FEWEST_TESTED else math.nan

    @property
    def _reach(self) -> float:
        return float(stdtrit(self.freedom, (1 + LEVEL) / 2)) * self.error if self.groups >= FEWEST else math.nan

    def _tail(self, value: float) -> float:
        known = self.groups >= FEWEST_TESTED and self.error > 0
        return float(stdtr(self.freedom, value / self.error)) if known else math.nan


def against_twins(figure: Jackknifed[float], twins: Sequence[Sequence[Jackknifed[float]]]) -> AgainstTwins:
    """A head's figure less the mean of the `twins` [seed][head] of its layer; of a layer's mean: [seed][1].

    The error has three parts: of the texts, paired; of one head of one network; and of the mean over the seeds.

    >>> constant = np.ones(30)
    >>> twins = [[Jackknifed(x, x * constant, 30)] for x in (0.0, 0.1, -0.1, 0.05, -0.05)]
    >>> found = against_twins(Jackknifed(1.0, constant, 30), twins)
    >>> round(found.value, 3), round(found.error, 3), round(found.freedom), found.p < .001
    (1.0, 0.087, 6, True)
    """
    values = np.array([[head.value for head in heads] for heads in twins])  # (seed, head)
    difference = figure - mean_of([head for heads in twins for head in heads])
    groups = int(difference.groups)
    if len(values) < FEWEST_TWINS:
        return AgainstTwins(difference.value, math.nan, math.nan, groups)
    parts = (
        (difference.error**2, groups - 1),
        (values.var(ddof=1), values.size - 1),
        (values.mean(1).var(ddof=1) / len(values), len(values) - 1),
    )
    variance = sum(part for part, _ in parts)
    weighed = sum(part**2 / freedom for part, freedom in parts)
    freedom = variance**2 / weighed if weighed > 0 else math.nan  # Welch and Satterthwaite
    return AgainstTwins(difference.value, math.sqrt(variance), freedom, groups)
