"""What may be said: of a head beside its chance, and of a claim that rests on several figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from headscope.inference.bootstrap import Array
from headscope.inference.estimates import Estimate, Resampled
from headscope.inference.left_out import Jackknifed
from headscope.inference.studentised import Studentised

Verdict = Literal["above", "below", "at chance", "undetermined"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Ruling = Literal["holds", "contradicted", "undetermined", "not applicable"]
Condition: TypeAlias = bool | None  # of a claim; None: the interval does not decide
Interval: TypeAlias = Estimate[float] | Resampled[float] | Jackknifed[float] | Studentised[float]
MARGIN = 0.02  # an interval within it is at chance
RATE = 0.05  # of false discoveries


def corrected(p: Array) -> Array:
    """Benjamini–Hochberg: the false discovery rate at which each would be called; nan stays."""
    q = np.full(p.shape, np.nan)
    known = ~np.isnan(p)
    if known.any():
        from scipy import stats

        q[known] = stats.false_discovery_control(p[known], method="bh")
    return q


@dataclass(frozen=True)
class Conclusions:
    """What may be said of differences from chance; `small` bool [figure]: a difference that is sure, and small."""

    verdicts: list[Verdict]
    small: NDArray[np.bool_]


def conclusions(
    difference: Array, low: Array, high: Array, q: Array, chance: Array, rate: NDArray[np.bool_]
) -> Conclusions:
    """What may be said of differences from chance with these intervals, [figure] each; nan where nothing is known.

    `above` or `below` where q ≤ .05: *small* where the difference is under MARGIN and, for a `rate`, the figure under
    twice its chance. `at chance` where the interval includes 0 and lies within ±MARGIN, and for a rate within half to
    double the chance, which must not be 0. Else `undetermined`. What is sure is asked first.

    >>> found = conclusions(
    ...     np.array([0.0, 0.01, 0.15, 0.15, 0.011]), np.array([-0.01, -0.05, 0.1, 0.1, 0.006]),
    ...     np.array([0.01, 0.05, 0.2, 0.2, 0.016]), np.array([0.9, 0.9, 0.01, 0.2, 0.001]),
    ...     np.array([0.1, 0.1, 0.1, 0.1, 0.002]), np.array([True, True, True, True, True]))
    >>> found.verdicts, found.small.tolist()
    (['at chance', 'undetermined', 'above', 'undetermined', 'above'], [False, False, False, False, False])
    """
    with np.errstate(invalid="ignore"):
        sure = q <= RATE
        near = (low <= 0) & (high >= 0) & inside(low, high)
        near &= ~rate | ((chance > 0) & (low >= -chance / 2) & (high <= chance))
        small = sure & (np.abs(difference) < MARGIN) & (~rate | (difference < chance))
    words = np.where(sure, np.where(difference > 0, "above", "below"), np.where(near, "at chance", "undetermined"))
    return Conclusions(words.tolist(), small)


def inside(low: Array, high: Array, margin: float = MARGIN) -> NDArray[np.bool_]:
    """Whether whole intervals lie within ±margin of 0."""
    return (low >= -margin) & (high <= margin)


def above(figure: Interval, bound: float = 0.0) -> Condition:
    """Whether a figure is above a bound: True or False where its whole interval says so, else None.

    >>> above(Estimate(0.5, 0.4, 0.6)), above(Estimate(0.5, 0.4, 0.6), 0.7), above(Estimate(0.0, -1.0, 1.0))
    (True, False, None)
    """
    if figure.low > bound:
        return True
    return False if figure.high < bound else None


def below(figure: Interval, bound: float = 0.0) -> Condition:
    """Whether a figure is below a bound; see `above`."""
    found = above(figure, bound)
    return None if found is None else not found


def not_above(figure: Interval, bound: float = 0.0) -> Condition:
    """Whether a figure is not shown to be above a bound: False where its whole interval is; None where there is none.

    >>> not_above(Estimate(0.5, 0.4, 0.6)), not_above(Estimate(0.5, -0.1, 0.6))
    (False, True)
    """
    return None if np.isnan(figure.low) else bool(figure.low <= bound)


def within(figure: Interval, margin: float = MARGIN) -> Condition:
    """Whether a figure is within ±margin of 0: True where all of its interval is, False where none is, else None."""
    if inside(np.float64(figure.low), np.float64(figure.high), margin):
        return True
    return False if figure.low > margin or figure.high < -margin else None


def at_chance(difference: Interval, verdict: Verdict) -> Condition:
    """Whether a figure with this difference from chance and this verdict is at chance, under its own reference alone.

    >>> at_chance(Estimate(0.0, -0.01, 0.01), "above"), at_chance(Estimate(0.1, 0.01, 0.2), "above")
    (True, False)
    """
    if within(difference):
        return True
    return False if verdict in ("above", "below") else None


def includes(figure: Interval, value: float = 0.0) -> Condition:
    """Whether a figure's interval includes a value; None where there is no interval.

    >>> includes(Estimate(0.5, 0.4, 0.6)), includes(Estimate(0.5, -0.1, 0.6)), includes(Estimate(0.5, np.nan, np.nan))
    (False, True, None)
    """
    return None if np.isnan(figure.low) else bool(figure.low <= value <= figure.high)


def ruling(conditions: Iterable[Condition]) -> Ruling:
    """A claim holds where every condition does, and is contradicted where one is.

    >>> ruling([True, True]), ruling([True, None, False]), ruling([True, None])
    ('holds', 'contradicted', 'undetermined')
    """
    found = list(conditions)
    if any(one is False for one in found):
        return "contradicted"
    return "holds" if all(one is True for one in found) else "undetermined"
