"""How far a run of the claims is, on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn


class Bar:
    """One bar, which begins anew with every step; where standard error is no terminal, a line a step."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def step(self, doing: str, total: int | None) -> None:
        """What is done now, and how much of it there is; None: nobody knows."""
        if not self._progress.console.is_terminal:
            self._progress.console.print(f"{doing} …", highlight=False)
        self._progress.reset(self._task, description=doing, total=total)

    def tick(self, done: int) -> None:
        """So much more is done."""
        self._progress.advance(self._task, done)


@contextmanager
def watched() -> Iterator[Bar]:
    """A bar for the steps of a run."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    console = Console(stderr=True, markup=False, emoji=False)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield Bar(progress, progress.add_task("starting", total=None))
