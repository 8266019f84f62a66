"""The positions of the text that heads' outputs are nearest to."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from headscope.inference.estimates import number
from headscope.model.tokens import Token
from headscope.question.choices import Metric
from headscope.question.kinds import Kind
from headscope.reading.answer import Answer, Record
from headscope.reading.records import PositionRecord, PositionsRecord
from headscope.show.marks import says
from headscope.show.numbers import distance
from headscope.show.sheet import Cell, Row, Sheet, of_heads


@dataclass(frozen=True, repr=False, eq=False)
class PositionNeighbors(Answer):
    """For each head, the positions of the text in the order of their distance from the head's output at a token.

    positions, distances [head, position], nearest first, the own position included. `against` "z": the heads'
    outputs at those positions; "v": the values there, which are what the head mixes.
    """

    layer: int
    metric: Metric
    against: str
    token: Token
    tokens: tuple[Token, ...]  # all of the text, by position
    positions: Tensor
    distances: Tensor
    notes: tuple[str, ...]

    def rows(self) -> list[Record]:
        """One row for each head and position: head, place in the order, position, token, label, distance."""
        return [
            {"head": head, "place": place, **entry}
            for head, entries in enumerate(self.heads())
            for place, entry in enumerate(entries, start=1)
        ]

    def to_dict(self) -> PositionsRecord:
        """The positions of the text by their distance, for each head, ready for JSON."""
        return {
            "layer": self.layer,
            "metric": self.metric,
            "against": self.against,
            "selected": self.token.position,
            "notes": list(self.notes),
            "heads": [{"head": head, "positions": entries} for head, entries in enumerate(self.heads())],
        }

    def heads(self) -> list[list[PositionRecord]]:
        """For each head its positions, nearest first."""
        return [
            [
                {"position": at, "token": self.tokens[at].text, "label": self.tokens[at].label, "distance": number(d)}
                for at, d in zip(order, distances, strict=True)
            ]
            for order, distances in zip(self.positions.tolist(), self.distances.tolist(), strict=True)
        ]

    def sheets(self) -> tuple[Sheet, ...]:
        """Places in the order × heads, the own position marked."""
        own = self.token
        what = "outputs" if self.against == "z" else "values"
        by_place = zip(self.positions.T.tolist(), self.distances.T.tolist(), strict=True)
        rows = (
            Row(Cell(str(place)), tuple(map(self._cell, order, distances)))
            for place, (order, distances) in enumerate(by_place, start=1)
        )
        return (
            Sheet(
                "positions",
                f"Nearest positions of the text ({what}) to the outputs at {own.position} {own.label} · "
                f"layer {self.layer} · {self.metric}",
                of_heads(len(self.positions), f"{self.metric} distance"),
                tuple(rows),
                notes=self.notes,
            ),
        )

    def _cell(self, position: int, apart: float) -> Cell:
        kind: Kind = "own" if position == self.token.position else "elsewhere"
        token = self.tokens[position]
        said = says(kind, (position,))
        return Cell(
            token.label,
            distance(apart),
            kind,
            before=str(position),
            says=f"position {position}, {said}" if kind == "own" else f"position {position}",
            value=apart,
            id=token.id,
            position=position,
        )
