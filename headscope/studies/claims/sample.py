"""Means, correlations and medians over tokens, each with an interval by the groups that the tokens belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headscope.inference.bootstrap import Array, Draws
from headscope.inference.estimates import Resampled
from headscope.inference.grouped import Grouped
from headscope.inference.left_out import FEWEST, MOST, Jackknifed, changed, folded, mean_by

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Sample:
    """The group of each token: int64 [token], among `count`.

    What is linear in the tokens, or nearly, has its interval from what it is without each group; medians, which jump,
    from a bootstrap of the groups, with the same draws for every one.
    """

    groups: Integers
    count: int
    seed: int = 0

    @classmethod
    def of(cls, documents: Integers, count: int, seed: int) -> Sample:
        """Of tokens by the number of their document among `count`; many documents are put together."""
        return cls(folded(documents, count), min(count, MOST), seed)

    def mean(self, values: ArrayLike, counts: ArrayLike | None = None) -> Jackknifed[float]:
        """Σ values / Σ counts over tokens [token]; nan values are left out. `counts` None: every known value is one."""
        return mean_by(self.groups, self.count, values, counts)

    def lent(self, values: Array, counts: Array, lenders: Integers) -> Jackknifed[float]:
        """The same of pairs [token, output] of a token and an output that it is held against.

        `lenders` int64 [token, output], groups like `groups`: where a document is left out, the outputs that it lent
        are gone too.
        """
        lost = np.stack([self._by_group(one.sum(-1), self.groups) for one in (values, counts)])
        others = lenders != self.groups[:, None]  # what is left out is gone once
        lost += np.stack([self._by_group(one[others], lenders[others]) for one in (values, counts)])
        there = len(np.unique(self.groups[counts.sum(-1) > 0]))
        top, bottom = (
            Jackknifed(one.sum(), one.sum() - gone, there) for one, gone in zip((values, counts), lost, strict=True)
        )
        found = top / bottom
        return Jackknifed(float(found.value), found.without, there)

    def correlation(self, one: Array, other: Array) -> Jackknifed[float]:
        """Spearman's, over the tokens that have both values: ranked anew without each group.

        nan where one of them is the same at every token.
        """
        known = np.isfinite(one) & np.isfinite(other)
        groups = self.groups[known]
        sides = [np.unique(side[known], return_inverse=True)[1] for side in (one, other)]  # levels, ascending
        there = np.unique(groups)
        whole = _spearman(sides, np.ones(len(groups)))
        without = np.full(self.count, whole)  # a group that has no such token changes nothing
        for group in there:
            without[group] = _spearman(sides, (groups != group).astype(np.float64))
        return Jackknifed(whole, without, len(there))

    def median(self, values: Array) -> Resampled[float]:
        """The median of the known values [token]; without an interval where fewer than 10 groups have any."""
        found = self.drawn.median(values)
        if len(np.unique(self.groups[~np.isnan(values)])) < FEWEST:
            return Resampled(found.value, np.full_like(found.replicates, np.nan))
        return found

    def repeated(self, times: int) -> Sample:
        """The same tokens, each so many times in a row: of values [token, head], flattened."""
        return Sample(np.repeat(self.groups, times), self.count, self.seed)

    @cached_property
    def drawn(self) -> Grouped:
        """The groups, and draws of them."""
        return Grouped(self.groups, Draws(self.count, self.seed))

    def _by_group(self, values: Array, groups: Integers) -> Array:
        found: Array = np.bincount(groups, weights=values, minlength=self.count).astype(np.float64)
        return found


def _spearman(levels: list[Integers], weights: Array) -> float:
    """Pearson's of the ranks of tokens that are counted (1) or not (0); ties have the middle of their ranks."""
    ranks = []
    for one in levels:
        counts = np.bincount(one, weights=weights)
        if np.count_nonzero(counts) < 2:
            return float("nan")
        rank = (counts.cumsum() - counts / 2)[one]
        ranks.append(rank - np.average(rank, weights=weights))
    a, b = ranks
    return float((weights * a * b).sum() / np.sqrt((weights * a * a).sum() * (weights * b * b).sum()))


def slope(parts: Sequence[Jackknifed[float]]) -> Jackknifed[float]:
    """How much a figure rises from one layer to the next: its least-squares slope."""
    places = np.arange(len(parts)) - (len(parts) - 1) / 2
    weights = (places / (places**2).sum()).tolist()
    return changed(lambda *values: sum(w * value for w, value in zip(weights, values, strict=True)), *parts)


def rise(parts: Sequence[Jackknifed[float]]) -> Jackknifed[float]:
    """How much a figure rises from the first to the last of several layers, by its slope.

    >>> rise([Jackknifed(x, np.full(30, x), 30) for x in (1.0, 2.0, 3.0)]).value
    2.0
    """
    return changed(lambda one: one * (len(parts) - 1), slope(parts))
