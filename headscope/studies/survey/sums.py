"""Sums over tokens, by class of token and by group: all that a figure and its interval are made of.

Every number is put on a grid before it is summed, so that sums of float64 are exact: the same to the bit in any order,
however the tokens fall into shards. The grid is finer than what is known of numbers that were float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy import sparse

from headscope.corpus.bank import ASKED
from headscope.inference.bootstrap import Array
from headscope.inference.ranks import auc
from headscope.question.kinds import KINDS
from headscope.reading.patterns import PATTERN
from headscope.reading.words import WORD_CLASSES
from headscope.studies.survey.tables import MATCHED, SIGNALS, WITHIN

POSITION_BANDS = (5, 10, 20, 50)
_POSITIONS = ("0-4", "5-9", "10-19", "20-49", "50+")
CLASSES: tuple[tuple[str, str], ...] = (
    ("all", "all"),
    *(("word", name) for name in WORD_CLASSES),
    *(("frequency", str(quarter)) for quarter in range(1, 5)),
    *(("position", band) for band in _POSITIONS),
)

GRID = 2.0**-31  # sums of such multiples are exact up to 2²², of a group that is: some million tokens of it
_COARSER = {"norm": 2.0**-22}  # of numbers that are large: exact up to 2³¹
N = TypeVar("N", bound=np.generic)
Kind = Literal["own", "lent", "nearest", "ranks"]


@dataclass(frozen=True)
class Summed:
    """One figure or count of one layer, summed: `sums` [head, class, group], or [1, class, group] of a count.

    Where a head has no figure at some tokens that others have one at, a count is of each head, too.

    `own`: of the tokens of each group; `lent`: of what outputs of its texts lent to others as chance. `where` int64
    [group]: which groups these are. Of `nearest` and `ranks`, which are counts [where] of no group, `where` is head ·
    vocab_size + id of the nearest token, or class · (candidates + 1) + own rank.
    """

    name: str
    kind: Kind
    where: NDArray[np.int64]
    sums: Array


@dataclass(frozen=True)
class Membership:
    """Tokens of one shard, or what they are held against: the groups that these are of, and each one's classes."""

    groups: NDArray[np.int64]  # [group], those that there are
    matrix: sparse.csr_array  # [item, class · group], 1 where the item is of both

    @classmethod
    def of(cls, classes: NDArray[np.int64], groups: NDArray[np.int64]) -> Membership:
        """Of items with these classes [classification, item], see `classes_of`, and groups [item]."""
        here, local = np.unique(groups, return_inverse=True)
        column = classes * len(here) + local
        item = np.broadcast_to(np.arange(len(groups)), column.shape)
        shape = (len(groups), len(CLASSES) * len(here))
        return cls(here, sparse.csr_array((np.ones(column.size), (item.ravel(), column.ravel())), shape=shape))

    def summed(self, items: ItemSums, kind: Kind) -> Iterator[Summed]:
        """The sums of all figures and counts of the items."""
        counts = {name: one if one.ndim > 1 else one[None] for name, one in items.counts.items()}
        by_head, the_same = ({n: one for n, one in counts.items() if (len(one) > 1) == more} for more in (True, False))
        for named in (items.values, by_head, the_same):
            if named:
                values = np.stack([_on_grid(name, one) for name, one in named.items()])
                for name, sums in zip(named, self._sums(values), strict=True):
                    yield Summed(name, kind, self.groups, sums)

    def _sums(self, values: Array) -> Array:
        """Sums of values [figure, head, item]: [figure, head, class, group]."""
        figures, heads, items = values.shape
        # Classes overlap, and there are many groups: one sparse product is all their sums at once.
        summed = self.matrix.T @ values.reshape(figures * heads, items).T  # (class · group, figure · head)
        by_head: Array = np.asarray(summed).T.reshape(figures, heads, len(CLASSES), len(self.groups))
        return by_head


def classes_of(tokens: pa.Table, quarter: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices of CLASSES that each of a shard's tokens is in: [classification, token].

    `quarter` int64 [vocab_size]: the frequency class of every id.
    """
    word = _indices(tokens["word_class"], WORD_CLASSES)
    band = np.searchsorted(POSITION_BANDS, tokens["position"].to_numpy(), side="right")
    return np.stack([
        np.zeros(len(word), dtype=np.int64),
        1 + word,
        1 + len(WORD_CLASSES) + quarter[tokens["id"].to_numpy()],
        1 + len(WORD_CLASSES) + 4 + band,
    ])  # fmt: skip


@dataclass(frozen=True)
class ItemSums:
    """What is summed of some items, by name: values [head, item], and counts [item], the same for every head, or
    [head, item].

    Of a survey's rows: `_paired` is of the tokens that have a chance, and `_chance` the mean over the outputs that they
    are held against; `_even`: had the head attended evenly. `carried` counts, but hangs on the head.
    """

    values: dict[str, Array]  # [head, item]
    counts: dict[str, Array]


def _on_grid(name: str, values: Array) -> Array:
    """Every value as the nearest multiple of the grid; what divides by a power of two loses nothing."""
    grid = _COARSER.get(name, GRID)
    found: Array = np.rint(values / grid) * grid
    return found


def chances(table: pa.Table) -> list[tuple[str, str]]:
    """Whose outputs a shard's tokens are held against: how the columns of it begin, and how its sums end."""
    return [("chance", ""), *([("matched", MATCHED)] if "matched_own_rank" in table.column_names else [])]


def of_rows(table: pa.Table, heads: int) -> tuple[ItemSums, dict[str, ItemSums]]:
    """What is summed of a row group: of its tokens, and of the pairs [token · ASKED] that they are held against in.

    These by the ending that the sums have, see `chances`.
    """
    rank, inside = (_by_head(numbers(table, name), heads) for name in ("own_rank", "in_text"))
    known = np.logical_not(np.isnan(rank))
    near = _near(table, heads)
    figures = _of_ranks(rank, int(table["candidates"][0].as_py()))
    values = {name: _where(known, one) for name, one in figures.items()}
    values |= {name: _where(near, one) for name, one in ({"in_text": inside} | _kinds(table, heads)).items()}
    counts = {"known": _once(known), "all": _once(near)}
    pairs = {}
    for begins, ends in chances(table):
        held, pairs[ends] = _held(table, heads, figures, begins, ends)
        values, counts = values | held.values, counts | held.counts
        for name in (f"{name}{ends}" for name in SIGNALS):
            signal = _by_head(numbers(table, name), heads)
            values[name], counts[f"heard_{name}"] = _where(~np.isnan(signal), signal), _once(~np.isnan(signal))
    within, counts["told"] = _within(table, heads, values["auc"], known)
    values |= within
    return ItemSums(values, {name: one.astype(np.float64) for name, one in counts.items()}), pairs


def _near(table: pa.Table, heads: int) -> NDArray[np.bool_]:
    """Where some token is the nearest: [head, token]; elsewhere all tie."""
    return np.logical_not(np.isnan(_by_head(numbers(table, "distance"), heads)))


def _once(counts: NDArray[N]) -> NDArray[N]:
    """Counts [head, …] as those of one head, where they are the same in all."""
    return counts[0] if bool((counts == counts[:1]).all()) else counts


def _held(table: pa.Table, heads: int, figures: dict[str, Array], begins: str, ends: str) -> tuple[ItemSums, ItemSums]:
    """What is summed of tokens that are held against others, and of the pairs of a token and one of these outputs."""
    rank, inside = (_by_head(numbers(table, name), heads) for name in ("own_rank", "in_text"))
    chance, inside_chance = (lists(table, f"{begins}_{name}", heads) for name in ("own_rank", "in_text"))
    asked = np.logical_not(np.isnan(inside_chance))
    paired = np.logical_or.reduce(asked, axis=-1) & _near(table, heads)
    both = np.logical_not(np.isnan(rank)) & paired
    share = np.where(asked, 1 / np.maximum(asked.sum(-1, keepdims=True), 1), 0.0)  # of a token's outputs, each
    by_chance = _of_ranks(chance, int(table["candidates"][0].as_py()))
    lent = {f"{name}_chance": _where(both[..., None] & asked, one) * share for name, one in by_chance.items()}
    lent["in_text_chance"] = _where(asked & paired[..., None], inside_chance) * share
    lent_counts = {"known_asked": _once(both[..., None] * share), "asked": _once(paired[..., None] * share)}
    values = {f"{name}_paired": _where(both, one) for name, one in figures.items()}
    values |= {"in_text_paired": _where(paired, inside)} | {name: one.sum(-1) for name, one in lent.items()}
    counts = {"known_paired": _once(both), "paired": _once(paired)}
    counts |= {name: one.sum(-1) for name, one in lent_counts.items()}
    return (
        ItemSums(
            {f"{name}{ends}": one for name, one in values.items()}, {f"{n}{ends}": one for n, one in counts.items()}
        ),
        ItemSums(
            {f"{name}{ends}": one.reshape(heads, -1) for name, one in lent.items()},
            {f"{name}{ends}": one.reshape(*one.shape[:-2], -1) for name, one in lent_counts.items()},
        ),
    )


def _of_ranks(rank: Array, candidates: int) -> dict[str, Array]:
    """What is made of own ranks, by name."""
    return {"auc": auc(rank, candidates), "at_1": (rank <= 1).astype(float), "at_10": (rank <= 10).astype(float)}


def _kinds(table: pa.Table, heads: int) -> dict[str, Array]:
    kinds = _indices(table["kind"], KINDS)
    return {f"kind_{name}": _by_head((kinds == n) * 1.0, heads) for n, name in enumerate(KINDS)}


def _indices(column: pa.ChunkedArray, names: Sequence[str]) -> NDArray[np.int64]:
    """Which of the names each value of a column, which keeps them as a dictionary, is."""
    of = column.combine_chunks()
    known = np.array([names.index(name) for name in of.dictionary.to_pylist()], dtype=np.int64)
    found: NDArray[np.int64] = known[of.indices.to_numpy()]
    return found


def _within(
    table: pa.Table, heads: int, own: Array, known: NDArray[np.bool_]
) -> tuple[dict[str, Array], NDArray[np.bool_]]:
    """What is written where, by name; and which tokens have Own within the text."""
    others, carry, ceiling, even_own, even_others, even_carry = (
        _by_head(numbers(table, name), heads) for name in WITHIN
    )
    told = known & ~np.isnan(others) & ~np.isnan(even_others)
    carried = ~np.isnan(carry) & ~np.isnan(even_carry)
    return {
        "own": _where(told, own - others),
        "own_even": _where(told, even_own - even_others),
        "carry": _where(carried, carry),
        "carry_even": _where(carried, even_carry),
        "carry_ceiling": _where(carried, ceiling),
        "carried": carried.astype(np.float64),
    }, _once(told)


def of_patterns(table: pa.Table, heads: int) -> ItemSums:
    """What is summed of a row group of patterns."""
    found = {name: _by_head(numbers(table, name), heads) for name in PATTERN}
    known = ~np.isnan(found["on_previous"][0])
    return ItemSums(
        {name: _where(~np.isnan(one), one) for name, one in found.items()},
        {"all": np.ones(len(known)), "with_previous": known * 1.0},
    )


def nearest(table: pa.Table, heads: int, vocab_size: int) -> Summed:
    """How often each token of the vocabulary is the nearest, in every head of a row group; ValueError for other ids."""
    ids = _by_head(table["nearest"].to_numpy().astype(np.int64), heads)
    if ids.min() < 0 or ids.max() >= vocab_size:
        raise ValueError(f"nearest has ids from {ids.min()} to {ids.max()}, and the vocabulary has {vocab_size}")
    places = ids + vocab_size * np.arange(heads)[:, None]
    where, counts = np.unique(places[_near(table, heads)], return_counts=True)
    return Summed("nearest", "nearest", where, counts.astype(np.float64))


def numbers(table: pa.Table, name: str) -> Array:
    """A column of numbers or truth values as float64; null is nan."""
    column = table[name]
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    found: Array = column.cast(pa.float64()).to_numpy()
    return found


def lists(table: pa.Table, name: str, heads: int = 1) -> Array:
    """A column of lists as float64 [head, token, ASKED]; null is nan."""
    column = table[name].combine_chunks().flatten()
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    found: Array = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return found.reshape(heads, -1, ASKED)


def _by_head(values: NDArray[N], heads: int) -> NDArray[N]:
    return values.reshape(heads, -1)


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
