"""Medians over what is known of each token, text or type, resampled by the groups that these belong to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from headscope.inference.bootstrap import Array, Draws, spread
from headscope.inference.estimates import Resampled, median_of


@dataclass(frozen=True)
class Grouped:
    """What figures are of, tokens say: the group of each, int64 [token], and the draws of groups.

    Medians jump: leaving a group out tells nothing of their spread. With one group there is nothing to draw: the
    interval is nan, and no verdict rests on it.
    """

    groups: NDArray[np.int64]
    draws: Draws

    def median(self, values: Array) -> Resampled[float]:
        """The median of the known values [token]; each replicate counts a token as often as its group was drawn."""
        known = ~np.isnan(values)
        if not known.any():
            return Resampled(float("nan"), np.full(self.draws.replicates, np.nan))
        levels, which = np.unique(values[known], return_inverse=True)
        shape = (self.draws.groups, len(levels))
        counts = sparse.csr_array((np.ones(len(which)), (self.groups[known], which)), shape=shape)
        drawn = [median_of(levels, np.asarray(weights @ counts)) for weights in self.draws.blocks()]
        return Resampled(float(np.median(values[known])), spread(np.concatenate(drawn), self.draws.groups))
