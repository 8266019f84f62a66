"""How much of each position heads mix into their outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from headscope.model.tokens import Token
from headscope.reading.answer import SCHEMA, Answer, Record
from headscope.reading.records import AttentionRecord
from headscope.show.heat import heat
from headscope.show.sheet import Cell, Sheet, of_heads

_MEASURES = {"weights": "weight", "norms": "length"}  # what the numbers are


@dataclass(frozen=True, repr=False)
class Attention(Answer):
    """For each head, how much of each position of the text it mixes into its output at a token.

    shares [head, source]: with `weigh` "weights" the attention weights α_ij, whose sum is 1 but for attention sinks;
    with "norms" the lengths ‖α_ij v_j W_O‖ of what the sources add to the residual stream.
    """

    layer: int
    weigh: str
    token: Token  # the query
    tokens: tuple[Token, ...]  # all of the text, by position
    shares: Tensor
    notes: tuple[str, ...]

    def rows(self) -> list[Record]:
        """One row for each head and source: head, position, token, label, share."""
        return [
            {"head": head, "position": token.position, "token": token.text, "label": token.label, "share": share}
            for head, shares in enumerate(self.shares.tolist())
            for token, share in zip(self.tokens, shares, strict=True)
        ]

    def to_dict(self) -> AttentionRecord:
        """How much of each position every head mixes into its output at a token, ready for JSON."""
        return {
            "schema": SCHEMA,
            "selected": self.token.position,
            "layer": self.layer,
            "weigh": self.weigh,
            "notes": list(self.notes),
            "heads": [{"head": head, "shares": shares} for head, shares in enumerate(self.shares.tolist())],
        }

    def sheets(self) -> tuple[Sheet, ...]:
        """Sources × heads."""
        what = "weights" if self.weigh == "weights" else "lengths of what the weights let through"
        return (
            Sheet(
                "attention",
                f"Attention of {self.token.position} {self.token.label} · layer {self.layer} · {what}",
                of_heads(len(self.shares), _MEASURES[self.weigh]),
                heat(named_places(self.tokens, self.token.position), self.shares.T.tolist()),
                stub="source",
                notes=self.notes,
                figure="cells",
            ),
        )


def pattern(
    layer: int, head: int, tokens: Sequence[Token], queries: Sequence[Sequence[float]], weigh: str, selected: int
) -> Sheet:
    """Queries × sources of one head; the selected token is marked on both sides."""
    caption = f"L{layer}H{head}, the whole pattern; rows: query, columns: source"
    sources = tuple(named_places(tokens, selected, _MEASURES[weigh]))
    return Sheet(
        "pattern", caption, sources, heat(named_places(tokens, selected), queries), stub="query", figure="cells"
    )


def named_places(tokens: Sequence[Token], selected: int | None, measure: str = "") -> list[Cell]:
    """What names the rows or columns of a text's tokens."""
    return [
        Cell(
            token.label,
            kind="own" if token.position == selected else "elsewhere",
            before=str(token.position),
            measure=measure,
            id=token.id,
            position=token.position,
        )
        for token in tokens
    ]
