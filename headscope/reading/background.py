"""An answer held against a bank of other texts' outputs: which neighbours are hubs, and what chance would give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from headscope.cores.one_thread import alone
from headscope.errors import InputError
from headscope.inference.estimates import number
from headscope.model.tokens import TokenName
from headscope.neighbors import Hubness, Moments, hub_aware, hubness, search, without_ties
from headscope.question import notes
from headscope.question.kinds import KINDS
from headscope.question.shown import Summarised
from headscope.reading import belonging
from headscope.reading.answer import Answer, Record, choices, named, question_record
from headscope.reading.bank import Bank
from headscope.reading.bank_records import BackgroundRecord, HeldHeadRecord, HubAwareRecord
from headscope.reading.captured import Captured
from headscope.reading.finding import Finder
from headscope.reading.nearest import Neighbors
from headscope.show.marks import KEY, says
from headscope.show.numbers import percent, place, rank, score
from headscope.show.sheet import Cell, Row, Sheet, of_heads
from headscope.vocabulary import Encoded

NEAREST = 10  # hubness counts how often a token is among so many nearest
WINDOW = 100  # outputs that chance is taken from, at least


@dataclass(frozen=True, eq=False, repr=False)
class Chance(Summarised):
    """What other texts' outputs give for the same question, at positions `first` to `last`.

    own_rank [head]: the median rank of the selected token under them; as_near [head]: the share of them that rank it
    at least as near as the answer does (both nan where its encoding is not finite); in_text [head]: the share whose
    nearest token is a token of this text, and not special; listed [head, k]: for each of the answer's neighbours the
    share that has it among its k nearest.
    """

    own_rank: Tensor
    as_near: Tensor
    in_text: Tensor
    listed: Tensor
    first: int
    last: int
    outputs: int

    @property
    def where(self) -> str:
        """At which positions."""
        return notes.at_positions(self.first, self.last)


@dataclass(frozen=True, repr=False, eq=False)
class Background(Answer):
    """An answer, and what a bank of other texts' outputs says of it.

    ids, ranks, scores [head, k]: the hub-aware neighbours, highest score first; kinds as in `near`; own_rank,
    own_score [head]. A score says by how many standard deviations over the bank the token is nearer than usual.
    `hubs`: how unequally tokens are among the 10 nearest of the bank's outputs.
    """

    near: Neighbors
    ids: Tensor
    ranks: Tensor
    scores: Tensor
    kinds: Tensor
    own_rank: Tensor
    own_score: Tensor
    hubs: Hubness
    chance: Chance
    bank: str  # where its texts come from
    outputs: int  # of the bank
    places: Mapping[int, tuple[int, ...]]
    names: Mapping[int, TokenName]  # of every id here and in `near`
    notes: tuple[str, ...]

    def rows(self) -> list[Record]:
        """One row for each neighbour of both lists: head, list, rank, id, token, distance, score, kind, chance."""
        raw = [
            {"head": row["head"], "list": "raw", "rank": row["rank"], "id": row["id"], "token": row["token"]}
            | {"distance": row["distance"], "score": None, "kind": row["kind"], "chance": chance}
            for row, chance in zip(self.near.rows(), self.chance.listed.flatten().tolist(), strict=True)
        ]
        return raw + [
            {"head": head, "list": "hub-aware", "rank": row["rank"], "id": row["id"], "token": row["token"]}
            | {"distance": None, "score": row["score"], "kind": row["kind"], "chance": None}
            for head in range(len(self.ids))
            for row in self._neighbors(head)
        ]

    def to_dict(self) -> BackgroundRecord:
        """The hub-aware neighbours and chance, head by head, ready for JSON; the answer itself is not repeated."""
        near, chance = self.near, self.chance
        return {
            **question_record(near.question),
            "selected": near.tokens[0].position,
            "bank": {"name": self.bank, "outputs": self.outputs},
            "window": {"first": chance.first, "last": chance.last, "outputs": chance.outputs},
            "notes": list(self.notes),
            "heads": [self._head(head) for head in range(len(self.ids))],
        }

    def _head(self, head: int) -> HeldHeadRecord:
        chance, hubs = self.chance, self.hubs
        hub = self.names[int(hubs.largest_id[head])]
        return {
            "head": head,
            "neighbors": self._neighbors(head),
            "own": {"rank": int(self.own_rank[head]), "score": number(float(self.own_score[head]))},
            "hubs": {
                "skewness": float(hubs.skewness[head]),
                "largest": float(hubs.largest[head]),
                "id": hub.id,
                "token": hub.text,
                "label": hub.label,
            },
            "chance": {
                "own_rank": number(float(chance.own_rank[head])),
                "as_near": number(float(chance.as_near[head])),
                "in_text": float(chance.in_text[head]),
                "listed": chance.listed[head].tolist(),
            },
        }

    def _neighbors(self, head: int) -> list[HubAwareRecord]:
        """A head's hub-aware neighbours."""
        return [
            {
                "rank": rank,
                "id": id,
                "token": self.names[id].text,
                "label": self.names[id].label,
                "score": score,
                "kind": KINDS[kind],
                "positions": list(self.places.get(id, ())),
            }
            for rank, id, score, kind in zip(
                self.ranks[head].tolist(),
                self.ids[head].tolist(),
                self.scores[head].tolist(),
                self.kinds[head].tolist(),
                strict=True,
            )
        ]

    def sheets(self) -> tuple[Sheet, ...]:
        """Raw and hub-aware neighbours side by side for each head, with chance beside what is of this text."""
        asked, own = self.near.question, self.near.tokens[0]
        heads, aware = range(len(self.ids)), Cell("hub-aware", measure="score")
        columns = [column for head in heads for column in (self._raw(head), self._aware(head))]
        rows = [Row(Cell(str(place)), cells) for place, cells in enumerate(zip(*columns, strict=True), start=1)]
        rows += [
            Row(Cell(name, says=says), tuple(cell for head in heads for cell in pair(head)), apart=True)
            for name, says, pair in (
                ("own", "the own token’s rank, and its hub-aware rank", self._own),
                ("chance", "the own token’s median rank under other texts’ outputs", self._chance_of_own),
                ("in text", "how many of other texts’ outputs have a token of this text nearest", self._in_text),
                ("hubs", "what is most often among the 10 nearest of other outputs; skewness", self._hubs),
            )
        ]
        return (
            Sheet(
                "hub-aware",
                f"Nearest vocabulary tokens to the outputs at {own.position} {own.label}, raw and hub-aware · "
                f"layer {asked.layer} · {choices(asked)}",
                tuple(title for _ in heads for title in (Cell("raw", measure=f"{asked.metric} distance"), aware)),
                tuple(rows),
                legend=(KEY, *self._legend()),
                notes=(*self.near.notes, *self.notes),
                together=2,
                over=of_heads(len(heads)),
            ),
        )

    def _raw(self, head: int) -> list[Cell]:
        """The answer's own neighbours, with chance beside those that the text has."""
        return [
            cell._replace(
                beside=percent(share), says=f"{cell.says}, listed by {percent(share)} of other texts’ outputs"
            )
            if cell.kind in ("own", "text")
            else cell
            for cell, share in zip(self.near.cells()[head], self.chance.listed[head].tolist(), strict=True)
        ]

    def _aware(self, head: int) -> list[Cell]:
        return [
            Cell(
                row["label"],
                score(row["score"]),
                row["kind"],
                says=f"rank {row['rank']}, {says(row['kind'], row['positions'])}",
                value=row["score"],
                id=row["id"],
            )
            for row in self._neighbors(head)
        ]

    def _own(self, head: int) -> tuple[Cell, Cell]:
        rank = int(self.own_rank[head])
        return self.near.owns()[head], Cell(place(rank), score(float(self.own_score[head])))

    def _chance_of_own(self, head: int) -> tuple[Cell, Cell]:
        chance = self.chance
        near = percent(float(chance.as_near[head]))
        return Cell(f"#{rank(float(chance.own_rank[head]))}, {near} as near"), Cell()

    def _in_text(self, head: int) -> tuple[Cell, Cell]:
        return Cell(percent(float(self.chance.in_text[head]))), Cell()

    def _hubs(self, head: int) -> tuple[Cell, Cell]:
        """The most frequent neighbour with its share, and the skewness."""
        hubs, id = self.hubs, int(self.hubs.largest_id[head])
        label = f"{percent(float(hubs.largest[head]))} {self.names[id].label}"
        return Cell(label, id=id), Cell(f"skew {float(hubs.skewness[head]):.1f}")

    def _legend(self) -> tuple[str, ...]:
        """What the numbers beside an answer are."""
        return (
            f"Bank: {self.outputs:,} outputs of other texts ({self.bank}). Hub-aware: by how many standard deviations "
            "over the bank the token is nearer than usual.",
            f"Chance, from the {self.chance.outputs:,} of them at {self.chance.where}: beside a token of the text, how "
            "many list it too; chance, the own token's median rank, and how many rank it as near; in text, how many "
            "have a token of this text nearest.",
            "Hubs: the token that is most often among the 10 nearest of the bank's outputs, and how skewed that count "
            "is.",
        )


@dataclass(frozen=True)
class _Usual:
    """What is usual over a bank at one place."""

    moments: Moments
    hubs: Hubness

    @property
    def nbytes(self) -> int:
        return self.moments.nbytes + self.hubs.nbytes


@alone()
def background(captured: Captured, near: Neighbors, bank: Bank) -> Background:
    """See `Reading.background`; what is usual is kept for each bank, question and place."""
    _check(captured, near)
    finder = Finder(captured, near.question)
    bank.check(captured, near.question)
    kept = captured.bench.kept
    asked, own = near.question, near.tokens[0]
    layer, position = asked.layer, own.position
    assert layer is not None, "checked above"
    encoded = finder.for_many(layer, position)
    allowed, device = finder.allowed(encoded.table), encoded.table.device
    bank = bank.apart_from(captured)
    vectors = encoded.enter(bank.z[:, layer])  # (output, head, width)

    def measure() -> _Usual:
        candidates = encoded.table.finite if allowed is None else encoded.table.finite & allowed
        k = min(NEAREST, int(candidates.sum()))
        ids = _search(finder, encoded, vectors, own.id, k, allowed)[0]
        return _Usual(Moments.of(asked.metric, vectors), hubness(ids, candidates.cpu()))

    usual = kept.made(("usual", bank.texts, bank.mask, replace(asked, k=1), finder.stands(position)), measure)
    vector, k = encoded.enter(captured.z[layer, position]), near.ids.shape[1]
    aware = hub_aware(usual.moments, encoded.table, encoded.place, vector, own.id, k, allowed)
    window = bank.around(position, WINDOW)
    ids, own_ranks = _search(finder, encoded, vectors[window.to(device)], own.id, k, allowed)
    where = bank.positions[window]
    first, last = int(where.min()), int(where.max())
    tied = near.ranks[:, 0] == 0
    chance = _chance(captured, near, ids, own_ranks, first, last)
    ids, names = aware.ids.cpu(), captured.bench.opened.names
    return Background(
        near=near,
        ids=ids,
        ranks=aware.ranks.cpu().masked_fill(tied[:, None], 0),
        scores=aware.scores.float().cpu(),
        kinds=captured.kinds_of(ids, torch.tensor(own.id)),
        own_rank=aware.own_rank.cpu().masked_fill(tied, 0),
        own_score=aware.own_score.float().cpu(),
        hubs=usual.hubs,
        chance=chance,
        bank=bank.name,
        outputs=len(bank),
        places=captured.places_of(torch.cat([near.ids, ids])),
        names={**near.names, **named(torch.cat([ids.flatten(), usual.hubs.largest_id]), names)},
        notes=(*bank.notes, *notes.background(position, own.special, first, last, asked.space, asked.metric)),
    )


def _search(
    finder: Finder, encoded: Encoded, vectors: Tensor, own: int, k: int, allowed: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The k nearest tokens of many vectors [output, head, width] at one place, and the rank of the token `own`.

    Where all tokens tie none is near: ids are −1, and the rank is 0.
    """
    metric = finder.question.metric
    repeated = torch.full((len(vectors),), own, device=vectors.device)
    query = encoded.table, [encoded.place], vectors
    near = search(*query, repeated, k=k, metrics=(metric,), candidates=allowed)
    found = without_ties(near, *query, None, allowed)[metric]
    return found.ids.masked_fill(found.tied[..., None], -1).cpu(), found.own_rank.cpu()


def _chance(captured: Captured, near: Neighbors, ids: Tensor, own_ranks: Tensor, first: int, last: int) -> Chance:
    """From what other outputs are nearest to, ids [output, head, k], and the own token's ranks there [output, head]."""
    ranks = own_ranks.double()  # 0 where the token has none
    ranks = ranks.masked_fill(ranks == 0, torch.nan)
    unknown = near.own_rank == 0
    here = torch.tensor([token.id for token in captured.tokens if not token.special])
    listed = [(ids[:, head, :, None] == near.ids[head]).any(1).double().mean(0) for head in range(len(near.ids))]
    return Chance(
        own_rank=ranks.nanquantile(0.5, dim=0),
        as_near=(ranks <= near.own_rank).double().mean(0).masked_fill(unknown, torch.nan),
        in_text=torch.isin(ids[..., 0], here).double().mean(0),
        listed=torch.stack(listed),
        first=first,
        last=last,
        outputs=len(ranks),
    )


def _check(captured: Captured, near: Neighbors) -> None:
    asked = belonging.own(captured, near, Neighbors).question
    if asked.layer is None or near.ids.dim() != 2:
        raise InputError("a background is of an answer about one token: near.each() gives them one by one.")
    if asked.vector != "z":
        raise InputError(f"the answer is about {asked.vector}, and a bank holds z: ask nearest with vector 'z'.")
