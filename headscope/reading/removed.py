"""What each head of a layer matters: what the model's output at a token loses without it, in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from headscope.question.choices import Replacement
from headscope.reading.answer import Answer
from headscope.reading.captured import Captured
from headscope.reading.effects import Effects, effects
from headscope.reading.layer_records import EffectRecord, RemovedRecord
from headscope.show.numbers import percent
from headscope.show.sheet import Cell, Row, Sheet


@dataclass(frozen=True, repr=False, eq=False)
class Removed(Answer):
    """For each head of one layer, what the model's output at a token loses when that head's z is replaced everywhere.

    `effects` holds the numbers, of that layer alone.
    """

    layer: int
    effects: Effects

    def rows(self) -> list[EffectRecord]:
        """One row for each head; see `Effects.rows`."""
        return [{**row, "layer": self.layer} for row in self.effects.rows()]

    def to_dict(self) -> RemovedRecord:
        """One record for each head, ready for JSON."""
        return {**self.effects.to_dict(), "heads": self.rows(), "layer": self.layer, "says": self.says()}

    def sheets(self) -> tuple[Sheet, ...]:
        """A sentence a head."""
        token = self.effects.token
        rows = tuple(Row(Cell(f"head {head}", head=head), (Cell(says),)) for head, says in enumerate(self.says()))
        return (
            Sheet(
                "removed",
                f"What the model’s output at {token.position} {token.label} loses without a head · layer {self.layer}",
                ("without it",),
                rows,
                stub="head",
                notes=self.effects.notes,
                prose=True,
            ),
        )

    def says(self) -> list[str]:
        """What is lost without each head, beside the others of its layer."""
        moved = self.effects.moved[0].tolist()
        at, heads = self.effects.token.label.strip("␣"), len(moved)
        gone = "Without this head" if self.effects.replaced_by == "zero" else "With this head at its mean"
        told = []
        for far in moved:
            place = 1 + sum(other > far for other in moved)
            beside = (
                f": {_nth(place)} of the layer’s {heads} heads (the middle one: {percent(median(moved))})"
                if heads > 1
                else ""
            )
            told.append(f"{gone}, the model’s output at “{at}” moves by {percent(far)} of its length{beside}.")
        if self.effects.kl is None:
            return told
        guesses = self.effects.kl[0].tolist()
        return [
            f"{says} What it predicts there changes by {_nats(kl)}." for says, kl in zip(told, guesses, strict=True)
        ]


def removed(captured: Captured, position: int, layer: int, replaced_by: Replacement) -> Removed:
    """See `Reading.removed`."""
    layer = captured.bench.layer(layer)
    return Removed(layer, effects(captured, position, replaced_by, [layer]))


def _nth(place: int) -> str:
    return "the most" if place == 1 else f"number {place}"


def _nats(kl: float) -> str:
    """
    >>> _nats(0.1234), _nats(0.00001)
    ('0.12 nats (KL)', 'less than 0.01 nats (KL)')
    """
    return f"{kl:.2f} nats (KL)" if kl >= 0.005 else "less than 0.01 nats (KL)"
