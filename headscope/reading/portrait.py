"""Every head of a layer in a few words: which words its output resembles, and where it looked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import NamedTuple

from headscope.inference.estimates import number
from headscope.model.tokens import Token, TokenName
from headscope.question import notes
from headscope.question.heads import sharing
from headscope.question.kinds import KINDS, Kind
from headscope.reading.answer import SCHEMA, Answer, Record
from headscope.reading.attention import Attention
from headscope.reading.nearest import Neighbors
from headscope.reading.records import PortraitHeadRecord, PortraitRecord
from headscope.reading.small import share, together
from headscope.show.marks import says
from headscope.show.numbers import distance
from headscope.show.sheet import Cell, Row, Sheet, SheetCard, of_heads

WORDS, SOURCES = 8, 5  # of each head, at most
_IDEOGRAMS = "\u2e80"  # from here on one character may be a word
FEW = 5  # words, and it is said when there are fewer
_WRITES = {
    "z": "Each writes {n} numbers at “{at}”; these are the words those numbers resemble.",
    "q": "Each asks with {n} numbers (its query) at “{at}”; these are the words those numbers resemble.",
    "k": "Each offers {n} numbers (its key) at “{at}”; these are the words those numbers resemble.",
    "v": "Each takes {n} numbers (its value) from “{at}”; these are the words those numbers resemble.",
}


class _ListedToken(NamedTuple):
    """A listed token, in the order in which one is nearer than another."""

    rank: int
    distance: float
    head: int
    id: int


@dataclass(frozen=True, repr=False, eq=False)
class Portrait(Answer):
    """For each head of a layer, the whole words that its output at a token resembles most, and where it looked most.

    `near` and `attention` hold the numbers; `size`: how many a head writes, `kv_heads`: how many keys and values the
    heads share.
    """

    near: Neighbors
    attention: Attention
    size: int
    kv_heads: int

    @property
    def says(self) -> str:
        """What a head is, in this layer, in a line."""
        asked, heads = self.near.question, len(self.near.ids)
        what = _WRITES[asked.vector].format(n=self.size, at=self.near.tokens[0].label.strip("␣"))
        shared = sharing(heads, self.kv_heads)
        told = f" {shared[0].upper()}{shared[1:]}." if shared else ""
        return f"Head = one of {heads} readers in layer {asked.layer}. {what}{told}"

    @property
    def shown(self) -> int:
        """The head to look at where none is chosen: whose output lies nearest to a token of the text; else the first.

        Of its listed neighbours the rank counts first, then the distance.
        """
        return self._found.head if self._found else 0

    @property
    def says_shown(self) -> str:
        """Why that head is shown."""
        found = self._found
        if not found:
            return "No head is chosen, and none lists a token of the text: here is the first."
        rank = "nearest" if found.rank == 1 else f"number {found.rank} of the nearest"
        return (
            f"No head is chosen: here is head {found.head}, which comes nearest to a token of the text "
            f"(“{self.near.names[found.id].label.strip('␣')}”, {rank})."
        )

    @cached_property
    def _found(self) -> _ListedToken | None:
        """The token of the text that is listed nearest to any head's output."""
        near = self.near
        columns = zip(*(of_all.tolist() for of_all in (near.ranks, near.distances, near.ids, near.kinds)), strict=True)
        listed = [
            _ListedToken(rank, number(apart) or 0.0, head, id)
            for head, of_one in enumerate(columns)
            for rank, apart, id, kind in zip(*of_one, strict=True)
            if rank and KINDS[kind] in ("own", "text")
        ]
        return min(listed, default=None)

    def rows(self) -> list[Record]:
        """One row for each head and word, and for each head and source: their place, token and number."""
        return [
            {"head": head["head"], "list": name, "place": place, **entry}
            for head in self._heads()
            for name, entries in (("resembles", head["resembles"]), ("looked", head["looked"]))
            for place, entry in enumerate(entries, start=1)
        ]

    def to_dict(self) -> PortraitRecord:
        """The same by head, ready for JSON."""
        return {
            "schema": SCHEMA,
            "layer": self.near.question.layer,
            "selected": self.near.tokens[0].position,
            "says": self.says,
            "shown": self.shown,
            "notes": list(self.near.notes),
            "heads": self._heads(),
        }

    def _heads(self) -> list[PortraitHeadRecord]:
        return [
            {
                "head": head,
                "resembles": [{"id": name.id, "token": name.text, "number": apart} for name, apart in words],
                "looked": [
                    {"id": one.id, "token": one.text, "number": weight} for one, weight in self._sources(head)[0]
                ],
            }
            for head, words in enumerate(self._words())
        ]

    def sheets(self) -> tuple[Sheet, ...]:
        """The words and the sources of every head, a column a head."""
        asked, own, heads = self.near.question, self.near.tokens[0], len(self.near.ids)
        where = f"at {own.position} {own.label} · layer {asked.layer}"
        words = [[self._word(name, apart) for name, apart in names] for names in self._words()]
        sources = [self._sources(head) for head in range(heads)]
        looked = [[self._source(token, weight) for token, weight in tokens] for tokens, _ in sources]
        rest = tuple(cell for _, cell in sources)
        rest_row = (Row(Cell("…", says="the other positions"), rest, apart=True),) if any(c.label for c in rest) else ()
        return (
            Sheet(
                "resembles",
                f"The words that each head resembles {where}",
                of_heads(heads, f"{asked.metric} distance"),
                _by_place(words),
                lead=(self.says,),
                legend=(self.says_shown,),
            ),
            Sheet(
                "looked",
                f"Where each head looked {where}",
                of_heads(heads, "weight"),
                (*_by_place(looked), *rest_row),
            ),
        )

    def cards(self) -> list[tuple[SheetCard, ...]]:
        """Of each head: what it resembles, where it looked; whether it matters is worked out elsewhere."""
        return [self._cards(head, words) for head, words in enumerate(self._words())]

    def _cards(self, head: int, words: Sequence[tuple[TokenName, float]]) -> tuple[SheetCard, ...]:
        measure = f"{self.near.question.metric} distance"
        cells = tuple(self._word(*word)._replace(number="", measure=measure) for word in words)
        few, k = len(words), self.near.ids.shape[1]
        said = f"{few or 'None'} of its {k} nearest tokens {'is a whole word' if few == 1 else 'are whole words'}."
        if not self.near.ranks[head, 0]:
            said = "All tokens are as near to its output, so it resembles none."
        tokens, rest = self._sources(head)
        return (
            SheetCard("words", f"What head {head} resembles", cells, said if few < FEW else ""),
            SheetCard(
                "looked",
                "Where it looked",
                tuple(self._source(*one)._replace(measure="weight") for one in tokens),
                rest.says,
            ),
            SheetCard("effect", "Does it matter?"),
        )

    def _words(self) -> list[list[tuple[TokenName, float]]]:
        """Of each head the nearest whole words, each once, with their distances; none where all tokens tie."""
        names = self.near.names
        spaced = any(name.label.startswith("␣") for name in names.values())
        found = []
        by_head = (of_all.tolist() for of_all in (self.near.ids, self.near.distances, self.near.ranks))
        for ids, distances, ranks in zip(*by_head, strict=True):
            words: dict[str, tuple[TokenName, float]] = {}
            for id, apart, rank in zip(ids, distances, ranks, strict=True):
                if rank and _is_word(names[id], spaced and id != self._opening):
                    words.setdefault(names[id].label.strip("␣").casefold(), (names[id], apart))
            found.append([*words.values()][:WORDS])
        return found

    @property
    def _opening(self) -> int | None:
        """The token that is the text's first word, which no space goes before; None where others go on with it."""
        own = [token for token in self.attention.tokens if not token.special][:2]
        goes_on = len(own) == 2 and own[1].label[:1].isalnum()
        return own[0].id if own and not goes_on else None

    def _sources(self, head: int) -> tuple[list[tuple[Token, float]], Cell]:
        """The positions of the largest weights, and what the others are together."""
        weights = self.attention.shares[head].tolist()
        seen = [at for at, sees in enumerate(self.attention.visible) if sees]
        order = sorted(seen, key=lambda at: -weights[at])
        most, others = order[:SOURCES], [weights[at] for at in order[SOURCES:]]
        hidden = len(weights) - len(seen)
        told = [together(others)] if others else []
        if hidden:
            told.append(f"{hidden} {notes.HIDDEN}")
        rest = Cell(f"{len(others)} others", share(sum(others)), says="; ".join(told)) if told else Cell()
        return [(self.attention.tokens[at], weights[at]) for at in most], rest

    def _word(self, name: TokenName, apart: float) -> Cell:
        kind = self.near.kind_of(name.id)
        told = says(kind, self.near.places.get(name.id, ()))
        return Cell(name.label, distance(apart), kind, says=told, value=apart, id=name.id)

    def _source(self, token: Token, weight: float) -> Cell:
        kind: Kind = "own" if token == self.attention.token else "elsewhere"
        return Cell(
            token.label,
            share(weight),
            kind,
            before=str(token.position),
            says=f"position {token.position}",
            share=weight,
            value=weight,
            id=token.id,
            position=token.position,
        )


def _is_word(name: TokenName, spaced: bool) -> bool:
    """Whether a token stands for a whole word; `spaced`: where it begins with a space."""
    word = name.label.strip("␣")
    if name.sort != "word" or word.startswith("##") or (spaced and not name.label.startswith("␣")):
        return False
    return any(map(str.isalpha, word)) and (len(word) > 1 or word >= _IDEOGRAMS)


def _by_place(columns: Sequence[Sequence[Cell]]) -> tuple[Row, ...]:
    cells = zip_longest(*columns, fillvalue=Cell())
    return tuple(Row(Cell(str(place)), tuple(row)) for place, row in enumerate(cells, start=1))
