"""Many vectors, each compared with the vocabulary as it is at the vector's own position."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from headscope.model.feed.positions import Spot
from headscope.neighbors import Nearest, Source, search, without_ties
from headscope.question.choices import Metric
from headscope.vocabulary.encoded import Encoded

P = TypeVar("P", bound=Hashable)
Spots = Sequence[tuple[Spot | None, Tensor]]  # where vectors stand (None: nowhere), and which do: int64 [member]
Encode = Callable[[Spot | None], Encoded]  # the vocabulary as it is at a place


@dataclass(frozen=True)
class Found:
    """What a search of vectors at their places found.

    `nearest`: on the CPU, in the order of the vectors. `queries`: place by place, the vectors as they were compared,
    float32 [member, head, width]. `candidates`: how many tokens could be neighbours.
    """

    nearest: dict[Metric, Nearest]
    queries: list[Tensor]
    candidates: int


def search_placed(
    places: Spots,
    encode: Encode,
    vectors: Tensor,
    own: Tensor,
    *,
    k: int,
    others: Tensor | None = None,
    metrics: Sequence[Metric] = ("cosine",),
    allowed: Tensor | None = None,
) -> Found:
    """The search of `neighbors` for `vectors` [vector, head, width], each among the encodings at its own place.

    Every vector stands at one of `places`. `own` int64 [vector] and `others` int64 [vector, other] are tokens to rank,
    −1 in `others` for none; `allowed` bool [token] says which may be neighbours. Places that share a source are
    searched together: all of them, where the closed form holds.
    """
    found: list[dict[Metric, Nearest]] = []
    queries: list[Tensor] = []
    candidates = 0
    for source, run in _by_source(places, encode):
        entered = [one.enter(vectors[members]) for members, one in run]
        members, device = torch.cat([members for members, _ in run]), source.device
        place_of = torch.repeat_interleave(torch.tensor([len(some) for some, _ in run]))
        asked = source, [one.place for _, one in run], torch.cat(entered)
        near = search(
            *asked,
            own[members].to(device),
            place_of=place_of.to(device),
            k=k,
            metrics=metrics,
            candidates=allowed,
            others=None if others is None else others[members].to(device),
        )
        found.append(without_ties(near, *asked, place_of.to(device), allowed))
        queries += entered
        candidates = source.candidates if allowed is None else int((source.finite & allowed).sum())
    back = torch.cat([members for _, members in places]).argsort()  # from the order of places to that of the vectors
    return Found({metric: _joined([one[metric] for one in found], back) for metric in metrics}, queries, candidates)


def places_of(spots: Sequence[Spot | None] | None, count: int) -> Spots:
    """Where `count` vectors stand; `spots` None: the vocabulary is the same everywhere, and one place does."""
    return [(None, torch.arange(count))] if spots is None else members_of(spots)


def members_of(places: Iterable[P]) -> list[tuple[P, Tensor]]:
    """Every place with the indices that have it, in the order in which they come.

    >>> members_of([3, 1, 3])
    [(3, tensor([0, 2])), (1, tensor([1]))]
    """
    found: dict[P, list[int]] = {}
    for index, place in enumerate(places):
        found.setdefault(place, []).append(index)
    return [(place, torch.tensor(members)) for place, members in found.items()]


def _by_source(places: Spots, encode: Encode) -> Iterator[tuple[Source, list[tuple[Tensor, Encoded]]]]:
    """The places in runs that share a source: measured tables are one place's each, and not all held at a time."""
    run: list[tuple[Tensor, Encoded]] = []
    for spot, members in places:
        encoded = encode(spot)
        if run and run[-1][1].source is not encoded.source:
            yield run[-1][1].source, run
            run = []
        run.append((members, encoded))
    yield run[-1][1].source, run


def _joined(parts: Sequence[Nearest], back: Tensor) -> Nearest:
    def whole(name: str) -> Tensor:
        return torch.cat([getattr(part, name) for part in parts]).cpu()[back]

    return Nearest(
        ids=whole("ids"),
        ranks=whole("ranks"),
        distances=whole("distances"),
        own_rank=whole("own_rank"),
        own_distance=whole("own_distance"),
        other_ranks=None if parts[0].other_ranks is None else whole("other_ranks"),
    )
