"""What commands do alike: open a model, say what takes its time, print."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from headscope.commands.streams import complain, say, write_data

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType
    from rich.status import Status

    from headscope.question.choices import What
    from headscope.question.model_choice import ModelChoice
    from headscope.reading.answer import Answer
    from headscope.scope import Scope
    from headscope.show.progress import Tell
    from headscope.show.sheet import Sheet


def open_scope(status: Status, model: ModelChoice, memory: str | None = None) -> Scope:
    """The model that is asked for, opened under a status."""
    from headscope.scope import CACHE_BYTES, Scope

    return Scope.from_choice(model, cache_bytes=memory or CACHE_BYTES, progress=lambda step: status.update(f"{step} …"))


def isolate(status: Status, scope: Scope, what: What = "values") -> None:
    """Read every token alone, under a bar of its own; what an interruption leaves is not lost."""
    status.stop()
    with going_on_later("read"):
        scope.isolate(what=what)
    status.start()


@contextmanager
def going_on_later(done: str) -> Iterator[None]:
    """Around work that is kept piece by piece: Ctrl+C ends it with a sentence; `done` is what it does, in the past."""
    try:
        yield
    except KeyboardInterrupt:
        complain(f"stopped; what was {done} is kept, and the same command goes on from there.")
        raise typer.Exit(130) from None


@contextmanager
def working(step: str) -> Iterator[Status]:
    """Show on standard error what takes its time."""
    from headscope.show.terminal import console

    with console(sys.stderr).status(f"{step} …") as status:
        yield status


@contextmanager
def bar_instead(status: Status, announced: str, doing: str) -> Iterator[Tell]:
    """A progress bar in the place of the status."""
    from headscope.show.progress import bar

    status.stop()
    with bar(announced, doing) as tell:
        yield tell


def print_json(told: Mapping[str, Any] | list[dict[str, Any]]) -> None:
    """Print one JSON document on a line, with nothing in it that a terminal would obey."""
    text = json.dumps(told, ensure_ascii=False, allow_nan=False)
    write_data(re.sub("[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def print_answer(answer: Answer, as_json: bool, page: Path | None = None) -> None:
    """Print an answer as JSON, or as its sheets and where its page is."""
    if as_json:
        print_json(answer.to_dict())
        return
    print_sheets(answer.sheets())
    if page is not None:
        say(f"Finished: {page}")


def print_sheets(sheets: Sequence[Sheet]) -> None:
    """Print an answer's sheets to the terminal's width."""
    from headscope.show.terminal import tables

    print_tables(tables(sheets, terminal_width()))


def terminal_width() -> int:
    """How many characters a line of standard output has."""
    from headscope.show.terminal import console

    return console(sys.stdout).width


def print_tables(tables: Iterable[RenderableType]) -> None:
    """Print tables to the terminal's width, with nothing in them that it would obey."""
    from headscope.show.terminal import Disarmed, console

    on = console(sys.stdout)
    for table in tables:
        on.print(Disarmed(table))
