"""Means and medians over tokens, with the survey's own bootstrap: the same draws of documents for every figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from headscope.corpus.bootstrap import Array, Draws, interval

_BLOCK = 64  # replicates at a time: what bounds the memory of a median


@dataclass(frozen=True)
class Estimate:
    """A figure, and what it is in every replicate of the bootstrap: float64 [replicate]."""

    value: float
    replicates: Array

    @cached_property
    def _ends(self) -> tuple[float, float]:
        low, high = interval(self.replicates)
        return float(low), float(high)

    @property
    def low(self) -> float:
        """The lower end of the 95 % interval; nan where no replicate has a value."""
        return self._ends[0]

    @property
    def high(self) -> float:
        """The upper end."""
        return self._ends[1]

    def __sub__(self, other: Estimate) -> Estimate:
        return Estimate(self.value - other.value, self.replicates - other.replicates)


def weighted(estimates: Sequence[Estimate], weights: Sequence[float]) -> Estimate:
    """Σ weight · estimate, replicate by replicate.

    >>> weighted([Estimate(1.0, np.ones(3)), Estimate(4.0, np.ones(3))], [-1, 1]).value
    3.0
    """
    value = sum(weight * one.value for weight, one in zip(weights, estimates, strict=True))
    replicates = sum(weight * one.replicates for weight, one in zip(weights, estimates, strict=True))
    return Estimate(float(value), np.asarray(replicates))


def rise(estimates: Sequence[Estimate]) -> Estimate:
    """How much a figure rises from the first to the last of several layers: its least-squares slope, times the steps.

    >>> rise([Estimate(x, np.full(2, x)) for x in (1.0, 2.0, 3.0)]).value
    2.0
    """
    places = np.arange(len(estimates)) - (len(estimates) - 1) / 2
    return weighted(estimates, (places * (len(estimates) - 1) / (places**2).sum()).tolist())


@dataclass(frozen=True)
class Sample:
    """The tokens that figures are of: which group each belongs to, int64 [token], and the draws of groups.

    With one group there is nothing to draw: every interval is nan, and no verdict rests on it.
    """

    groups: NDArray[np.int64]
    draws: Draws

    def mean(self, values: Array, counts: Array | None = None) -> Estimate:
        """Σ values / Σ counts over tokens [token]; nan values are left out. `counts` None: every known value is one."""
        known = ~np.isnan(values)
        counted = known.astype(np.float64) if counts is None else np.where(known, counts, 0.0)
        sums = np.stack([self._sums(np.where(known, values, 0.0)), self._sums(counted)], 1)  # (group, 2)
        drawn = np.concatenate([weights @ sums for weights in self._blocks()])  # (replicate, 2)
        with np.errstate(invalid="ignore", divide="ignore"):
            value = sums[:, 0].sum() / sums[:, 1].sum()
            return Estimate(float(value), self._spread(drawn[:, 0] / drawn[:, 1]))

    def median(self, values: Array) -> Estimate:
        """The median of the known values [token]; each replicate counts a token as often as its group was drawn."""
        known = ~np.isnan(values)
        if not known.any():
            return Estimate(float("nan"), np.full(self.draws.replicates, np.nan))
        levels, which = np.unique(values[known], return_inverse=True)
        shape = (self.draws.groups, len(levels))
        counts = sparse.csr_array((np.ones(len(which)), (self.groups[known], which)), shape=shape)
        replicates = np.concatenate([_median_of(levels, np.asarray(weights @ counts)) for weights in self._blocks()])
        return Estimate(float(np.median(values[known])), self._spread(replicates))

    def repeated(self, times: int) -> Sample:
        """The same tokens, each so many times in a row: of values [token, head], flattened."""
        return Sample(np.repeat(self.groups, times), self.draws)

    def _blocks(self) -> Iterator[Array]:
        """Weights of all groups, float64 [replicate, group], some replicates at a time."""
        for start in range(0, self.draws.replicates, _BLOCK):
            yield self._weights[start : start + _BLOCK].astype(np.float64)

    @cached_property
    def _weights(self) -> NDArray[np.uint16]:
        return self.draws.weights(np.arange(self.draws.groups)).astype(np.uint16)

    def _sums(self, values: Array) -> Array:
        return np.bincount(self.groups, weights=values, minlength=self.draws.groups).astype(np.float64)

    def _spread(self, replicates: Array) -> Array:
        return replicates if self.draws.groups > 1 else np.full_like(replicates, np.nan)


def _median_of(levels: Array, counts: Array) -> Array:
    """The median of each row of counts [row, level]; nan where a row is empty."""
    below = counts.cumsum(1)
    half = below[:, -1:] / 2
    last = len(levels) - 1
    lower, upper = (below >= half).argmax(1), np.minimum((below > half).argmax(1), last)
    return np.where(half[:, 0] > 0, (levels[lower] + levels[upper]) / 2, np.nan)
