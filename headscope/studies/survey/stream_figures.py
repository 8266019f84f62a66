"""What a stage of the residual stream is like, over all tokens and by class: sums and medians of stream.parquet."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headscope.inference.bootstrap import Array
from headscope.inference.estimates import median_of
from headscope.inference.ranks import auc
from headscope.studies.survey.figures import Figure, against_bank, against_zero, plain, without_interval
from headscope.studies.survey.sums import ItemSums, Membership, Summed, chances, lists, numbers
from headscope.studies.survey.tables import MATCHED
from headscope.studies.survey.totals import Tally

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


def ranks(membership: Membership, table: pa.Table, candidates: int) -> Summed:
    """How often each own rank is there in every class of a row group: with it medians are exact."""
    rank = numbers(table, "own_rank")
    token, column = membership.matrix.nonzero()
    known = ~np.isnan(rank[token])
    class_of = column[known].astype(np.int64) // len(membership.groups)
    of_token = rank[token][known].astype(np.int64)
    if len(of_token) and (of_token.min() < 0 or of_token.max() > candidates):
        raise ValueError(f"own_rank is from {of_token.min()} to {of_token.max()}, of {candidates} candidates")
    where, counts = np.unique(class_of * (candidates + 1) + of_token, return_counts=True)
    return Summed("ranks", "ranks", where, counts.astype(np.float64))


def of_stage(here: pa.Table, before: pa.Table | None) -> tuple[ItemSums, dict[str, ItemSums]]:
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
        pairs[ends] = ItemSums({n: v.reshape(1, -1) for n, v in lent.items()}, {f"known_asked{ends}": share.ravel()})
    if before is not None:
        earlier = _of_rank(numbers(before, "own_rank"), candidates, numbers(before, "own_cosine"))
        steps = {f"{name}_step": own[name] - earlier[name] for name in _STEPPED}
        values |= steps
        counts["stepped"] = ~np.isnan(steps["log_rank_step"])
    # What is not known adds nothing; the counts are of what is.
    return (
        ItemSums(
            {n: np.nan_to_num(v)[None] for n, v in values.items()}, {n: c.astype(float) for n, c in counts.items()}
        ),
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


def figures(tally: Tally, first: bool) -> list[Figure]:
    """The figures of one stage; the `first` has none before it."""
    sums = tally.totals
    return [
        *(against_bank(sums, name, name) for name in _CHANCED),
        *(against_zero(sums, f"{name}_step", f"{name}_step", "stepped") for name in _STEPPED if not first),
        *(plain(sums, name, name, "all") for name in _PLAIN if not (first and name == "overlap_before")),
        _median_rank(tally.ranks, np.asarray(sums.ratio("auc_own", "known").groups)),
        *(against_bank(sums, name, name, MATCHED) for name in _CHANCED if f"known_paired{MATCHED}" in sums),
    ]


def _median_rank(counts: NDArray[np.int64], groups: NDArray[np.int64]) -> Figure:
    """`median_rank` of every class, by how often each rank is there [class, rank]; without an interval."""
    value = median_of(np.arange(counts.shape[1], dtype=np.float64), counts)
    return without_interval("median_rank", counts.sum(1)[None].astype(float), value[None], groups)
