"""Means and medians over what is known of each token, text or type, resampled by the groups that these belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from headscope.inference.bootstrap import Array, Draws, spread
from headscope.inference.estimates import Resampled, median_of


@dataclass(frozen=True)
class Grouped:
    """What figures are of, tokens say: the group of each, int64 [token], and the draws of groups.

    With one group there is nothing to draw: every interval is nan, and no verdict rests on it.
    """

    groups: NDArray[np.int64]
    draws: Draws

    @classmethod
    def of(cls, labels: Sequence[int], seed: int) -> Grouped:
        """With the groups that there are, by their labels [token], and draws of them."""
        known, groups = np.unique(labels, return_inverse=True)
        return cls(groups, Draws(len(known), seed))

    def mean(self, values: ArrayLike, counts: ArrayLike | None = None) -> Resampled[float]:
        """Σ values / Σ counts over tokens [token]; nan values are left out. `counts` None: every known value is one."""
        values = np.asarray(values, dtype=np.float64)
        known = ~np.isnan(values)
        counted = known.astype(np.float64) if counts is None else np.where(known, counts, 0.0)
        sums = np.stack([self._sums(np.where(known, values, 0.0)), self._sums(counted)], 1)  # (group, 2)
        drawn = np.concatenate([weights @ sums for weights in self.draws.blocks()])  # (replicate, 2)
        top, bottom = (Resampled(sums[:, n].sum(), drawn[:, n]) for n in (0, 1))
        return self._spread(top / bottom)

    def median(self, values: Array) -> Resampled[float]:
        """The median of the known values [token]; each replicate counts a token as often as its group was drawn."""
        known = ~np.isnan(values)
        if not known.any():
            return Resampled(float("nan"), np.full(self.draws.replicates, np.nan))
        levels, which = np.unique(values[known], return_inverse=True)
        shape = (self.draws.groups, len(levels))
        counts = sparse.csr_array((np.ones(len(which)), (self.groups[known], which)), shape=shape)
        drawn = [median_of(levels, np.asarray(weights @ counts)) for weights in self.draws.blocks()]
        return self._spread(Resampled(float(np.median(values[known])), np.concatenate(drawn)))

    def only(self, tokens: Sequence[int]) -> Grouped:
        """Some of the tokens, resampled by the same draws."""
        return Grouped(self.groups[list(tokens)], self.draws)

    def repeated(self, times: int) -> Grouped:
        """The same tokens, each so many times in a row: of values [token, head], flattened."""
        return Grouped(np.repeat(self.groups, times), self.draws)

    def _sums(self, values: Array) -> Array:
        return np.bincount(self.groups, weights=values, minlength=self.draws.groups).astype(np.float64)

    def _spread(self, figure: Resampled[float]) -> Resampled[float]:
        return Resampled(float(figure.value), spread(figure.replicates, self.draws.groups))
