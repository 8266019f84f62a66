"""How much of each position heads mix into their outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from headscope.model.tokens import Token
from headscope.reading.answer import SCHEMA, Answer, Record
from headscope.reading.records import AttentionRecord
from headscope.reading.small import dot, listed
from headscope.show.heat import heat
from headscope.show.numbers import distance
from headscope.show.sheet import Cell, Row, Sheet, of_heads

_MEASURES = {"weights": "weight", "norms": "length"}  # what the numbers are


@dataclass(frozen=True, repr=False, eq=False)
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
    visible: tuple[bool, ...]  # which sources the mask lets the query see

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
        """Sources × heads; of a long text the large ones."""
        what = "weights" if self.weigh == "weights" else "lengths of what the weights let through"
        return (
            Sheet(
                "attention",
                f"Attention of {self.token.position} {self.token.label} · layer {self.layer} · {what}",
                of_heads(len(self.shares), _MEASURES[self.weigh]),
                self._sources(),
                stub="source",
                notes=self.notes,
                figure="cells",
            ),
        )

    def _sources(self) -> tuple[Row, ...]:
        """A row a source; what is small in every head, and what the mask hides, in a row each."""
        shares, own = self.shares, self.token.position
        of_all = shares.abs() / shares.abs().sum(-1, keepdim=True).clamp_min(1e-12)
        some = listed(of_all.amax(0), self.visible, own)
        names = named_places(self.tokens, own)
        kept = heat([names[at] for at in some.shown], shares[:, list(some.shown)].T.tolist())
        rows = [*veiled(kept, [[self.visible[at]] * len(shares) for at in some.shown])]
        if some.small:
            sums = shares[:, list(some.small)].sum(-1).tolist()
            told = "of a head’s whole, in every head" if self.weigh == "norms" else "in every head"
            name = Cell(f"{len(some.small)} others", says=f"{some.says} {told}; their sums")
            rows.append(Row(name, tuple(Cell(number=distance(value), value=value) for value in sums), apart=True))
        if some.hidden:
            name = Cell(f"{len(some.hidden)} hidden", says=some.says_hidden)
            rows.append(Row(name, (dot(),) * len(shares), apart=True))
        return tuple(rows)


def pattern(
    layer: int,
    head: int,
    tokens: Sequence[Token],
    queries: Sequence[Sequence[float]],
    visible: Sequence[Sequence[bool]],
    weigh: str,
    selected: int,
) -> Sheet:
    """Queries × sources of one head; the selected token is marked on both sides."""
    caption = f"L{layer}H{head}, the whole pattern; rows: query, columns: source"
    sources = tuple(named_places(tokens, selected, _MEASURES[weigh]))
    rows = veiled(heat(named_places(tokens, selected), queries), visible)
    return Sheet("pattern", caption, sources, tuple(rows), stub="query", figure="cells")


def veiled(rows: Sequence[Row], visible: Sequence[Sequence[bool]]) -> Iterator[Row]:
    """Rows with a dot for each weight of what the mask hides."""
    for row, seen in zip(rows, visible, strict=True):
        cells = zip(row.cells, seen, strict=True)
        yield replace(row, cells=tuple(cell if sees else dot() for cell, sees in cells))


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
