"""The infinitesimal jackknife by group (Jaeckel 1972, Efron 1982): an interval where nothing need be drawn.

A figure moves with the weight of a group, to first order by the group's influence; the sum of squared influences is its
variance. What is of one group need not be independent.
"""

from __future__ import annotations

from scipy.special import stdtrit
from torch import Tensor

from headscope.inference.bootstrap import LEVEL


def variance(influences: Tensor) -> Tensor:
    """The variance [...] of a figure, of its influences [group, ...]: its derivatives by the weight of each group."""
    groups = len(influences)
    return influences.square().sum(0) * groups / (groups - 1)


def reach(groups: int) -> float:
    """How many standard errors an interval reaches to either side: Student's t.

    >>> round(reach(10), 3), round(reach(10**9), 3)
    (2.262, 1.96)
    """
    return float(stdtrit(groups - 1, (1 + LEVEL) / 2))
