"""Sums over tokens, by class of token and by group: all that a figure and its bootstrap are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from headscope.inference.bootstrap import Array, Draws
from headscope.inference.estimates import Resampled, RunningSums
from headscope.inference.ranks import auc
from headscope.question.kinds import KINDS
from headscope.reading.patterns import PATTERN
from headscope.reading.words import WORD_CLASSES

POSITION_BANDS = (5, 10, 20, 50)
_POSITIONS = ("0-4", "5-9", "10-19", "20-49", "50+")
CLASSES: tuple[tuple[str, str], ...] = (
    ("all", "all"),
    *(("word", name) for name in WORD_CLASSES),
    *(("frequency", str(quarter)) for quarter in range(1, 5)),
    *(("position", band) for band in _POSITIONS),
)
# What is summed over the tokens of a head. `own` and `paired` count the tokens that have an own rank, and a chance;
# `_more` is what a figure has above its chance, over the paired tokens.
OF_ROWS = (
    "auc", "at_1", "at_10", "auc_more", "at_1_more", "at_10_more", "auc_chance", "at_1_chance", "at_10_chance",
    "in_text", "in_text_paired", "in_text_chance", *(f"kind_{kind}" for kind in KINDS), "signal",
)  # fmt: skip
# Counts, the same for every head.
COUNTS_OF_ROWS = ("own", "own_paired", "all", "paired", "heard")
COUNTS_OF_PATTERNS = ("all", "with_previous")
OF_PATTERNS = PATTERN


@dataclass(frozen=True)
class Membership:
    """The tokens of one shard: their groups, and the classes that each is in."""

    groups: NDArray[np.int64]  # [group], those of the shard
    matrix: sparse.csr_array  # [token, class · group], 1 where the token is of both

    @classmethod
    def of(cls, tokens: pa.Table, groups: NDArray[np.int64], quarter: NDArray[np.int64]) -> Membership:
        """Of a shard's tokens; `groups` [token], `quarter` int64 [vocab_size]: the frequency class of every id."""
        word = [WORD_CLASSES.index(name) for name in tokens["word_class"].to_pylist()]
        band = np.searchsorted(POSITION_BANDS, tokens["position"].to_numpy(), side="right")
        classes = np.stack([
            np.zeros(len(groups), dtype=np.int64),
            1 + np.array(word),
            1 + len(WORD_CLASSES) + quarter[tokens["id"].to_numpy()],
            1 + len(WORD_CLASSES) + 4 + band,
        ])  # fmt: skip
        here, local = np.unique(groups, return_inverse=True)
        column = classes * len(here) + local
        token = np.broadcast_to(np.arange(len(groups)), column.shape)
        shape = (len(groups), len(CLASSES) * len(here))
        return cls(here, sparse.csr_array((np.ones(column.size), (token.ravel(), column.ravel())), shape=shape))

    def sums(self, values: Array) -> Array:
        """Sums of values [figure, head, token]: [figure, head, class, group]."""
        figures, heads, tokens = values.shape
        # Classes overlap, and there are many groups: one sparse product is all their sums at once.
        summed = self.matrix.T @ values.reshape(-1, tokens).T  # (class · group, figure · head)
        by_head: Array = np.asarray(summed).T.reshape(figures, heads, len(CLASSES), len(self.groups))
        return by_head


class Totals:
    """Sums over all shards, by name: of what each head's tokens have [head, class], and of counts [1, class]."""

    def __init__(self, draws: Draws, names: Sequence[str], counts: Sequence[str]) -> None:
        self._sums, self._names, self._counts = RunningSums(draws), tuple(names), tuple(counts)
        self._heads = 0

    def add(self, membership: Membership, values: Array, counts: Array) -> None:
        """Add a shard's values [figure, head, token], and counts [count, token]."""
        self._heads = values.shape[1]
        parts = [membership.sums(part).reshape(-1, len(membership.groups)) for part in (values, counts[:, None])]
        self._sums.add(membership.groups, np.concatenate(parts))

    def __getitem__(self, name: str) -> Resampled[Array]:
        """The sums of one figure or count."""
        classes, heads = len(CLASSES), self._heads
        if name in self._names:
            first = self._names.index(name) * heads
        else:
            first, heads = len(self._names) * heads + self._counts.index(name), 1
        total, here = self._sums.total, slice(first * classes, (first + heads) * classes)
        return Resampled(
            total.value[here].reshape(heads, classes), total.replicates[here].reshape(heads, classes, -1)
        )  # fmt: skip


def of_rows(table: pa.Table, heads: int) -> tuple[Array, Array]:
    """What is summed of a row group: float64 [OF_ROWS, head, token], and [COUNTS_OF_ROWS, token]."""
    rank, chance = numbers(table, "own_rank"), numbers(table, "chance_own_rank")
    candidates = table["candidates"].to_numpy()
    inside, inside_chance = numbers(table, "in_text"), numbers(table, "chance_in_text")
    signal = numbers(table, "signal")
    kind = table["kind"].combine_chunks()
    kinds = np.array([KINDS.index(name) for name in kind.dictionary.to_pylist()])[kind.indices.to_numpy()]
    own, own_chance = auc(rank, candidates), auc(chance, candidates)
    known, heard = ~np.isnan(rank), ~np.isnan(signal)
    both = known & ~np.isnan(chance)
    paired = ~np.isnan(inside_chance)
    at_1, at_10, chance_1, chance_10 = rank <= 1, rank <= 10, chance <= 1, chance <= 10
    # What is nan is put at 0, not multiplied by it: nan · 0 is nan.
    parts = [
        _where(known, own), at_1, at_10,
        _where(both, own - own_chance), both * (at_1 * 1.0 - chance_1), both * (at_10 * 1.0 - chance_10),
        _where(both, own_chance), both & chance_1, both & chance_10,
        inside, _where(paired, inside), _where(paired, inside_chance),
        *(kinds == kind for kind in range(len(KINDS))), _where(heard, signal),
    ]  # fmt: skip
    values = np.stack([part.astype(np.float64) for part in parts]).reshape(len(OF_ROWS), heads, -1)
    one = values.shape[2]  # of one head: which tokens count is the same for all
    counts = [known, both, np.ones_like(known), paired, heard]
    return values, np.stack([count[:one].astype(np.float64) for count in counts])


def of_patterns(table: pa.Table, heads: int) -> tuple[Array, Array]:
    """What is summed of a row group of patterns: float64 [PATTERN, head, token], and [COUNTS_OF_PATTERNS, token]."""
    found = [numbers(table, name) for name in PATTERN]
    values = np.stack([_where(~np.isnan(one), one) for one in found]).reshape(len(PATTERN), heads, -1)
    known = ~np.isnan(found[PATTERN.index("on_previous")])[: values.shape[2]]
    return values, np.stack([np.ones(len(known)), known.astype(np.float64)])


def numbers(table: pa.Table, name: str) -> Array:
    """A column of numbers or truth values as float64; null is nan."""
    column = table[name]
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    found: Array = column.cast(pa.float64()).to_numpy()
    return found


def _where(known: NDArray[np.bool_], values: Array) -> Array:
    return np.where(known, values, 0.0)


def quarters(frequencies: NDArray[np.int64]) -> NDArray[np.int64]:
    """The frequency class of every id, 0 to 3: each holds about a quarter of all tokens, 0 the most frequent ids.

    >>> quarters(np.array([0, 1, 4, 2, 1])).tolist()
    [3, 3, 0, 2, 3]
    """
    order = np.argsort(-frequencies, kind="stable")
    before = frequencies[order].cumsum() - frequencies[order]
    found = np.empty(len(frequencies), dtype=np.int64)
    found[order] = np.minimum(3, 4 * before // max(1, frequencies.sum()))
    return found
