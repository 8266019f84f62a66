"""Sums over tokens, by class of token and by group: all that a figure and its bootstrap are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from headscope.kinds import KINDS
from headscope.survey.bootstrap import Array, Draws
from headscope.survey.tables import PATTERN
from headscope.survey.words import WORD_CLASSES

POSITION_BANDS = (5, 10, 20, 50)
_POSITIONS = ("0-4", "5-9", "10-19", "20-49", "50+")
CLASSES: tuple[tuple[str, str], ...] = (
    ("all", "all"),
    *(("word", name) for name in WORD_CLASSES),
    *(("frequency", str(quarter)) for quarter in range(1, 5)),
    *(("position", band) for band in _POSITIONS),
)
# What is summed over the tokens of a head. `own` and `paired` count the tokens that have an own rank, and a chance.
OF_ROWS = (
    "own", "auc", "at_1", "at_10",
    "own_paired", "auc_paired", "auc_chance", "at_1_paired", "at_1_chance", "at_10_paired", "at_10_chance",
    "all", "in_text", "paired", "in_text_paired", "in_text_chance",
    *(f"kind_{kind}" for kind in KINDS),
    "heard", "signal",
)  # fmt: skip
OF_PATTERNS = ("all", "with_previous", *PATTERN)


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
        summed = self.matrix.T @ values.reshape(-1, tokens).T  # (class · group, figure · head)
        by_head: Array = np.asarray(summed).T.reshape(figures, heads, len(CLASSES), len(self.groups))
        return by_head


@dataclass
class Totals:
    """Sums over all shards: of the tokens as they are [figure, head, class], and of every replicate."""

    draws: Draws
    names: tuple[str, ...]
    whole: Array | None = None
    replicates: Array | None = None  # [figure, head, class, replicate]
    groups: NDArray[np.int64] | None = None  # [class], how many groups have a token of it

    def add(self, membership: Membership, values: Array, weights: Array) -> None:
        """Add a shard's values [figure, head, token]; `weights` [replicate, group] are those of its groups."""
        sums = membership.sums(values)
        if self.whole is None:
            self.whole = np.zeros(sums.shape[:-1])
            self.replicates = np.zeros((*sums.shape[:-1], self.draws.replicates))
        assert self.replicates is not None
        self.whole += sums.sum(-1)
        self.replicates += sums @ weights.T

    def __getitem__(self, name: str) -> tuple[Array, Array]:
        """A figure's sums [head, class], and those of its replicates [head, class, replicate]."""
        assert self.whole is not None
        assert self.replicates is not None
        at = self.names.index(name)
        whole: Array = self.whole[at]
        replicates: Array = self.replicates[at]
        return whole, replicates


def of_rows(table: pa.Table, heads: int) -> Array:
    """What is summed of a row group: float64 [OF_ROWS, head, token]."""
    rank, chance = _numbers(table, "own_rank"), _numbers(table, "chance_own_rank")
    last = table["candidates"].to_numpy() - 1.0
    inside, inside_chance = _numbers(table, "in_text"), _numbers(table, "chance_in_text")
    signal = _numbers(table, "signal")
    kind = table["kind"].combine_chunks()
    kinds = np.array([KINDS.index(name) for name in kind.dictionary.to_pylist()])[kind.indices.to_numpy()]
    auc, auc_chance = 1 - (rank - 1) / np.maximum(last, 1), 1 - (chance - 1) / np.maximum(last, 1)
    known, heard = ~np.isnan(rank), ~np.isnan(signal)
    both = known & ~np.isnan(chance)
    paired = ~np.isnan(inside_chance)
    parts = [
        known, _where(known, auc), known & (rank <= 1), known & (rank <= 10),
        both, _where(both, auc), _where(both, auc_chance), both & (rank <= 1), both & (chance <= 1),
        both & (rank <= 10), both & (chance <= 10),
        np.ones_like(rank), inside, paired, _where(paired, inside), _where(paired, inside_chance),
        *(kinds == kind for kind in range(len(KINDS))),
        heard, _where(heard, signal),
    ]  # fmt: skip
    return np.stack([part.astype(np.float64) for part in parts]).reshape(len(OF_ROWS), heads, -1)


def of_patterns(table: pa.Table, heads: int) -> Array:
    """What is summed of a row group of patterns: float64 [OF_PATTERNS, head, token]."""
    values = {name: _numbers(table, name) for name in PATTERN}
    known = ~np.isnan(values["on_previous"])
    parts = [np.ones(len(known)), known, *(_where(~np.isnan(found), found) for found in values.values())]
    return np.stack([np.asarray(part, dtype=np.float64) for part in parts]).reshape(len(OF_PATTERNS), heads, -1)


def _numbers(table: pa.Table, name: str) -> Array:
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
