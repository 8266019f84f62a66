"""Long work on standard error: how much is done, and how long the rest takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Tell = Callable[[int, int], None]  # how much is done, of how much


@contextmanager
def bar(announced: str, doing: str) -> Iterator[Tell]:
    """A sentence and a progress bar, where standard error is a terminal or a notebook's cell; elsewhere nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console.print(announced, highlight=False, soft_wrap=True)
    with Progress(*columns, console=console) as shown:
        task = shown.add_task(doing, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
