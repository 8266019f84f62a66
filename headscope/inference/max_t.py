"""What may be said of several figures at once, that share texts: one level for all of them.

Each figure's t is set on the scale of a normal deviate, and the largest of them is held against that of normal deviates
which are correlated as the figures are: as what they lose without each group is. All have the least degrees of freedom
of them: the largest t is often one whose error came out too small, and with its own it was sure too often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from headscope.inference.bootstrap import LEVEL, Array
from headscope.inference.studentised import Studentised

DRAWS = 20_000


@dataclass(frozen=True)
class Together:
    """What holds of all figures at once, float64 [figure]; nan where a figure alone has none.

    `p_above`: one-sided, corrected for all of them. `low`, `high`: ends of intervals that all hold in 95 % of samples.
    """

    p_above: Array
    low: Array
    high: Array


def together(figures: Sequence[Studentised[float]], influences: Array) -> Together:
    """What may be said of all figures at once.

    `influences` [figure, unit]: how much each moves as a unit is left out, a document or a token type say, the same for
    all; 0 where a figure is not of the unit.

    >>> alone = Studentised(0.5, 0.2, 29.0, 30)
    >>> twice = together([alone, alone], np.ones((2, 30)))
    >>> bool(abs(twice.p_above[0] - alone.p_above) < 0.002), bool(abs(twice.low[0] - alone.low) < 0.02)
    (True, True)
    """
    value, error, low, p = (
        np.array([getattr(one, name) for one in figures], dtype=np.float64)
        for name in ("value", "error", "low", "p_above")
    )
    freedom = np.nanmin([one.freedom for one in figures])
    bounded, tested = np.isfinite(low), np.isfinite(p)
    reach, adjusted = np.full_like(value, np.nan), np.full_like(value, np.nan)
    if bounded.any():
        farthest = np.abs(_correlated(influences[bounded])).max(1)
        share = ndtr(np.quantile(farthest, LEVEL))  # of each figure's t, below its end
        reach = np.where(bounded, stdtrit(freedom, share) * error, np.nan)
    if tested.any():
        highest = np.sort(_correlated(influences[tested]).max(1))
        alone = stdtr(freedom, -value[tested] / error[tested])
        deviate = -ndtri(alone)  # of the upper tail, which is small
        beyond = len(highest) - np.searchsorted(highest, deviate)
        # Bonferroni's bound takes the place of draws that are too few for a small p.
        adjusted[tested] = np.minimum((beyond + 1) / (len(highest) + 1), alone * tested.sum())
    return Together(adjusted, value - reach, value + reach)


def _correlated(influences: Array) -> Array:
    """Normal deviates with the correlation of influences: [draw, figure]."""
    length = np.sqrt(np.square(influences).sum(1, keepdims=True))
    unit = influences / np.where(length > 0, length, 1.0)
    strength, axes = np.linalg.eigh(unit @ unit.T)
    root = axes * np.sqrt(strength.clip(0))
    found: Array = _normal(len(root)) @ root.T
    return found


@lru_cache(maxsize=2)
def _normal(count: int) -> Array:
    return np.random.default_rng([0, 9]).standard_normal((DRAWS, count))
