"""Where a text's tokens stand under each head's output at a token: beside even attention, and beside other texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.cores.one_thread import alone
from headscope.inference.estimates import number
from headscope.model.tokens import Token, TokenName
from headscope.neighbors import Place, Source, search, without_ties
from headscope.question import notes
from headscope.question.given import number as one_of_many
from headscope.question.kinds import Kind
from headscope.question.question import Question
from headscope.question.shown import Summarised
from headscope.reading import standing_words
from headscope.reading.answer import Answer, Record, choices, named, question_record
from headscope.reading.bank import Bank
from headscope.reading.bank_records import BankWindowRecord, StandingHeadRecord, StandingRecord
from headscope.reading.captured import Captured
from headscope.reading.finding import Finder, finder
from headscope.reading.standing_words import Stood, Usual
from headscope.reading.within import evenly
from headscope.show.marks import says
from headscope.show.sheet import Cell, Row, Sheet, of_heads
from headscope.show.strip import Mark, Strip, strip

_WINDOW = 100  # outputs of other texts, at least
_QUARTERS = torch.tensor([0.25, 0.75], dtype=torch.float64)
_LEGEND = (
    "Ranks among the whole vocabulary, 1 for the nearest. Even: where the token would stand if the head attended alike "
    "to all that the position may see. Weight: how much of its attention the head gave the token here, at all its "
    "positions together."
)


@dataclass(frozen=True, eq=False, repr=False)
class Others(Summarised):
    """Where other texts' outputs at positions `first` to `last` put the same tokens: the middle half of their ranks.

    low, high float64 [head, token]; all_low, all_high [head]: of all tokens that the position may see, together. nan
    where there is none.
    """

    low: Tensor
    high: Tensor
    all_low: Tensor
    all_high: Tensor
    first: int
    last: int
    outputs: int
    bank: str  # where its texts come from

    @property
    def where(self) -> str:
        """At which positions."""
        return notes.at_positions(self.first, self.last)

    @property
    def window(self) -> BankWindowRecord:
        """Which outputs these are."""
        return {"first": self.first, "last": self.last, "outputs": self.outputs, "bank": self.bank}


@dataclass(frozen=True, repr=False, eq=False)
class Standing(Answer):
    """For each head of a layer, where its output at a token ranks the ordinary tokens of the text.

    `ids` [token]: each token once, in the order of the text. ranks, even int64 [head, token]: its rank under z, and
    under z of even attention (the mean of v over all that the position may see), 0 where its encoding is not finite.
    `tied` bool [head]: all tokens of the vocabulary are as near to z, and none has a rank. `weights` float32 [head,
    token]: the attention that it has, at all its positions. `seen` bool [token]: whether the position may see it.
    `candidates`: of how many tokens. `others`: None where no bank was given.
    """

    question: Question
    token: Token
    ids: tuple[int, ...]
    ranks: Tensor
    even: Tensor
    tied: Tensor
    weights: Tensor
    seen: Tensor
    candidates: int
    others: Others | None
    places: Mapping[int, tuple[int, ...]]
    names: Mapping[int, TokenName]
    notes: tuple[str, ...]

    def says(self) -> str:
        """What the layer's heads write of this text, in words."""
        return standing_words.of_layer(self._layer, self._stood())

    def says_of(self, head: int) -> str:
        """What one head writes of this text, in words."""
        return standing_words.of_head(self._layer, self._of(head))

    def strip(self, head: int, named: bool = True) -> str:
        """The whole vocabulary as a strip, with marks where the text's tokens rank: SVG; `named` gives it words."""
        stood = self._of(head)
        marks = tuple(
            Mark(token.label, token.rank, token.weight, self._kind(token.id), token.seen, token.id)
            for token in stood.tokens
        )
        band = None if stood.usual is None else (stood.usual.low, stood.usual.high)
        return strip(Strip(marks, stood.candidates, band, standing_words.of_strip(stood)), named)

    def rows(self) -> list[Record]:
        """One row for each head and token: head, id, token, rank, even, weight, visible, others_low, others_high."""
        return [{"head": head["head"], **token} for head in self._heads() for token in head["tokens"]]

    def to_dict(self) -> StandingRecord:
        """The ranks, and what they say, ready for JSON."""
        return {
            **question_record(self.question),
            "selected": self.token.position,
            "notes": list(self.notes),
            "vocabulary": self.candidates,
            "window": None if self.others is None else self.others.window,
            "says": self.says(),
            "heads": self._heads(),
        }

    def _of(self, head: int) -> Stood:
        stood = self._stood()
        said = f"there is no head {head!r}; the layer's heads are 0 to {len(stood) - 1}."
        return stood[one_of_many(head, range(len(stood)), said)]

    def _heads(self) -> list[StandingHeadRecord]:
        return [
            {
                "head": stood.head,
                "says": standing_words.of_head(self._layer, stood),
                "others": None if stood.usual is None else [stood.usual.low, stood.usual.high],
                "tokens": [
                    {
                        "id": token.id,
                        "token": self.names[token.id].text,
                        "label": token.label,
                        "rank": token.rank or None,
                        "even": token.even or None,
                        "weight": token.weight,
                        "visible": token.seen,
                        "others_low": None if token.usual is None else token.usual.low,
                        "others_high": None if token.usual is None else token.usual.high,
                    }
                    for token in stood.tokens
                ],
            }
            for stood in self._stood()
        ]

    def sheets(self) -> tuple[Sheet, ...]:
        """Tokens × heads: the rank, and beside it that of even attention."""
        rows = (
            Row(self._name(n), tuple(self._both(head, n) for head in range(len(self.ranks))))
            for n in range(len(self.ids))
        )
        return (
            Sheet(
                "standing",
                f"Where the text’s tokens stand under the outputs at {self.token.position} {self.token.label} · layer "
                f"{self._layer} · {choices(self.question)} · rank, even attention’s beside it",
                of_heads(len(self.ranks), "rank"),
                tuple(rows),
                lead=(self.says(),),
                legend=(_LEGEND,),
                notes=self.notes,
                figure="cells",
            ),
        )

    def sheet_of(self, head: int) -> Sheet:
        """The tokens of one head, the nearest first."""
        stood = self._of(head)
        order = sorted(range(len(self.ids)), key=lambda n: (not stood.tokens[n].rank, stood.tokens[n].rank))
        rows = []
        for n in order:
            token = stood.tokens[n]
            usual = "–" if token.usual is None else f"{token.usual.low:,.0f} to {token.usual.high:,.0f}"
            cells = (*(Cell(number=standing_words.rank(value)) for value in (token.rank, token.even)),)
            weight = Cell(number=f"{token.weight:.3f}" if token.seen else "hidden")
            rows.append(Row(self._name(n), (*cells, weight, Cell(number=usual))))
        return Sheet(
            "standing-head",
            f"Layer {self._layer}, head {head}: where the text’s tokens stand among {self.candidates:,}",
            ("rank", "even", "weight", "others’ half"),
            tuple(rows),
            stub="token",
        )

    def _name(self, n: int) -> Cell:
        id = self.ids[n]
        kind, places = self._kind(id), self.places.get(id, ())
        first = places[0] if places else None
        return Cell(self.names[id].label, kind=kind, says=says(kind, places), id=id, position=first)

    def _both(self, head: int, n: int) -> Cell:
        rank, even = int(self.ranks[head, n]), int(self.even[head, n])
        share = max(0.0, standing_words.nearness(rank, self.candidates)) if rank else None
        return Cell(
            number=standing_words.rank(rank),
            beside=standing_words.rank(even),
            share=share,
            value=float(rank) if rank else None,
            says=f"even attention {standing_words.rank(even)}",
            id=self.ids[n],
        )

    def _kind(self, id: int) -> Kind:
        return "own" if id == self.token.id else "text"

    @property
    def _layer(self) -> int:
        assert self.question.layer is not None, "it is of one layer"
        return self.question.layer

    def _stood(self) -> list[Stood]:
        """The same head by head, as words and strips have it."""
        parts = (self.ranks.tolist(), self.even.tolist(), self.weights.tolist())
        return [
            Stood(
                head,
                tuple(
                    standing_words.StandingToken(
                        id, self.names[id].label, rank, even, weight, seen, id == self.token.id, self._usual(head, n)
                    )
                    for n, (id, rank, even, weight, seen) in enumerate(
                        zip(self.ids, *by_head, self.seen.tolist(), strict=True)
                    )
                ),
                self.candidates,
                self._usual(head, None),
                bool(self.tied[head]),
            )
            for head, by_head in enumerate(zip(*parts, strict=True))
        ]

    def _usual(self, head: int, n: int | None) -> Usual | None:
        if self.others is None:
            return None
        low, high = (self.others.all_low, self.others.all_high) if n is None else (self.others.low, self.others.high)
        found = [number(float(end[head] if n is None else end[head, n])) for end in (low, high)]
        return None if None in found else Usual(*found)  # type: ignore[arg-type]


@alone()
def standing(captured: Captured, asked: Question, token: int | str, bank: Bank | None) -> Standing:
    """See `Reading.standing`."""
    position, search_in = captured.position_of(token), finder(captured, asked)
    asked, layer = search_in.question, search_in.question.layer
    assert layer is not None, "it is of one layer"
    ids = tuple(dict.fromkeys(one.id for one in captured.tokens if not one.special))
    wanted = torch.tensor(ids, dtype=torch.int64)
    captured.bench.vouch(wanted)
    pattern, sees = captured.attended(layer)
    places = torch.tensor([one.id for one in captured.tokens]) == wanted[:, None]  # (token, position)
    even = evenly(sees[position : position + 1], captured.v[layer], captured.z.shape[2])[0]  # (H, d_head)
    placed = search_in.placed(layer, position, 2)
    vectors = torch.stack([placed.vectors, search_in.entered(placed.encoded, even, position)])
    source, own = placed.encoded.source, captured.tokens[position]
    ranks, tied = _ranks(source, placed.encoded.place, vectors, own.id, wanted, asked)
    seen = (places & sees[position]).any(1)
    alike = tied[0].nonzero().squeeze(1).tolist()
    others = None if bank is None or not ids else _others(search_in, bank, own, wanted, seen)
    told = (
        ()
        if others is None
        else notes.background(position, own.special, others.first, others.last, asked.space, "cosine")
    )
    return Standing(
        question=asked,
        token=own,
        ids=ids,
        ranks=ranks[0],
        even=ranks[1],
        tied=tied[0],
        weights=pattern[:, position] @ places.T.float(),
        seen=seen,
        candidates=source.candidates,
        others=others,
        places=captured.places_of(wanted),
        names=named(torch.tensor([*ids, own.id]), captured.bench.opened.names),
        notes=(*search_in.notes(source, asked), *notes.nothing_near(layer, alike), *told),
    )


def _others(search_in: Finder, bank: Bank, own: Token, ids: Tensor, seen: Tensor) -> Others:
    """Where outputs of other texts around the same position put the tokens `ids`."""
    asked, layer = search_in.question, search_in.question.layer
    assert layer is not None, "it is of one layer"
    bank.check(search_in.captured, asked)
    bank = bank.apart_from(search_in.captured)
    encoded, window = search_in.for_many(layer, own.position), bank.around(own.position, _WINDOW)
    found, _ = _ranks(encoded.table, encoded.place, encoded.enter(bank.z[window, layer]), own.id, ids, asked)
    ranks = found.double().masked_fill(found == 0, torch.nan)  # (output, head, token)
    low, high = ranks.nanquantile(_QUARTERS, dim=0)
    # By head, so that all tokens of all outputs are one sample.
    together = ranks[:, :, seen].movedim(1, 0).flatten(1)
    missing = torch.full((2, len(together)), torch.nan, dtype=torch.float64)
    all_low, all_high = together.nanquantile(_QUARTERS, dim=1) if together.shape[1] else missing
    where = bank.positions[window]
    return Others(low, high, all_low, all_high, int(where.min()), int(where.max()), len(window), bank.name)


def _ranks(
    source: Source, place: Place, vectors: Tensor, own: int, ids: Tensor, asked: Question
) -> tuple[Tensor, Tensor]:
    """The ranks of `ids` [token] under many vectors [query, head, width] at one place, and where all tokens tie.

    int64 [query, head, token], and bool [query, head].
    """
    device = vectors.device
    near = search(
        source,
        [place],
        vectors,
        torch.full((len(vectors),), own, device=device),
        k=1,
        metrics=(asked.metric,),
        others=ids.to(device).expand(len(vectors), -1),
    )
    found = without_ties(near, source, [place], vectors, None, None)[asked.metric]
    assert found.other_ranks is not None, "they were asked for"
    return found.other_ranks.cpu(), found.tied.cpu()
