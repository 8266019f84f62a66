"""What a stage of the residual stream is like, over all tokens and by class: sums and medians of stream.parquet."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headscope.inference.bootstrap import Array
from headscope.inference.estimates import median_of
from headscope.inference.ranks import auc
from headscope.studies.survey.figures import Figure, against_bank, against_zero, plain, without_interval
from headscope.studies.survey.sums import CLASSES, Items, Membership, Totals, chances, lists, numbers
from headscope.studies.survey.tables import MATCHED

KEYS = {
    "null": pa.string(),
    "mask": pa.string(),
    "stage": pa.int16(),
    "layer": pa.int16(),
    "after": pa.string(),
}
_CHANCED = ("auc_own", "own_at_1", "log_rank", "cosine")
_STEPPED = ("log_rank", "cosine")
_PLAIN = ("norm", "overlap_before", "overlap_input")


class Medians:
    """The median own rank of every class, exactly: a count of every rank, which shards add to as they come."""

    def __init__(self) -> None:
        self._counts: NDArray[np.int64] | None = None  # [class, rank]

    def add(self, membership: Membership, table: pa.Table) -> None:
        """Add a shard's row group."""
        rank = numbers(table, "own_rank")
        token, column = membership.matrix.nonzero()
        known = ~np.isnan(rank[token])
        if self._counts is None:
            self._counts = np.zeros((len(CLASSES), table["candidates"][0].as_py() + 1), dtype=np.int64)
        where = (column[known] // len(membership.groups), rank[token][known].astype(np.int64))
        np.add.at(self._counts, where, 1)

    def figure(self, groups: NDArray[np.int64]) -> Figure:
        """`median_rank`, without an interval."""
        assert self._counts is not None, "there is a shard"
        value = median_of(np.arange(self._counts.shape[1], dtype=np.float64), self._counts)
        return without_interval("median_rank", self._counts.sum(1)[None].astype(float), value[None], groups)


def of_stage(here: pa.Table, before: pa.Table | None) -> tuple[Items, dict[str, Items]]:
    """What is summed of a stage's row group, `before` that of the stage before: of its tokens, and of their pairs.

    These by the ending that the sums have, see `sums.chances`.
    """
    candidates = int(here["candidates"][0].as_py())
    rank = numbers(here, "own_rank")
    own = _of_rank(rank, candidates, numbers(here, "own_cosine"))
    known = ~np.isnan(rank)
    values = own | {name: numbers(here, name) for name in _PLAIN}
    counts = {"known": known, "all": np.ones_like(known)}
    pairs = {}
    for begins, ends in chances(here):
        chance = lists(here, f"{begins}_own_rank")[0]
        by_chance = _of_rank(chance, candidates, lists(here, f"{begins}_own_cosine")[0])
        asked = ~np.isnan(chance)
        both = known & asked.any(-1)
        share = np.where(asked & both[:, None], 1 / np.maximum(asked.sum(-1, keepdims=True), 1), 0.0)
        lent = {f"{name}_chance{ends}": np.nan_to_num(one) * share for name, one in by_chance.items()}
        values |= {f"{name}_paired{ends}": np.where(both, one, np.nan) for name, one in own.items()}
        values |= {name: one.sum(-1) for name, one in lent.items()}
        counts |= {f"known_paired{ends}": both, f"known_asked{ends}": share.sum(-1)}
        pairs[ends] = Items({n: v.reshape(1, -1) for n, v in lent.items()}, {f"known_asked{ends}": share.ravel()})
    if before is not None:
        earlier = _of_rank(numbers(before, "own_rank"), candidates, numbers(before, "own_cosine"))
        steps = {f"{name}_step": own[name] - earlier[name] for name in _STEPPED}
        values |= steps
        counts["stepped"] = ~np.isnan(steps["log_rank_step"])
    # What is not known adds nothing; the counts are of what is.
    return (
        Items({n: np.nan_to_num(v)[None] for n, v in values.items()}, {n: c.astype(float) for n, c in counts.items()}),
        pairs,
    )


def _of_rank(rank: Array, candidates: int, cosine: Array) -> dict[str, Array]:
    """The figures of a rank and a cosine; nan where there is no rank."""
    known = ~np.isnan(rank)
    return {
        "auc_own": auc(rank, candidates),
        "own_at_1": np.where(known, rank <= 1, np.nan),
        "log_rank": np.log(rank),
        "cosine": np.where(known, cosine, np.nan),
    }


def figures(sums: Totals, medians: Medians, first: bool) -> list[Figure]:
    """The figures of one stage; the `first` has none before it."""
    return [
        *(against_bank(sums, name, name) for name in _CHANCED),
        *(against_zero(sums, f"{name}_step", f"{name}_step", "stepped") for name in _STEPPED if not first),
        *(plain(sums, name, name, "all") for name in _PLAIN if not (first and name == "overlap_before")),
        medians.figure(np.asarray(sums.ratio("auc_own", "known").groups)),
        *(against_bank(sums, name, name, MATCHED) for name in _CHANCED if f"known_paired{MATCHED}" in sums),
    ]
