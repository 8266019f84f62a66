"""What commands do alike: open a model, say what takes its time, print."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.status import Status

    from headscope.scope import Scope
    from headscope.views.progress import Tell
    from headscope.vocabulary.isolated import What


def open_scope(
    status: Status, model: str | None, revision: str | None, device: str, dtype: str | None, stack: str | None
) -> Scope:
    """The model that is asked for, opened under a status."""
    from headscope.scope import Scope

    chosen: Any = stack  # checked when the model is open
    return Scope.from_pretrained(
        model, revision, device, dtype, stack=chosen, progress=lambda step: status.update(f"{step} …")
    )


def isolate(status: Status, scope: Scope, what: What = "values") -> None:
    """Read every token alone, under a bar of its own; what an interruption leaves is not lost."""
    status.stop()
    try:
        scope.isolate(what=what)
    except KeyboardInterrupt:
        typer.echo("Stopped; what was read is kept, and the same command goes on from there.", err=True)
        raise typer.Exit(130) from None
    status.start()


@contextmanager
def working(step: str) -> Iterator[Status]:
    """Show on standard error what takes its time."""
    from rich.console import Console

    with Console(stderr=True).status(f"{step} …") as status:
        yield status


@contextmanager
def bar_instead(status: Status, announced: str, doing: str) -> Iterator[Tell]:
    """A progress bar in the place of the status."""
    from headscope.views.progress import bar

    status.stop()
    with bar(announced, doing) as tell:
        yield tell


def print_json(told: dict[str, Any] | list[dict[str, Any]]) -> None:
    """Print one JSON document on a line."""
    sys.stdout.write(json.dumps(told, ensure_ascii=False, allow_nan=False) + "\n")


def print_tables(tables: Iterable[RenderableType]) -> None:
    """Print tables to the terminal's width."""
    from rich.console import Console

    console = Console(highlight=False)
    for table in tables:
        console.print(table)
