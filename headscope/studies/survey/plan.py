"""What a survey will cost, before it begins, and what it consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headscope.model.card import Card


@dataclass(frozen=True)
class SurveyPlan:
    """What a survey will cost: positions, scores (positions · heads · tokens compared), seconds, bytes on disk.

    `shards` and `done` count those of the model and of every null. Seconds (None: they were not measured) and bytes are
    of what is left.
    """

    texts: int
    positions: int
    documents: int | None
    left_out: dict[str, int]
    scores: int
    seconds: float | None
    bytes: int
    free_bytes: int
    shards: int
    done: int
    work: int  # what `run` ticks through
    notes: tuple[str, ...] = ()  # what its reader must know: shards that are damaged


@dataclass(frozen=True)
class ShardTask:
    """A shard to be measured, of the model or of a null; `work`: what its measure tells its progress of."""

    null: str | None
    index: int
    work: int

    def __str__(self) -> str:
        return f"shard {self.index}" if self.null is None else f"shard {self.index} of the null {self.null}"


def show(plan: SurveyPlan, card: Card, directory: str) -> str:
    """The plan in a few lines."""
    documents = "" if plan.documents is None else f" of {plan.documents:,} documents"
    took, closed = ("", "") if plan.seconds is None else (f"about {_time(plan.seconds)} (", ")")
    lines = [
        f"{card.name}: {card.layers} layers × {card.heads} heads, vocabulary {card.vocab_size:,}. {card.why}",
        f"{plan.texts:,} texts{documents}, {plan.positions:,} tokens",
        *(f"left out: {count:,} × {reason}" for reason, count in plan.left_out.items()),
        f"{plan.shards:,} shard{'s' * (plan.shards != 1)} in {directory}"
        + (f", {plan.done:,} of them finished" if plan.done else ""),
        f"{took}{plan.scores:.1e} distances{closed} and {_size(plan.bytes)} of disk ({_size(plan.free_bytes)} free)"
        if plan.done < plan.shards
        else "nothing is left to measure",
    ]
    lines += plan.notes
    if plan.bytes > plan.free_bytes:
        lines.append("That is more than the disk has room for.")
    return "\n".join(lines)


def _time(seconds: float) -> str:
    if seconds < 90:
        return "a second" if seconds < 1.5 else f"{round(seconds)} seconds"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _size(count: int) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000  # type: ignore[assignment]
    return f"{count:.1f} GB"
