"""The answers about one token of a text: each takes what was captured, and a question where there is one to take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import cast

import torch
from torch import Tensor

from headscope.cores.one_thread import alone
from headscope.errors import InputError
from headscope.neighbors import Nearest, Source, distances
from headscope.question import notes
from headscope.question.choices import AGAINST, METRICS, WEIGH, Against, Metric, Weigh, one_of
from headscope.question.given import in_order, number, whole
from headscope.question.question import Question
from headscope.reading.answer import named
from headscope.reading.atlas import Atlas
from headscope.reading.attention import Attention
from headscope.reading.belonging import own
from headscope.reading.captured import Captured
from headscope.reading.finding import Finder, finder
from headscope.reading.nearest import Ends, Explains, Neighbors
from headscope.reading.positions import PositionNeighbors
from headscope.reading.why import Why
from headscope.reading.worked import Worked, worked

Tokens = int | str | Iterable[int | str]


@alone()
def nearest(captured: Captured, asked: Question, token: Tokens, reading: Explains | None = None) -> Neighbors:
    """See `Reading.nearest`; `reading` is who tells the answer why."""
    listed = isinstance(token, Iterable) and not isinstance(token, str) and whole(token) is None
    selected = [captured.position_of(one) for one in (in_order(token, "tokens") if listed else [cast(int, token)])]
    if not selected:
        raise InputError("the list of tokens is empty: give at least one.")
    if asked.layer is None:
        raise InputError("the nearest tokens are those of one layer: name it, or ask for the atlas.")
    search, bench, layer = finder(captured, asked), captured.bench, captured.bench.layer(asked.layer)
    near, source = search.search(layer, selected)
    bench.vouch(near.ids)
    suppressed = None
    if asked.space in ("embedding", "unembedding") and asked.metric != "euclidean":
        ends = search.farthest(layer, selected)
        bench.vouch(ends.ids)
        suppressed = Ends(ends.ids, ends.distances)
    names = bench.opened.names
    tokens = tuple(captured.tokens[p] for p in selected)
    ids = near.ids if suppressed is None else torch.cat([near.ids, suppressed.ids])
    found = Neighbors(
        question=search.question,
        tokens=tokens,
        ids=near.ids,
        distances=near.distances,
        ranks=near.ranks,
        own_rank=near.own_rank,
        own_distance=near.own_distance,
        kinds=captured.kinds_of(near.ids, torch.tensor([token.id for token in tokens])[:, None, None]),
        places=captured.places_of(ids),
        names=named(ids, names) | {t.id: names[t.id] for t in tokens},
        notes=(*search.notes(source, asked), *notes.nothing_near(layer, _where(near.tied.any(0)))),
        suppressed=suppressed,
        reading=reading,
    )
    return found if listed else found.each()[0]


@alone()
def atlas(captured: Captured, asked: Question, token: int | str, tell: Callable[[Atlas], None] | None = None) -> Atlas:
    """See `Reading.atlas`; `tell` hears of the layers that are found, each time that there are more."""
    selected, search = captured.position_of(token), finder(captured, asked)
    found: list[Nearest] = []
    for fresh, source in search.search_layers(selected):
        found += fresh
        so_far = _atlas(captured, search, asked, selected, found, source)
        if tell is not None:
            tell(so_far)
    return so_far


def _atlas(
    captured: Captured, search: Finder, asked: Question, selected: int, found: Sequence[Nearest], source: Source
) -> Atlas:
    ids = torch.stack([near.ids[0, :, 0] for near in found])  # (L, H)
    captured.bench.vouch(ids)
    names, token = captured.bench.opened.names, captured.tokens[selected]
    alike = (notes.nothing_near(layer, _where(near.tied[0])) for layer, near in enumerate(found))
    return Atlas(
        question=search.question,
        token=token,
        ids=ids,
        distances=torch.stack([near.distances[0, :, 0] for near in found]),
        own_rank=torch.stack([near.own_rank[0] for near in found]),
        kinds=captured.kinds_of(ids, torch.tensor(token.id)),
        tied=torch.stack([near.tied[0] for near in found]),
        places=captured.places_of(ids),
        names=named(ids, names) | {token.id: names[token.id]},
        notes=(*search.notes(source, asked), *chain(*alike)),
    )


def _where(heads: Tensor) -> list[int]:
    """Which of some heads, bool [head]."""
    return [int(head) for head in heads.nonzero().squeeze(1)]


def attention(captured: Captured, token: int | str, layer: int, weigh: Weigh) -> Attention:
    """See `Reading.attention`."""
    position = captured.position_of(token)
    one_of("way to weigh", weigh, WEIGH)
    layer = captured.bench.layer(layer)
    pattern, sees = captured.attended(layer)
    weights = pattern[:, position]  # (H, S)
    lost = float(1 - weights.sum(-1).min())
    return Attention(
        layer=layer,
        weigh=weigh,
        token=captured.tokens[position],
        tokens=captured.tokens,
        shares=weights if weigh == "weights" else weights * captured.lengths(layer),
        notes=(*captured.notes, *notes.sinks(lost)),
        visible=tuple(sees[position].tolist()),
    )


def positions(captured: Captured, token: int | str, layer: int, metric: Metric, against: Against) -> PositionNeighbors:
    """See `Reading.nearest_positions`."""
    one_of("metric", metric, METRICS)
    one_of("against", against, AGAINST)
    layer = captured.bench.layer(layer)
    position = captured.position_of(token)
    others = captured.vectors(against, layer)  # (S, H, d_head)
    apart = distances(metric, captured.z[layer, position], others).T  # (H, S)
    order = apart.argsort(dim=-1, stable=True)
    return PositionNeighbors(
        layer=layer,
        metric=metric,
        against=against,
        token=captured.tokens[position],
        tokens=captured.tokens,
        positions=order,
        distances=apart.gather(-1, order).float(),
        notes=captured.notes,
    )


def why(captured: Captured, near: Neighbors, head: int, id: int) -> Why:
    """See `Reading.why`."""
    layer, head, id = _one_score(captured, near, head, id)
    split = Finder(captured, near.question).split(layer, near.tokens[0].position, head, id)
    return Why(near.question, near.tokens[0], head, captured.bench.opened.names[id], captured.tokens, split)


def work_out(captured: Captured, near: Neighbors, head: int, id: int) -> Worked:
    """See `Reading.work_out`."""
    _, head, id = _one_score(captured, near, head, id)
    return worked(near, head, id, Finder(captured, near.question), captured.bench.opened.names[id])


def _one_score(captured: Captured, near: Neighbors, head: int, id: int) -> tuple[int, int, int]:
    """Layer, head and id of an answer of one layer about one token's z; InputError for another, or none such."""
    asked = own(captured, near, Neighbors).question
    if asked.layer is None or near.ids.dim() != 2 or asked.vector != "z":
        raise InputError("this is asked of an answer about one token's z: near.each() gives them one by one.")
    heads, size = near.ids.shape[0], captured.vocabulary.size
    head = number(head, range(heads), f"there is no head {head!r}; the layer's heads are 0 to {heads - 1}.")
    return asked.layer, head, number(id, range(size), f"there is no token id {id!r}; ids are 0 to {size - 1}.")
