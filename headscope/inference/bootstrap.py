"""Bootstrap by group: how often each document (or text) is drawn in each of B replicates."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

REPLICATES = 2000
LEVEL = 0.95
_BLOCK = 1024  # groups whose weights are drawn together
_ROWS = 64  # replicates whose weights are unpacked together: what bounds the memory of a median

Array = NDArray[np.float64]


class Draws:
    """Weights of `groups` groups in every replicate: drawn with replacement, so a replicate's weights sum to `groups`.

    The same for the same number of groups and seed, so that figures of different heads, references, masks and
    models on the same texts can be subtracted replicate by replicate. Weights are made block by block, as they are
    asked for: first how many draws fall into each block, then into each group of it.

    >>> draws = Draws(5, seed=0)
    >>> draws.weights(np.arange(5)).sum(1).min(), draws.weights(np.array([3])).shape
    (np.float64(5.0), (2000, 1))
    """

    def __init__(self, groups: int, seed: int, replicates: int = REPLICATES) -> None:
        self.groups, self.seed, self.replicates = groups, seed, replicates
        sizes = np.diff([*range(0, groups, _BLOCK), groups])
        draw = np.random.default_rng([seed, 3, groups])
        self._sizes = sizes
        self._totals = draw.multinomial(groups, sizes / groups, size=replicates)  # (replicate, block)
        self._block = lru_cache(maxsize=2)(self._drawn)

    def weights(self, groups: NDArray[np.int64]) -> Array:
        """Weights of some groups, float64 [replicate, group]."""
        found = np.empty((self.replicates, len(groups)))
        blocks = groups // _BLOCK
        for block in np.unique(blocks).tolist():
            here = blocks == block
            found[:, here] = self._block(block)[:, groups[here] % _BLOCK]
        return found

    def blocks(self) -> Iterator[Array]:
        """Weights of all groups, float64 [replicate, group], some replicates at a time; they are kept, packed."""
        for start in range(0, self.replicates, _ROWS):
            yield self._packed[start : start + _ROWS].astype(np.float64)

    @cached_property
    def _packed(self) -> NDArray[np.uint16]:
        return self.weights(np.arange(self.groups)).astype(np.uint16)

    def _drawn(self, block: int) -> NDArray[np.int32]:
        draw = np.random.default_rng([self.seed, 4, self.groups, block])
        size = int(self._sizes[block])
        drawn: NDArray[np.int64] = draw.multinomial(self._totals[:, block], np.full(size, 1 / size))
        return drawn.astype(np.int32)


def interval(replicates: Array) -> tuple[Array, Array]:
    """95 % percentile interval along the last axis; replicates in which a figure has no value (nan) are left out."""
    # Sorting is of vector instructions where partitioning is not, and puts nan behind every number.
    ordered = np.sort(replicates, axis=-1)
    known = (~np.isnan(ordered)).sum(-1, keepdims=True)
    cut = np.round(known * (1 - LEVEL) / 2).astype(int)
    ends = (np.take_along_axis(ordered, np.maximum(at, 0), axis=-1)[..., 0] for at in (cut, known - 1 - cut))
    low, high = (np.where(known[..., 0] > 0, end, np.nan) for end in ends)
    return low, high


def spread(replicates: Array, groups: int) -> Array:
    """The replicates of a figure of so many groups; nan where there is but one, whose spread tells nothing."""
    return replicates if groups > 1 else np.full_like(replicates, np.nan)
