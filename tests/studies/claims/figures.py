"""Figures without each group that are written down."""

from __future__ import annotations

import numpy as np

from headscope.inference.left_out import Jackknifed

GROUPS = 60


def figure(value: float, error: float, draw: np.random.Generator, groups: int = GROUPS) -> Jackknifed:
    """A figure with about this standard error, whose groups' influences are drawn."""
    influences = draw.standard_normal(groups)
    influences -= influences.mean()
    return Jackknifed(value, value + influences * error / np.sqrt(np.square(influences).sum()), groups)
