"""The vocabulary tokens that heads' outputs are nearest to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

from torch import Tensor

from headscope.errors import InputError
from headscope.inference.estimates import number
from headscope.model.capture.edits import Edits
from headscope.model.tokens import Token, TokenName
from headscope.question.choices import Mask
from headscope.question.kinds import KINDS, Kind
from headscope.question.passage import Passage
from headscope.question.question import Question
from headscope.reading.answer import Answer, Record, choices, question_record, token_cell, token_record
from headscope.reading.bench import Bench
from headscope.reading.records import HeadRecord, NeighborsRecord
from headscope.reading.why import Why
from headscope.show.marks import KEY
from headscope.show.numbers import distance, place
from headscope.show.sheet import Cell, Row, Sheet, of_heads

_VECTORS = {"z": "the outputs", "q": "the queries", "k": "the keys", "v": "the values"}


class Explains(Protocol):
    """A reading, as an answer knows it."""

    @property
    def bench(self) -> Bench: ...

    @property
    def passage(self) -> Passage: ...

    @property
    def mask(self) -> Mask: ...

    @property
    def edit(self) -> Edits: ...

    def why(self, near: Neighbors, head: int, id: int) -> Why:
        """The split of a token's score in one head over the positions that it mixed."""


@dataclass(frozen=True)
class Ends:
    """The tokens in the opposite direction of what a head writes, the farthest first: ids, distances [head, k]."""

    ids: Tensor
    distances: Tensor


@dataclass(frozen=True, repr=False, eq=False)
class Neighbors(Answer):
    """For each head, the vocabulary tokens that its output at a token is nearest to.

    ids, distances, ranks [head, k], nearest first; own_rank, own_distance [head]. Tied tokens share a rank and
    stand in the order of their ids; where all tie there is none, and ranks are 0. kinds uint8 [head, k]: indices of
    headscope.question.kinds.KINDS. For a list of tokens each tensor has a leading axis.
    """

    question: Question
    tokens: tuple[Token, ...]  # the selected ones
    ids: Tensor
    distances: Tensor
    ranks: Tensor
    own_rank: Tensor
    own_distance: Tensor
    kinds: Tensor
    places: Mapping[int, tuple[int, ...]]  # positions of the ids that the text has, itself or in another form
    names: Mapping[int, TokenName]  # of every id above
    notes: tuple[str, ...]
    suppressed: Ends | None = None  # in the spaces embedding and unembedding: what the head writes against
    reading: Explains | None = field(default=None, compare=False)  # None after unpickling

    def why(self, head: int, id: int) -> Why:
        """The exact split of a token's score in one head over the positions that it mixed; see `Reading.why`."""
        if self.reading is None:
            raise InputError(
                "this answer was loaded from a file, without its reading: ask reading.why(near, head, id)."
            )
        return self.reading.why(self, head, id)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"reading": None}

    def each(self) -> tuple[Neighbors, ...]:
        """One answer for each selected token, without the leading axis."""
        if self.ids.dim() == 2:
            return (self,)
        return tuple(
            replace(
                self,
                tokens=(token,),
                ids=self.ids[n],
                distances=self.distances[n],
                ranks=self.ranks[n],
                own_rank=self.own_rank[n],
                own_distance=self.own_distance[n],
                kinds=self.kinds[n],
                suppressed=self.suppressed and Ends(self.suppressed.ids[n], self.suppressed.distances[n]),
            )
            for n, token in enumerate(self.tokens)
        )

    def rows(self) -> list[Record]:
        """One row for each neighbour: position, head, rank, id, token, label, distance, kind, positions."""
        return [
            {"position": near.tokens[0].position, "head": head["head"], **neighbor}
            for near in self.each()
            for head in near.heads()
            for neighbor in head["neighbors"]
        ]

    def to_dict(self) -> NeighborsRecord:
        """The answer for each selected token, ready for JSON."""
        return {
            **question_record(self.question),
            "notes": list(self.notes),
            "selected": [{"token": token_record(near.tokens[0]), "heads": near.heads()} for near in self.each()],
        }

    def heads(self) -> list[HeadRecord]:
        """For each head of an answer about one token its neighbours, the own token's place, and what it is against."""
        by_head = zip(
            self.ranks.tolist(),
            self.ids.tolist(),
            self.distances.tolist(),
            self.kinds.tolist(),
            self.own_rank.tolist(),
            self.own_distance.tolist(),
            strict=True,
        )
        heads: list[HeadRecord] = [
            {
                "head": head,
                "neighbors": [
                    {
                        "rank": rank,
                        "id": id,
                        "token": self.names[id].text,
                        "label": self.names[id].label,
                        "distance": number(apart),
                        "kind": KINDS[kind],
                        "positions": list(self.places.get(id, ())),
                    }
                    for rank, id, apart, kind in zip(ranks, ids, distances, kinds, strict=True)
                ],
                "own": {"rank": own_rank, "distance": number(own_distance)},
            }
            for head, (ranks, ids, distances, kinds, own_rank, own_distance) in enumerate(by_head)
        ]
        if self.suppressed is not None:  # in the spaces that know it
            by_head = zip(self.suppressed.ids.tolist(), self.suppressed.distances.tolist(), strict=True)
            for record, (ids, distances) in zip(heads, by_head, strict=True):
                record["suppressed"] = [
                    {"id": id, "token": self.names[id].text, "label": self.names[id].label, "distance": number(apart)}
                    for id, apart in zip(ids, distances, strict=True)
                ]
        return heads

    def sheets(self) -> tuple[Sheet, ...]:
        """Ranks × heads for each selected token: the nearest tokens, the own token's place; and the farthest ones."""
        return tuple(sheet for near in self.each() for sheet in (near._nearest(), near.farthest()) if sheet)

    def _nearest(self) -> Sheet:
        asked, own = self.question, self.tokens[0]
        rows = [Row(Cell(str(place)), cells) for place, cells in enumerate(zip(*self.cells(), strict=True), start=1)]
        rows.append(Row(Cell("own", says="the own token’s rank among all candidates"), self.owns(), apart=True))
        return Sheet(
            "neighbors",
            f"Nearest vocabulary tokens to {_VECTORS[asked.vector]} at {own.position} {own.label} · "
            f"layer {asked.layer} · {choices(asked)}",
            of_heads(len(self.ids), f"{asked.metric} distance"),
            tuple(rows),
            legend=(KEY,),
            notes=self.notes,
            figure="cells",
        )

    def farthest(self) -> Sheet | None:
        """What the heads write against, in the spaces that know it."""
        if self.suppressed is None:
            return None
        own = self.tokens[0]
        ends = zip(self.suppressed.ids.T.tolist(), self.suppressed.distances.T.tolist(), strict=True)
        rows = (
            Row(Cell(f"−{place}", says="counted from the far end"), tuple(map(self._end, *pairs)))
            for place, pairs in enumerate(ends, start=1)
        )
        return Sheet(
            "suppressed",
            f"Suppressed: what the heads write against at {own.position} {own.label} · layer {self.question.layer}",
            of_heads(len(self.ids), f"{self.question.metric} distance"),
            tuple(rows),
            figure="cells",
        )

    def _end(self, id: int, apart: float) -> Cell:
        kind: Kind = "own" if id == self.tokens[0].id else "elsewhere"
        return token_cell(id, apart, kind, self.names, self.places)

    def kind_of(self, id: int) -> Kind:
        """What a listed token is to the text, in an answer about one token."""
        return KINDS[self._kinds[id]]

    @cached_property
    def _kinds(self) -> dict[int, int]:
        return dict(zip(self.ids.flatten().tolist(), self.kinds.flatten().tolist(), strict=True))

    def owns(self) -> tuple[Cell, ...]:
        """The own token's place and distance in each head."""
        by_head = zip(self.own_rank.tolist(), self.own_distance.tolist(), strict=True)
        return tuple(
            Cell(place(rank), distance(apart) if rank else "", value=apart if rank else None) for rank, apart in by_head
        )

    def cells(self) -> list[list[Cell]]:
        """The neighbours of each head, in an answer about one token."""
        return [
            [
                token_cell(id, apart, KINDS[kind], self.names, self.places, rank)
                for id, apart, kind, rank in zip(*parts, strict=True)
            ]
            for parts in zip(
                self.ids.tolist(), self.distances.tolist(), self.kinds.tolist(), self.ranks.tolist(), strict=True
            )
        ]
