"""A survey in the terminal: its plan, and how far it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from headscope.studies.survey.run import Plan

if TYPE_CHECKING:
    from headscope.model.card import Card


def show(plan: Plan, card: Card, directory: str) -> str:
    """The plan in a few lines."""
    documents = "" if plan.documents is None else f" of {plan.documents:,} documents"
    lines = [
        f"{card.name}: {card.layers} layers × {card.heads} heads, vocabulary {card.vocab_size:,}. {card.why}",
        f"{plan.texts:,} texts{documents}, {plan.positions:,} tokens",
        *(f"left out: {count:,} × {reason}" for reason, count in plan.left_out.items()),
        f"{plan.shards:,} shards in {directory}" + (f", {plan.done:,} of them finished" if plan.done else ""),
        f"about {_time(plan.seconds)} ({plan.scores:.1e} distances) and {_size(plan.bytes)} of disk "
        f"({_size(plan.free_bytes)} free)",
    ]
    lines += plan.notes
    if plan.bytes > plan.free_bytes:
        lines.append("That is more than the disk has room for.")
    return "\n".join(lines)


@dataclass(frozen=True)
class Watch:
    """Shows how far a survey is, on standard error."""

    progress: Progress
    task: TaskID

    def tick(self, positions: int) -> None:
        """So many positions of one layer, view and mask are measured."""
        self.progress.advance(self.task, positions)

    def say(self, step: str) -> None:
        """What is being done now."""
        self.progress.update(self.task, description=step)


@contextmanager
def watched(plan: Plan) -> Iterator[Watch]:
    """A bar with the time that is left."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield Watch(progress, progress.add_task("starting", total=plan.work))


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} seconds"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _size(count: int) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000  # type: ignore[assignment]
    return f"{count:.1f} GB"
