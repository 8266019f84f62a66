"""How much of each position heads mix into their outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from headscope.model.tokens import Token
from headscope.reading.answer import SCHEMA, Answer, Record
from headscope.reading.records import AttentionRecord
from headscope.show.heat import heat
from headscope.show.sheet import Cell, Sheet


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
        heads = [
            Cell(
                f"{token.position} {token.label}",
                kind="own" if token == self.token else "elsewhere",
                position=token.position,
            )
            for token in self.tokens
        ]
        return (
            Sheet(
                "attention",
                f"Attention of {self.token.position} {self.token.label} · layer {self.layer} · {what}",
                tuple(f"head {head}" for head in range(len(self.shares))),
                heat(heads, self.shares.T.tolist()),
                stub="source",
                notes=self.notes,
                figure="cells",
            ),
        )


def pattern(layer: int, head: int, tokens: Sequence[Token], queries: Sequence[Sequence[float]]) -> Sheet:
    """Queries × sources of one head."""
    labels = tuple(f"{token.position} {token.label}" for token in tokens)
    heads = [Cell(label, position=token.position) for label, token in zip(labels, tokens, strict=True)]
    caption = f"L{layer}H{head}, rows: query, columns: source"
    return Sheet("pattern", caption, labels, heat(heads, queries), stub="query", figure="cells")
