"""Figures of samples that have two factors in common: the text that they are from, and the token type.

By texts alone, the few types that are most of a text would look like many independent ones. The variance is that by
texts, and that by types, less that by both together, which both have in them (Cameron, Gelbach and Miller 2011, Journal
of Business & Economic Statistics 29(2)); each by the jackknife. It is never below the larger of the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np

from headscope.inference.bootstrap import Array
from headscope.inference.left_out import Jackknifed
from headscope.inference.studentised import Studentised

T = TypeVar("T", float, Array)


@dataclass(frozen=True)
class TwoWay(Generic[T]):
    """One figure thrice: without each text, without each type, and without each type of each text."""

    texts: Jackknifed[T]
    types: Jackknifed[T]
    both: Jackknifed[T]

    @cached_property
    def told(self) -> Studentised[T]:
        """The figure with its standard error.

        >>> each = np.random.default_rng(0).standard_normal((20, 20))
        >>> def left_out(sums):
        ...     return Jackknifed(sums.sum() / 400, (sums.sum() - sums) / (400 - 400 / len(sums)), len(sums))
        >>> found = TwoWay(left_out(each.sum(1)), left_out(each.sum(0)), left_out(each.ravel())).told
        >>> bool(0.8 < found.error * 20 < 1.2), round(found.freedom) < 20
        (True, True)
        """
        by_text, by_type, by_both = (np.square(one.error) for one in (self.texts, self.types, self.both))
        variance = np.maximum(by_text + by_type - by_both, np.maximum(by_text, by_type))
        freedom = np.minimum(self.texts.freedom, self.types.freedom)
        groups = np.minimum(self.texts.groups, self.types.groups)
        value = self.texts.value
        if isinstance(value, np.ndarray):
            return Studentised(value, np.sqrt(variance), freedom, groups)
        return Studentised(value, float(np.sqrt(variance)), float(freedom), int(groups))

    @property
    def influences(self) -> Array:
        """How much the figure moves as each text, and then as each type, is left out: float64 [..., text and type]."""
        return np.concatenate([self.texts.influences, self.types.influences], -1)

    def __sub__(self, other: TwoWay[T]) -> TwoWay[T]:
        return TwoWay(self.texts - other.texts, self.types - other.types, self.both - other.both)
