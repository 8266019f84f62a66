"""What a command writes does not take the place of what it reads; checked before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from headscope.errors import InputError

# What no model has in its directory: a view that is written there may replace an earlier one.
_VIEWS = (".html", ".svg", ".pdf", ".png", ".csv")


def spare(output: str, files: Iterable[str | None], model: str | None, adapter: str | None = None) -> None:
    """InputError where the file to write is one of the `files` that are read, or the model's or the adapter's."""
    place = Path(output)
    try:
        if not place.exists():
            return
        for named in filter(None, (*files, model, adapter)):
            if _same(Path(named).expanduser(), place):
                raise InputError(f"{output!r} is read here ({named}), and would be replaced: name another file.")
        for named in filter(None, (*(model or "").split(" + "), adapter)):  # "BASE + DIR", as a card has it
            if place.suffix.lower() not in _VIEWS and any(_same(file, place) for file in _inside(Path(named))):
                raise InputError(f"{output!r} is a file of {named}, which is read here: name another file.")
    except OSError:  # a circle of links, say: whoever reads or writes there tells
        return


def _inside(directory: Path) -> Iterator[Path]:
    directory = directory.expanduser()
    return directory.rglob("*") if directory.is_dir() else iter(())


def _same(file: Path, place: Path) -> bool:
    return file.is_file() and file.samefile(place)
