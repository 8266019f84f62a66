"""Many vectors, each compared with the vocabulary as it is at the vector's own position."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from headscope.neighbors import Nearest, Place, Table, search
from headscope.question.choices import Metric
from headscope.vocabulary.encodings import Encoded

P = TypeVar("P", bound=Hashable)


@dataclass(frozen=True)
class Placed:
    """The vectors of a few places that share a table: each place's `members` int64 [member] and their `queries`."""

    table: Table
    places: list[Place]
    members: list[Tensor]  # indices into the vectors that were placed
    queries: list[Tensor]  # float32 [member, head, width]

    @property
    def which(self) -> Tensor:
        """All members, place by place: int64 [member]."""
        return torch.cat(self.members)

    def search(
        self,
        own: Tensor,
        others: Tensor,
        *,
        k: int,
        metrics: Sequence[Metric] = ("cosine",),
        candidates: Tensor | None = None,
    ) -> dict[Metric, Nearest]:
        """The search of `neighbors` for all of them, in the order of `which`; `own`, `others` int64 [vector]."""
        device, members = self.table.rows.device, self.which
        place_of = torch.repeat_interleave(torch.tensor([len(one) for one in self.members]))
        return search(
            self.table,
            self.places,
            torch.cat(self.queries),
            own[members].to(device),
            place_of=place_of.to(device),
            k=k,
            metrics=metrics,
            candidates=candidates,
            others=others[members, None].to(device),
        )


def members_of(places: Iterable[P]) -> list[tuple[P, Tensor]]:
    """Every place with the indices that have it, in the order in which they come.

    >>> members_of([3, 1, 3])
    [(3, tensor([0, 2])), (1, tensor([1]))]
    """
    found: dict[P, list[int]] = {}
    for index, place in enumerate(places):
        found.setdefault(place, []).append(index)
    return [(place, torch.tensor(members)) for place, members in found.items()]


def placed(encodings: Iterable[tuple[Tensor, Encoded]], vectors: Tensor) -> Iterator[Placed]:
    """Group `vectors` [vector, head, width] by table: all places in one, where the closed form holds.

    `encodings`: for every place, which vectors stand there, and the vocabulary as it is there.
    """
    run: Placed | None = None
    for members, encoded in encodings:
        if run is not None and run.table is not encoded.table:
            yield run
            run = None
        if run is None:
            run = Placed(encoded.table, [], [], [])
        run.places.append(encoded.place)
        run.members.append(members)
        run.queries.append(encoded.enter(vectors[members]))
    if run is not None:
        yield run
