"""The search: exact nearest tokens and ranks of every query, in every head, under any set of metrics."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.cores.one_thread import alone
from headscope.neighbors.asked import Asked, distinct
from headscope.neighbors.batch import QUERIES, batches
from headscope.neighbors.metrics import ranks_of
from headscope.neighbors.narrowed import narrowed
from headscope.neighbors.scan.backends import Backend, choose
from headscope.neighbors.settle import Settled, settle
from headscope.neighbors.table import Place, Source
from headscope.question.choices import METRICS, Metric


@dataclass(frozen=True)
class Nearest:
    """The k nearest tokens of every query in every head, and the ranks of tokens that were asked for."""

    ids: Tensor  # int64 [query, q_head, k], nearest first; ties by id
    ranks: Tensor  # int64 [query, q_head, k], 1 + the candidates strictly nearer; ties share a rank
    distances: Tensor  # float32 [query, q_head, k]
    own_rank: Tensor  # int64 [query, q_head]; 0 where the own token's row is not finite
    own_distance: Tensor  # float32 [query, q_head]; nan where the own token's row is not finite
    other_ranks: Tensor | None  # int64 [query, q_head, other]; 0 where padded or not finite

    @property
    def tied(self) -> Tensor:
        """Where all candidates tie, as far as that was looked for (`without_ties`): bool [query, q_head]."""
        return self.ranks[..., 0] == 0

    def by_heads(self, parts: int) -> list["Nearest"]:
        """The same in so many parts, of as many heads each."""
        size = self.ids.shape[1] // parts

        def part(heads: slice) -> "Nearest":
            others = None if self.other_ranks is None else self.other_ranks[:, heads]
            return Nearest(
                self.ids[:, heads], self.ranks[:, heads], self.distances[:, heads], self.own_rank[:, heads],
                self.own_distance[:, heads], others,
            )  # fmt: skip

        return [part(slice(n * size, (n + 1) * size)) for n in range(parts)]


@alone()  # on this thread; the scans are spread over the pool's
def search(
    source: Source,
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
    """Exact nearest tokens of `queries` float32 [query, q_head, d_head] among a source's encodings.

    Query head h reads the source's head h · heads // q_heads. `own` int64 [query] is each query's own token,
    `place_of` int64 [query] its index into `places` (None: all 0). `candidates` bool [token] says which
    tokens may be neighbours and are counted in ranks (None: all); tokens whose rows are not finite never
    are. `others` int64 [query, other] are ids whose ranks are wanted too, padded with −1.

    Ids and ranks are those of float64 arithmetic on the float32 inputs. Distances beyond float32's
    range are printed as inf. `backend` is "torch", "numba" or "auto": numba where it is loaded,
    see `backends.warm_up`. Raises ValueError where shapes do not fit, a value is not finite, an id is
    not in the source, or k exceeds the number of candidates.
    """
    allowed = source.finite if candidates is None else source.finite & candidates
    _check(source, places, queries, own, place_of, k, metrics, allowed, others)
    wanted = own[:, None] if others is None else torch.cat([own[:, None], others], 1)  # [query, target]
    known = (wanted >= 0) & source.finite[wanted.clamp(min=0)]
    targets, column = distinct(wanted.masked_fill(~known, -1))
    at = torch.zeros_like(own) if place_of is None else place_of
    results = {metric: _Results.empty(queries, k, targets.shape[1]) for metric in metrics}
    scores = queries.shape[0] * queries.shape[1] * len(source.finite)
    # A long list of neighbours takes room too: up to twice as many contenders, each in float64. So do tokens to rank.
    # The wider the rows, the less certain is float32, and the more near-ties with every target are held in float64.
    near = queries.shape[1] * targets.shape[1] * max(1, queries.shape[2] // 64)
    size = max(1, min(QUERIES, 2**18 // (queries.shape[1] * k), 2**19 // near))
    for batch in batches(source, places, queries, targets, at, size):
        engine = choose(backend, source, scores)  # a long search changes over when numba is ready
        asked = {
            metric: Asked.of(batch, metric, engine.distances(batch, metric, *batch.target_pairs)) for metric in metrics
        }
        findings = engine.scan(batch, metrics, k, allowed, {metric: asked[metric].marks for metric in metrics})
        for metric in metrics:
            found = narrowed(batch, metric, k, asked[metric], findings[metric])
            settled = settle(batch, metric, k, allowed, asked[metric], found, engine.distances)
            results[metric].take(batch.members, settled, asked[metric])
    return {metric: result.nearest(known, column, others is not None) for metric, result in results.items()}


@dataclass(frozen=True)
class _Results:
    """Results of one metric, filled batch by batch."""

    ids: Tensor  # int64 [query, q_head, k]
    distances: Tensor  # float64 [query, q_head, k]
    nearer: Tensor  # int64 [query, q_head, target]
    asked: Tensor  # float64 [query, q_head, target], the targets' distances

    @classmethod
    def empty(cls, queries: Tensor, k: int, targets: int) -> "_Results":
        shape, device = queries.shape[:2], queries.device
        return cls(
            torch.empty(*shape, k, dtype=torch.int64, device=device),
            torch.empty(*shape, k, dtype=torch.float64, device=device),
            torch.empty(*shape, targets, dtype=torch.int64, device=device),
            torch.empty(*shape, targets, dtype=torch.float64, device=device),
        )

    def take(self, members: Tensor, settled: Settled, asked: Asked) -> None:
        shape = (len(members), self.ids.shape[1], -1)
        self.ids[members] = settled.ids.view(shape)
        self.distances[members] = settled.distances.view(shape)
        # From the order of the distances back to that of the batch's targets.
        self.nearer[members] = torch.empty_like(asked.order).scatter_(1, asked.order, settled.nearer).view(shape)
        back = torch.empty_like(asked.distances).scatter_(1, asked.order, asked.distances)
        self.asked[members] = back.view(shape)

    def nearest(self, known: Tensor, column: Tensor, with_others: bool) -> Nearest:
        """Ranks of the tokens asked for; column int64 [query, asked]: where each stands among the targets."""
        column = column[:, None].expand(-1, self.ids.shape[1], -1)
        ranks = torch.where(known[:, None], self.nearer.gather(2, column) + 1, 0)
        own_distance = self.asked.gather(2, column[..., :1]).squeeze(2)
        return Nearest(
            ids=self.ids,
            ranks=ranks_of(self.distances),
            distances=self.distances.float(),
            own_rank=ranks[..., 0],
            own_distance=torch.where(known[:, :1], own_distance, torch.nan).float(),
            other_ranks=ranks[..., 1:] if with_others else None,
        )


def _check(
    source: Source,
    places: Sequence[Place],
    queries: Tensor,
    own: Tensor,
    place_of: Tensor | None,
    k: int,
    metrics: Sequence[Metric],
    allowed: Tensor,
    others: Tensor | None,
) -> None:
    heads, tokens, d_head = source.shape
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
            raise ValueError(f"{name} holds ids outside the source's {tokens} tokens")
    if place_of is not None and place_of.shape != own.shape:
        raise ValueError(f"place_of {list(place_of.shape)} does not fit [query] {list(own.shape)}")
    if place_of is not None and len(own) and not 0 <= int(place_of.min()) <= int(place_of.max()) < len(places):
        raise ValueError(f"place_of points outside the {len(places)} places")
    unknown = [metric for metric in metrics if metric not in METRICS]
    if unknown or not metrics:
        raise ValueError(f"metrics are {tuple(metrics)}; choose from {', '.join(METRICS)}")
    if not all(place.is_finite(source) for place in places):
        raise ValueError("a place's shift or bias is not finite, or its scale at a token whose row is")
    available = source.candidates if allowed is source.finite else int(allowed.sum())
    if not 1 <= k <= available:
        raise ValueError(f"k is {k}, but there are {available} candidates")
