"""How much of a token's score in one head each source position brought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.model.tokens import Token, TokenName
from headscope.question.question import Question
from headscope.reading.answer import Answer, choices, question_record
from headscope.reading.finding import Split
from headscope.reading.records import WhyRecord, WhySourceRecord
from headscope.reading.small import listed
from headscope.show.heat import heat
from headscope.show.numbers import distance
from headscope.show.sheet import Cell, Row, Sheet


@dataclass(frozen=True, repr=False, eq=False)
class Why(Answer):
    """How much of a token's score in one head each source position brought.

    `weights`, `shares` float64 [source]; `rest` belongs to no position (the share of attention sinks); `score` is
    their sum: 1 − distance for cosine, −distance for dot, the dot product for euclidean.
    """

    question: Question
    token: Token  # the selected one
    head: int
    neighbor: TokenName
    tokens: tuple[Token, ...]  # the sources, by position
    split: Split

    @property
    def weights(self) -> Tensor:
        """How much of each source position the head mixed."""
        return self.split.weights

    @property
    def shares(self) -> Tensor:
        """What each source position brought to the score."""
        return self.split.shares

    @property
    def rest(self) -> float:
        """What belongs to no position."""
        return self.split.rest

    @property
    def score(self) -> float:
        """All of them together."""
        return float(self.split.shares.sum()) + self.split.rest

    def rows(self) -> list[WhySourceRecord]:
        """One row for each source position: position, token, label, weight, share."""
        return [
            {"position": token.position, "token": token.text, "label": token.label, "weight": weight, "share": share}
            for token, weight, share in zip(self.tokens, self.weights.tolist(), self.shares.tolist(), strict=True)
        ]

    def to_dict(self) -> WhyRecord:
        """One token's score, split over the source positions, ready for JSON."""
        return {
            **question_record(self.question),
            "selected": self.token.position,
            "head": self.head,
            "id": self.neighbor.id,
            "token": self.neighbor.text,
            "label": self.neighbor.label,
            "score": self.score,
            "rest": self.rest,
            "sources": self.rows(),
        }

    def sheets(self) -> tuple[Sheet, ...]:
        """A row a source: its weight, and its share of the score."""
        return (together([self]),)


def together(reasons: Sequence[Why]) -> Sheet:
    """What each source position brought to the scores of several tokens in one head: a column a token."""
    first = reasons[0]
    asked, own = first.question, first.token
    what = "dot product" if asked.metric == "euclidean" else asked.metric
    sources = [
        Cell(
            token.label,
            distance(weight),
            "own" if token == own else "elsewhere",
            before=str(token.position),
            id=token.id,
            position=token.position,
        )
        for token, weight in zip(first.tokens, first.weights.tolist(), strict=True)
    ]
    shares = torch.stack([why.shares for why in reasons], 1)
    sizes = torch.maximum(first.weights.abs(), shares.abs().amax(1) / shares.abs().sum(0).max().clamp_min(1e-12))
    some = listed(sizes, [True] * len(sources), own.position)
    rows = [*heat([sources[at] for at in some.shown], shares[list(some.shown)].tolist(), _signed)]
    if some.small:
        small = list(some.small)
        name = Cell(
            f"{len(small)} others", distance(float(first.weights[small].sum())), says=f"{some.says}; their sums"
        )
        rows.append(_sum(name, shares[small].sum(0).tolist()))
    if any(why.rest for why in reasons):
        sink = Cell("no position", says="attention sink: a weight that belongs to none")
        rows.append(_sum(sink, [why.rest for why in reasons]))
    rows.append(_sum(Cell("score"), [why.score for why in reasons]))
    return Sheet(
        "why",
        f"Why: shares of the source positions in the {what} scores of head {first.head} at {own.position} {own.label} "
        f"· layer {asked.layer} · {choices(asked)}",
        tuple(Cell(why.neighbor.label, measure="share", id=why.neighbor.id) for why in reasons),
        tuple(rows),
        stub="source, weight",
    )


_signed = "{:+.4f}".format


def _sum(name: Cell, values: Sequence[float]) -> Row:
    return Row(name, tuple(Cell(number=_signed(value)) for value in values), apart=True)
