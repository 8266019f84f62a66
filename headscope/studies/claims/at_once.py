"""Several figures of the same groups at once, S8: whether any is above 0, and intervals that all hold together.

By one max-T: what the largest of their studentised deviations does when the groups' influences are weighed at random.
Figures that go together, as those of neighbouring layers do, cost less than if each were corrected for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headscope.inference.bootstrap import LEVEL, Array
from headscope.inference.estimates import Estimate
from headscope.inference.left_out import FEWEST_TESTED, Jackknifed

_DRAWS = 10_000


@dataclass(frozen=True)
class AtOnce:
    """`above`: whether any figure is above 0, False where none is surely; None where too little is known.

    `intervals`: of every figure, such that all of them hold at once; nan where there are none.
    """

    above: bool | None
    intervals: list[Estimate[float]]


def at_once(figures: Sequence[Jackknifed[float]], seed: int = 0) -> AtOnce:
    """Both, at the level of 5 % over all figures."""
    values, errors = (np.array([getattr(one, name) for one in figures]) for name in ("value", "error"))
    groups = min((int(one.groups) for one in figures), default=0)
    if groups < FEWEST_TESTED or not np.isfinite(values).all() or not np.isfinite(errors).all():
        return AtOnce(None, [Estimate(float(value), np.nan, np.nan) for value in values])
    largest, farthest = _largest(np.stack([one.without - one.value for one in figures]), groups, seed)
    reach = float(np.quantile(farthest, LEVEL)) * errors
    above = bool((values > float(np.quantile(largest, LEVEL)) * errors).any())
    ends = zip(values.tolist(), (values - reach).tolist(), (values + reach).tolist(), strict=True)
    return AtOnce(above, [Estimate(*one) for one in ends])


def _largest(influences: Array, groups: int, seed: int) -> tuple[Array, Array]:
    """The largest deviation of any figure, and the largest either way, in random draws: [draw] each."""
    spread = np.sqrt(np.square(influences).sum(1, keepdims=True))
    scaled = np.divide(influences, spread, out=np.zeros_like(influences), where=spread > 0)  # (figure, group)
    draw = np.random.default_rng([seed, 8])
    found = draw.standard_normal((_DRAWS, scaled.shape[1])) @ scaled.T
    # As many groups as there are know the error so well: Student's t in the place of the normal law.
    found /= np.sqrt(draw.chisquare(groups - 1, (_DRAWS, 1)) / (groups - 1))
    return found.max(1), np.abs(found).max(1)
