"""What may be said of a head: at chance, above or below it, or nothing yet."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from headscope.corpus.bootstrap import Array

Verdict = Literal["at chance", "undetermined", "above", "below"]
MARGIN = 0.02  # an interval within it is at chance
RATE = 0.05  # of false discoveries


def corrected(p: Array) -> Array:
    """Benjamini–Hochberg: the false discovery rate at which each would be called; nan stays."""
    q = np.full(p.shape, np.nan)
    known = ~np.isnan(p)
    if known.any():
        q[known] = stats.false_discovery_control(p[known], method="bh")
    return q


def verdicts(low: Array, high: Array, q: Array, others_at_chance: NDArray[np.bool_]) -> list[Verdict]:
    """The verdict on differences from chance with these intervals.

    `others_at_chance`: whether the interval of the same figure lies within ±MARGIN under every reference.

    >>> verdicts(np.array([-.01, -.05, .1, .1]), np.array([.01, .05, .2, .2]), np.array([.9, .9, .01, .2]),
    ...     np.array([True, False, False, False]))
    ['at chance', 'undetermined', 'above', 'undetermined']
    """
    return [_verdict(*one) for one in zip(low, high, q, others_at_chance, strict=True)]


def within(low: Array, high: Array) -> NDArray[np.bool_]:
    """Whether the whole interval lies within ±MARGIN of chance."""
    return (low >= -MARGIN) & (high <= MARGIN)


def _verdict(low: float, high: float, q: float, at_chance: bool) -> Verdict:
    if at_chance:
        return "at chance"
    # An unknown interval (nan) includes everything.
    if not (low > 0 or high < 0) or not q <= RATE:
        return "undetermined"
    return "above" if low > 0 else "below"
