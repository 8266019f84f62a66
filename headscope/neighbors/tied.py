"""Where all candidates are as near as each other, nothing is near: no token has a rank there.

A head whose value projection is 0, one that was pruned say, encodes every token alike. All would share rank 1, as if
its output were near to each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from headscope.neighbors.metrics import distances
from headscope.neighbors.search import Nearest
from headscope.neighbors.table import Place, Source
from headscope.question.choices import Metric

_STRETCH = 1024  # tokens that are looked at together


def without_ties(
    found: Mapping[Metric, Nearest],
    source: Source,
    places: Sequence[Place],
    queries: Tensor,
    place_of: Tensor | None,
    allowed: Tensor | None,
) -> dict[Metric, Nearest]:
    """What a search found, with rank 0 for every token where all candidates tie; the arguments are those of `search`.

    Exact, and cheap where they do not: then the nearest ids tell, or two tokens.
    """
    tokens = (source.finite if allowed is None else source.finite & allowed).nonzero().squeeze(1)
    at = torch.zeros(len(queries), dtype=torch.int64, device=queries.device) if place_of is None else place_of
    asked = source, places, queries, at, tokens
    return {metric: _ranked(near, _tied(metric, near, *asked)) for metric, near in found.items()}


def _ranked(near: Nearest, tied: Tensor) -> Nearest:
    if not bool(tied.any()):
        return near
    others = None if near.other_ranks is None else near.other_ranks.masked_fill(tied[..., None], 0)
    return replace(
        near,
        ranks=near.ranks.masked_fill(tied[..., None], 0),
        own_rank=near.own_rank.masked_fill(tied, 0),
        other_ranks=others,
    )


def _tied(
    metric: Metric,
    near: Nearest,
    source: Source,
    places: Sequence[Place],
    queries: Tensor,
    place_of: Tensor,
    tokens: Tensor,
) -> Tensor:
    """Whether all of `tokens` are as near as the nearest: bool [query, q_head]."""
    if len(tokens) < 2:
        return torch.zeros(queries.shape[:2], dtype=torch.bool, device=queries.device)
    # Those that tie stand in the order of their ids: where others stand there, not all of them do.
    tied = (near.ids == tokens[: near.ids.shape[2]]).all(-1)
    group = queries.shape[1] // source.shape[0]
    for place, head in {(int(place_of[query]), head) for query, head in tied.nonzero().tolist()}:
        some = (tied[:, head] & (place_of == place)).nonzero().squeeze(1)
        tied[some, head] = _alike(metric, source, places[place], queries[some, head], head // group, tokens)
    return tied


def _alike(metric: Metric, source: Source, place: Place, queries: Tensor, head: int, tokens: Tensor) -> Tensor:
    """Whether each of some queries [query, width] of one head is as near to all tokens: bool [query]."""
    first = _rows(source, place, head, tokens[:1])  # (1, width)
    # A vector of length 0 has no direction.
    alike = torch.ones_like(queries[:, 0], dtype=torch.bool)
    told = ~queries.any(-1) if metric != "euclidean" else ~alike
    for some in (tokens[-1:], *tokens.split(_STRETCH)):  # mostly one of them tells
        rows = _rows(source, place, head, some)
        if bool((rows == first).all()):  # equal rows are as near as each other, whatever is near to them
            continue
        for n in (alike & ~told).nonzero().squeeze(1).tolist():
            alike[n] = (distances(metric, queries[n], rows) == distances(metric, queries[n], first)).all()
        if not bool((alike & ~told).any()):
            break
    return alike


def _rows(source: Source, place: Place, head: int, tokens: Tensor) -> Tensor:
    """The encodings of some tokens in one head: float64 [token, width]."""
    rows = source.pairs(torch.full_like(tokens, head), tokens).double()
    if place.shift is not None:
        rows += place.shift[head]
    if place.scale is not None:
        rows *= place.scale[tokens, None]
    return rows.add_(source.bias_at(place)[head])
