"""What simulations of intervals share: documents of uneven length, sums by document, coverage and width.

The numbers of tokens of documents are lognormal (σ = 0.75: in a hundred documents the longest has about 30 times as
many as the shortest). An effect is a part of a figure that all tokens of a text, a type or an output have in common.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from headscope.inference.left_out import Jackknifed
from headscope.inference.studentised import Studentised

SPREAD = 0.75
BEST = 2 * 1.959964  # standard deviations that the narrowest interval of 95 % spans


class Interval(NamedTuple):
    """How often intervals hold the truth, and their mean width as a share of the best possible."""

    coverage: float
    width: float

    def __str__(self) -> str:
        return f"{self.coverage:.3f} | {self.width:.2f}"


def judged(found: Studentised | Jackknifed, truth: float) -> Interval:
    """Over all runs: figures [run]."""
    low, high = found.low, found.high
    covered = ((low <= truth) & (truth <= high)).mean()
    return Interval(float(covered), float((high - low).mean() / (BEST * found.value.std())))


def lengths(draw: np.random.Generator, *shape: int, mean: float = 3.0) -> np.ndarray:
    """Tokens of documents: about exp(`mean`) in the middle."""
    return np.ceil(np.exp(draw.normal(mean, SPREAD, shape)))


def summed(sums: np.ndarray, groups: int) -> Jackknifed:
    """Σ over documents [..., group]."""
    total = sums.sum(-1)
    return Jackknifed(total, total[..., None] - sums, groups)


def ratio(top: np.ndarray, bottom: np.ndarray) -> Jackknifed:
    """Σ top / Σ bottom over documents [..., group]."""
    groups = top.shape[-1]
    return summed(top, groups) / summed(np.broadcast_to(bottom, top.shape), groups)


def assert_covers(found: Interval, groups: int, coverage: float = 0.92, width: float = 1.3) -> None:
    """What is asked for from 30 documents; 10 are reported, and held to a looser bound."""
    if groups < 30:
        assert found.coverage >= 0.85
        assert found.width <= 1.8
    else:
        assert found.coverage >= coverage
        assert found.width <= width
