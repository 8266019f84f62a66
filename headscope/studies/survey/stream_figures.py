"""What a stage of the residual stream is like, over all tokens and by class: sums and medians of stream.parquet."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headscope.inference.bootstrap import Array
from headscope.inference.estimates import median_of
from headscope.inference.ranks import auc
from headscope.studies.survey.figures import Figure, against_chance, against_zero, plain, without_interval
from headscope.studies.survey.sums import CLASSES, Membership, Totals, numbers

KEYS = {
    "null": pa.string(),
    "mask": pa.string(),
    "stage": pa.int16(),
    "layer": pa.int16(),
    "after": pa.string(),
}
_CHANCED = ("auc_own", "own_at_1", "log_rank", "cosine")
_STEPS = ("log_rank_step", "cosine_step")
_PLAIN = ("norm", "overlap_before", "overlap_input")
SUMS = (
    *_CHANCED, *(f"{name}_more" for name in _CHANCED), *(f"{name}_chance" for name in _CHANCED), *_STEPS, *_PLAIN,
)  # fmt: skip
COUNTS = ("own", "own_paired", "stepped", "all")


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

    def figure(self) -> Figure:
        """`median_rank`, without an interval."""
        assert self._counts is not None, "there is a shard"
        value = median_of(np.arange(self._counts.shape[1], dtype=np.float64), self._counts)
        return without_interval("median_rank", self._counts.sum(1)[None].astype(float), value[None])


def of_stage(here: pa.Table, before: pa.Table | None) -> tuple[Array, Array]:
    """What is summed of a stage's row group, `before` that of the stage before: [SUMS, 1, token], [COUNTS, token]."""
    candidates = here["candidates"].to_numpy()
    rank, chance = numbers(here, "own_rank"), numbers(here, "chance_own_rank")
    own = _of_rank(rank, candidates, numbers(here, "own_cosine"))
    by_chance = _of_rank(chance, candidates, numbers(here, "chance_own_cosine"))
    both = ~np.isnan(rank) & ~np.isnan(chance)
    steps = [np.full_like(rank, np.nan)] * len(_STEPS)
    if before is not None:
        earlier = _of_rank(numbers(before, "own_rank"), candidates, numbers(before, "own_cosine"))
        steps = [now - then for now, then in zip(own[2:], earlier[2:], strict=True)]
    parts = [
        *own,
        *(np.where(both, one - other, np.nan) for one, other in zip(own, by_chance, strict=True)),
        *(np.where(both, other, np.nan) for other in by_chance),
        *steps,
        *(numbers(here, name) for name in _PLAIN),
    ]
    counts = [~np.isnan(rank), both, ~np.isnan(steps[0]), np.ones_like(both)]
    # What is not known adds nothing; the counts are of what is.
    return np.nan_to_num(np.stack(parts))[:, None], np.stack(counts).astype(np.float64)


def _of_rank(rank: Array, candidates: NDArray[np.int64], cosine: Array) -> list[Array]:
    """AUC, rank 1, log rank and cosine, in the order of _CHANCED; nan where there is no rank."""
    known = ~np.isnan(rank)
    at_1, known_cosine = np.where(known, rank <= 1, np.nan), np.where(known, cosine, np.nan)
    return [auc(rank, candidates), at_1, np.log(rank), known_cosine]


def figures(sums: Totals, medians: Medians, first: bool) -> list[Figure]:
    """The figures of one stage; the `first` has none before it."""
    return [
        *(against_chance(sums, name, name) for name in _CHANCED),
        *(against_zero(sums, name, name, "stepped") for name in _STEPS if not first),
        *(plain(sums, name, name, "all") for name in _PLAIN if not (first and name == "overlap_before")),
        medians.figure(),
    ]
