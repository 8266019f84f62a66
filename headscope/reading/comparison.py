"""How the neighbours of one token differ between two answers."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from headscope.errors import InputError
from headscope.reading.answer import Answer
from headscope.reading.nearest import Neighbors
from headscope.reading.records import ChangeRecord, ComparisonRecord
from headscope.show.sheet import Cell, Row, Sheet


@dataclass(frozen=True, repr=False)
class Comparison(Answer):
    """How the neighbours of one selected token differ between two answers: masks, models, references, metrics.

    `overlap` [head]: the share of the k nearest tokens that both have. `moved` [head]: how many places the own token
    is farther off in `other` than in `one`.
    """

    one: Neighbors
    other: Neighbors
    overlap: Tensor
    moved: Tensor

    def rows(self) -> list[ChangeRecord]:
        """One row for each head: overlap, own rank in both, moved."""
        by_head = zip(
            self.overlap.tolist(),
            self.one.own_rank.tolist(),
            self.other.own_rank.tolist(),
            self.moved.tolist(),
            strict=True,
        )
        return [
            {"head": head, "overlap": overlap, "own_rank": one, "other_own_rank": other, "moved": moved}
            for head, (overlap, one, other, moved) in enumerate(by_head)
        ]

    def to_dict(self) -> ComparisonRecord:
        """Two answers and how they differ, ready for JSON."""
        return {"one": self.one.to_dict(), "other": self.other.to_dict(), "heads": self.rows()}

    def sheets(self) -> tuple[Sheet, ...]:
        """What changed for each head, and both answers."""
        changes = zip(self.overlap.tolist(), self.moved.tolist(), strict=True)
        cells = tuple(Cell(f"{overlap:.0%}, own {moved:+d}") for overlap, moved in changes)
        changed = Sheet(
            "changes",
            "What changed: tokens shared by both, and how far the own token moved",
            tuple(f"head {head}" for head in range(len(cells))),
            (Row(Cell("change"), cells),),
        )
        return changed, *self.one.sheets(), *self.other.sheets()


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
    return Comparison(one, other, both.float().mean(-1), other.own_rank - one.own_rank)
