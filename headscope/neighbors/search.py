"""The search: exact nearest tokens and ranks of every query, in every head, under any set of metrics."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from headscope.neighbors.exact import scan_row, shared_ranks
from headscope.neighbors.metrics import METRICS, Metric
from headscope.neighbors.table import Place, Table

Backend = Literal["auto", "torch"]


@dataclass(frozen=True)
class Nearest:
    """The k nearest tokens of every query in every head, and the ranks of tokens that were asked for."""

    ids: Tensor  # int64 [query, q_head, k], nearest first; ties by id
    ranks: Tensor  # int64 [query, q_head, k], 1 + the candidates strictly nearer; ties share a rank
    distances: Tensor  # float32 [query, q_head, k]
    own_rank: Tensor  # int64 [query, q_head]; 0 where the own token's row is not finite
    own_distance: Tensor  # float32 [query, q_head]; nan where the own token's row is not finite
    other_ranks: Tensor | None  # int64 [query, q_head, other]; 0 where padded or not finite


def search(
    table: Table,
    places: Sequence[Place],
    queries: Tensor,
    own: Tensor,
    *,
    place_of: Tensor | None = None,
    k: int = 15,
    metrics: Sequence[Metric] = ("cosine",),
    candidates: Tensor | None = None,
    others: Tensor | None = None,
    backend: Backend = "auto",
) -> dict[Metric, Nearest]:
    """Exact nearest tokens of `queries` float32 [query, q_head, d_head] among a table's encodings.

    Query head h reads table head h · heads // q_heads. `own` int64 [query] is each query's own token,
    `place_of` int64 [query] its index into `places` (None: all 0). `candidates` bool [token] says which
    tokens may be neighbours and are counted in ranks (None: all); tokens whose rows are not finite never
    are. `others` int64 [query, other] are ids whose ranks are wanted too, padded with −1.

    Ids and ranks are those of float64 arithmetic on the float32 inputs. Distances beyond float32's
    range are printed as inf. Raises ValueError where shapes do not fit, a value is not finite, an id is
    not in the table, or k exceeds the number of candidates.
    """
    allowed = table.finite if candidates is None else table.finite & candidates
    _check(table, places, queries, own, place_of, k, metrics, allowed, others)
    wanted = own[:, None] if others is None else torch.cat([own[:, None], others], 1)  # [query, target]
    at = [0] * len(own) if place_of is None else place_of.tolist()
    return {
        metric: _search_one(
            table, [places[p] for p in at], queries, wanted, k, metric, allowed, others is not None
        )
        for metric in metrics
    }


def _search_one(
    table: Table,
    places: Sequence[Place],
    queries: Tensor,
    wanted: Tensor,
    k: int,
    metric: Metric,
    allowed: Tensor,
    with_others: bool,
) -> Nearest:
    count, q_heads, _ = queries.shape
    group = q_heads // table.rows.shape[0]
    device, targets = queries.device, wanted.shape[1]
    ids = torch.empty(count, q_heads, k, dtype=torch.int64, device=device)
    best = torch.empty(count, q_heads, k, dtype=torch.float64, device=device)
    ranks = torch.empty(count, q_heads, targets, dtype=torch.int64, device=device)
    own_distance = torch.empty(count, q_heads, device=device)
    for query in range(count):
        for q_head in range(q_heads):
            scores = scan_row(table, places[query], q_head // group, queries[query, q_head], metric)
            candidates = scores.masked_fill(~allowed, torch.inf)
            asked = scores[wanted[query].clamp(min=0)]  # [target]
            known = (wanted[query] >= 0) & table.finite[wanted[query].clamp(min=0)]
            nearer = (candidates[None, :] < asked[:, None]).sum(-1)
            ids[query, q_head] = candidates.argsort(stable=True)[:k]
            best[query, q_head] = candidates[ids[query, q_head]]
            ranks[query, q_head] = torch.where(known, nearer + 1, 0)
            own_distance[query, q_head] = asked[0] if known[0] else torch.nan
    return Nearest(
        ids=ids,
        ranks=shared_ranks(best),
        distances=best.float(),
        own_rank=ranks[..., 0],
        own_distance=own_distance,
        other_ranks=ranks[..., 1:] if with_others else None,
    )


def _check(
    table: Table,
    places: Sequence[Place],
    queries: Tensor,
    own: Tensor,
    place_of: Tensor | None,
    k: int,
    metrics: Sequence[Metric],
    allowed: Tensor,
    others: Tensor | None,
) -> None:
    heads, tokens, d_head = table.rows.shape
    if queries.ndim != 3 or queries.shape[2] != d_head or queries.shape[1] % heads:
        raise ValueError(
            f"queries {list(queries.shape)} do not fit [query, q_head, d_head] with d_head {d_head} "
            f"and q_head a multiple of {heads}"
        )
    if not torch.isfinite(queries).all():
        raise ValueError("the queries hold values that are not finite")
    if own.shape != queries.shape[:1] or (others is not None and others.shape[:-1] != own.shape):
        raise ValueError(f"own and others need one row for each of the {len(queries)} queries")
    for name, ids, low in (("own", own, 0), ("others", others, -1)):
        if ids is not None and ids.numel() and not low <= int(ids.min()) <= int(ids.max()) < tokens:
            raise ValueError(f"{name} holds ids outside the table's {tokens} tokens")
    if place_of is not None and place_of.shape != own.shape:
        raise ValueError(f"place_of {list(place_of.shape)} does not fit [query] {list(own.shape)}")
    if (
        place_of is not None
        and len(own)
        and not 0 <= int(place_of.min()) <= int(place_of.max()) < len(places)
    ):
        raise ValueError(f"place_of points outside the {len(places)} places")
    unknown = [metric for metric in metrics if metric not in METRICS]
    if unknown or not metrics:
        raise ValueError(f"metrics are {tuple(metrics)}; choose from {', '.join(METRICS)}")
    for place in places:
        if place.scale is not None and not torch.isfinite(place.scale[table.finite]).all():
            raise ValueError("a place's scale is not finite at a token whose row is")
        if place.shift is not None and not torch.isfinite(place.shift).all():
            raise ValueError("a place's shift is not finite")
    available = int(allowed.sum())
    if not 1 <= k <= available:
        raise ValueError(f"k is {k}, but there are {available} candidates")
