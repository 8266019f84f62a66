"""Long work on standard error: what is being done, how much of it, and how long the rest takes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from headscope.errors import InputError, cut
from headscope.keep.cells import visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import ProgressColumn

EVERY = 5.0  # seconds between two lines on the same work
Tell = Callable[[int, int], None]  # how much is done, of how much
Tick = Callable[[int], None]  # so much more is done
Say = Callable[[str], None]  # what is being done


class Progress:
    """How far a piece of work is; whoever works tells it, and `changed` is called each time.

    `total`: how much there is to do, in whatever it is counted in; None: nobody knows.
    """

    def __init__(self, changed: Callable[[Progress], None] = lambda progress: None) -> None:
        self.doing, self.done = "starting", 0
        self.total: int | None = None
        self._changed = changed
        self._begun, self._first = time.monotonic(), 0

    @classmethod
    def of(cls, given: object) -> Progress:
        """What is given, or one that nobody hears; InputError for what is no progress (True, say)."""
        if given is None or isinstance(given, Progress):
            return given or cls()
        raise InputError(
            "progress is a Progress of headscope.show.progress, which tells a function how far it is, or None, not "
            f"{cut(repr(given))}."
        )

    def step(self, doing: str, total: int | None = None, done: int = 0) -> None:
        """Something else begins, and is counted anew; `done` of it were there before."""
        self._begun, self._first = time.monotonic(), done
        self.doing, self.done, self.total = doing, done, total
        self._changed(self)

    def say(self, doing: str) -> None:
        """What is being done now, as a part of the same step."""
        self.doing = doing
        self._changed(self)

    def advance(self, by: int) -> None:
        """So much more is done."""
        self.done += by
        self._changed(self)

    def tell(self, done: int, total: int) -> None:
        """So much is done, of so much; what is told first may have been there before."""
        if self.total is None:
            self._begun, self._first = time.monotonic(), done
        self.done, self.total = done, total
        self._changed(self)

    @property
    def seconds_left(self) -> float | None:
        """What the rest of the step takes, at the pace so far; None: nothing can be said."""
        made = self.done - self._first
        if self.total is None or made <= 0:
            return None
        return max(self.total - self.done, 0) * (time.monotonic() - self._begun) / made


@contextmanager
def watched(announced: str = "") -> Iterator[Progress]:
    """A bar for work of several steps; where standard error is no terminal and no notebook's cell, a line for each,
    and every few seconds one that says how much of it is done.

    `announced`: what is said before the first, if anything.
    """
    from rich.progress import TaskProgressColumn

    from headscope.show.terminal import console

    on = console(sys.stderr)
    if announced:
        on.print(visible(announced), soft_wrap=True)
    if on.is_terminal or on.is_jupyter:
        with _drawn(TaskProgressColumn()) as progress:
            yield progress
        return

    lines = _Lines(on)

    def say(progress: Progress) -> None:
        if progress.doing != lines.doing:
            lines.begin(progress.doing)
        lines.go_on(progress)

    yield Progress(say)


@contextmanager
def bar(announced: str, doing: str) -> Iterator[Tell]:
    """A sentence and a progress bar; where standard error is no terminal and no notebook's cell, lines."""
    from rich.progress import MofNCompleteColumn

    from headscope.show.terminal import console

    on = console(sys.stderr)
    if not (on.is_terminal or on.is_jupyter):
        lines = _Lines(on, doing)
        yield Progress(lines.go_on).tell
        return
    on.print(visible(announced), soft_wrap=True)
    with _drawn(MofNCompleteColumn()) as progress:
        progress.step(doing)
        yield progress.tell


@dataclass
class _Lines:
    """What a file or another program is told: what is being done, and now and then how far it is."""

    on: Console
    doing: str = ""
    said: float = field(default_factory=time.monotonic)

    def begin(self, doing: str) -> None:
        self.doing, self.said = doing, time.monotonic()
        self.on.print(f"{visible(doing)} …", soft_wrap=True)

    def go_on(self, progress: Progress) -> None:
        """A line on the share that is done and the time that is left, where the last is some seconds old."""
        now = time.monotonic()
        if now - self.said < EVERY or not progress.total:
            return
        self.said = now
        left = "" if progress.seconds_left is None else f", about {_spelled(progress.seconds_left)} left"
        share = min(progress.done / progress.total, 1)
        self.on.print(f"{visible(self.doing)}: {share:.0%}{left}", soft_wrap=True)


def _spelled(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


@dataclass(frozen=True)
class _Left:
    """The time that is left, as it is whenever the bar is drawn."""

    progress: Progress

    def __rich__(self) -> str:
        left = self.progress.seconds_left
        return "-:--:--" if left is None else _spelled(left)


@contextmanager
def _drawn(counted: ProgressColumn) -> Iterator[Progress]:
    """A bar, with a column that says how much is done."""
    from rich.progress import BarColumn, RenderableColumn, TextColumn
    from rich.progress import Progress as Bar

    from headscope.show.terminal import console

    def draw(now: Progress) -> None:
        shown.tasks[0].total = now.total  # `update` takes None for what it was before
        shown.update(task, description=visible(now.doing), completed=now.done)

    progress = Progress(draw)
    left = RenderableColumn(_Left(progress))
    columns = TextColumn("{task.description}", markup=False), BarColumn(), counted, left
    with Bar(*columns, console=console(sys.stderr)) as shown:
        task = shown.add_task(progress.doing, total=None)
        yield progress
