"""Long work on standard error: how much is done, and how long the rest takes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Tell = Callable[[int, int], None]  # how much is done, of how much


@contextmanager
def bar(announced: str, doing: str) -> Iterator[Tell]:
    """A sentence and a progress bar, where standard error is a terminal or a notebook's cell; elsewhere nothing."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from headscope.show.terminal import console

    on = console(sys.stderr)
    if not (on.is_terminal or on.is_jupyter):
        yield lambda done, total: None
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    on.print(announced, soft_wrap=True)
    with Progress(*columns, console=on) as shown:
        task = shown.add_task(doing, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
