"""How the neighbours of one token differ between two answers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from headscope.errors import InputError
from headscope.inference.estimates import number
from headscope.question.choices import Mask, Reference
from headscope.reading.answer import Answer, choices
from headscope.reading.nearest import Neighbors
from headscope.reading.records import ChangeRecord, ComparisonRecord
from headscope.show.marks import KEY
from headscope.show.sheet import Cell, Row, Sheet, of_heads

_REFERENCES: dict[Reference, str] = {"input": "Input layer", "layer": "This layer", "isolated": "Isolated"}
_MASKS: dict[Mask, str] = {"model": "Own mask", "full": "Mask full", "causal": "Mask causal"}
_OWN = "the own token’s rank among all candidates"
_BOTH = "what both sides list, and how far the own token moved"


@dataclass(frozen=True, repr=False, eq=False)
class Comparison(Answer):
    """How the neighbours of one selected token differ between two answers: masks, models, references, metrics.

    `overlap` [head]: the share of the k nearest tokens that both have; nan where all tokens tie on a side, so that none
    is near. `moved` [head]: how many places the own token is farther off in `other` than in `one`; 0 where it has no
    rank on a side. `sides`: what the two are called beside each other.
    """

    one: Neighbors
    other: Neighbors
    overlap: Tensor
    moved: Tensor
    sides: tuple[str, str]

    def rows(self) -> list[ChangeRecord]:
        """One row for each head: overlap, own rank in both, moved; None where there is none."""
        by_head = zip(
            self.overlap.tolist(),
            self.one.own_rank.tolist(),
            self.other.own_rank.tolist(),
            self.moved.tolist(),
            strict=True,
        )
        return [
            {
                "head": head,
                "overlap": number(overlap),
                "own_rank": one,
                "other_own_rank": other,
                "moved": moved if one and other else None,
            }
            for head, (overlap, one, other, moved) in enumerate(by_head)
        ]

    def to_dict(self) -> ComparisonRecord:
        """Two answers and how they differ, ready for JSON."""
        return {"one": self.one.to_dict(), "other": self.other.to_dict(), "heads": self.rows()}

    def sheets(self) -> tuple[Sheet, ...]:
        """Every head of both answers side by side, with the tokens that both list; and what each writes against."""
        asked, own = self.one.question, self.one.tokens[0]
        columns = [column for pair in zip(*self._cells(), strict=True) for column in pair]
        rows = [Row(Cell(str(place)), cells) for place, cells in enumerate(zip(*columns, strict=True), start=1)]
        owns = zip(self.one.owns(), self.other.owns(), strict=True)
        rows.append(Row(Cell("own", says=_OWN), tuple(cell for pair in owns for cell in pair), apart=True))
        changes = (cell for head in range(len(self.moved)) for cell in (self._shared(head), self._moved(head)))
        rows.append(Row(Cell("both", says=_BOTH), tuple(changes), apart=True))
        heads = of_heads(len(self.moved))
        sheet = Sheet(
            "comparison",
            f"What changed at {own.position} {own.label}: the nearest vocabulary tokens of each head, {self.sides[0]} "
            f"and {self.sides[1]} · layer {asked.layer} · {choices(asked)}",
            tuple(Cell(side, measure=f"{asked.metric} distance") for _ in heads for side in self.sides),
            tuple(rows),
            legend=(KEY,),
            notes=(*self.one.notes, *(note for note in self.other.notes if note not in self.one.notes)),
            together=2,
            figure="cells",
            over=heads,
        )
        ends = zip(self.sides, (self.one.farthest(), self.other.farthest()), strict=True)
        return sheet, *(replace(end, caption=f"{end.caption} · {side}") for side, end in ends if end)

    def _cells(self) -> tuple[list[list[Cell]], list[list[Cell]]]:
        """The neighbours of each head on both sides; those that both list are told so."""
        sides = self.one, self.other
        listed = [[set(ids) for ids in side.ids.tolist()] for side in sides]
        one, other = (
            [
                [cell._replace(shared=cell.id in listed[1 - side][head]) for cell in cells]
                for head, cells in enumerate(near.cells())
            ]
            for side, near in enumerate(sides)
        )
        return one, other

    def _shared(self, head: int) -> Cell:
        k = self.one.ids.shape[1]
        if self.overlap[head].isnan():
            return Cell("none near")
        return Cell(f"{round(k * float(self.overlap[head]))} of {k} shared")

    def _moved(self, head: int) -> Cell:
        """How far the own token moved from the one side to the other."""
        if not int(self.one.own_rank[head]) or not int(self.other.own_rank[head]):
            return Cell("no rank")
        moved = int(self.moved[head])
        way = "farther" if moved > 0 else "nearer"
        return Cell(f"{abs(moved)} {way}" if moved else "own stays")


def compared(one: Neighbors, other: Neighbors) -> Comparison:
    """Two answers for the same token, side by side.

    Raises InputError where they are not about the same vocabulary, token, number of heads or k.
    """
    if one.ids.dim() != 2 or other.ids.dim() != 2:
        raise InputError("a comparison is of one token: give a position or a text, not a list.")
    if one.ids.shape != other.ids.shape:
        (heads, k), (other_heads, other_k) = one.ids.shape, other.ids.shape
        raise InputError(
            f"a comparison needs as many heads and neighbours on both sides: {heads} heads × {k}, "
            f"{other_heads} heads × {other_k}."
        )
    shared = set(one.names) & set(other.names)
    if one.tokens[0].id != other.tokens[0].id or any(one.names[id].text != other.names[id].text for id in shared):
        raise InputError("a comparison needs the same token of one tokenizer on both sides.")
    both = (one.ids[:, :, None] == other.ids[:, None, :]).any(-1)  # (head, k)
    tied = (one.ranks[:, 0] == 0) | (other.ranks[:, 0] == 0)
    overlap = both.float().mean(-1).masked_fill(tied, torch.nan)
    unknown = (one.own_rank == 0) | (other.own_rank == 0)
    moved = (other.own_rank - one.own_rank).masked_fill(unknown, 0)
    return Comparison(one, other, overlap, moved, _sides(one, other))


def _sides(one: Neighbors, other: Neighbors) -> tuple[str, str]:
    """What two answers are called beside each other: by what differs."""
    here, there = one.reading, other.reading
    if here is not None and there is not None:
        if here.bench.card.name != there.bench.card.name:
            return here.bench.card.name, there.bench.card.name
        if here.passage != there.passage:
            return "This text", "Other text"
        if here.mask != there.mask:
            return _MASKS[here.mask], _MASKS[there.mask]
        if bool(here.edit) != bool(there.edit):
            return ("Edited", "As it is") if here.edit else ("As it is", "Edited")
    first, second = one.question.reference, other.question.reference
    if first is None or second is None or first == second:
        return "One", "Other"
    return _REFERENCES[first], _REFERENCES[second]
