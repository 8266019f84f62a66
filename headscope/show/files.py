"""A document as files: the page, the Markdown, and every figure with its numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from headscope.errors import InputError
from headscope.keep.files import UNFINISHED, write_all
from headscope.show.document import Report
from headscope.show.markdown import markdown
from headscope.show.page import html
from headscope.show.rows import csv_table

FOLDERS = {"figures": "*.svg", "numbers": "*.csv"}


def write_document(out: Path, name: str, report: Report, beside: Mapping[str, str]) -> Path:
    """Write NAME.html, NAME.md, figures/ and numbers/, and what goes with them by its place; returns the page.

    All of it or nothing; files of an earlier document in the two folders are removed then. Raises InputError where the
    disk does not take it.
    """
    texts = {f"{name}.html": html(report), f"{name}.md": markdown(report), **beside}
    for chart in report.charts:
        texts[f"figures/{chart.name}.svg"] = chart.svg
        texts[f"numbers/{chart.name}.csv"] = csv_table(chart.columns, chart.rows)
    new = [place for place in (out, *(out / folder for folder in FOLDERS)) if not place.exists()]
    try:
        for folder in FOLDERS:
            (out / folder).mkdir(parents=True, exist_ok=True)
        # A byte of a path that is no UTF-8 is escaped, which in JSON is its own spelling.
        write_all({out / place: text.encode("utf-8", "backslashreplace") for place, text in texts.items()})
        for folder, files in FOLDERS.items():
            for left in (out / folder).glob(files):
                if f"{folder}/{left.name}" not in texts:
                    left.unlink()
        for left in (begun for place in (out, *(out / folder for folder in FOLDERS)) for begun in _begun_in(place)):
            left.unlink()
    except OSError as error:
        for place in reversed(new):
            with suppress(OSError):  # it is not there, or not empty
                place.rmdir()
        raise InputError(f"{str(out)!r} cannot be written: {error.strerror or error}.") from error
    return out / f"{name}.html"


def foreign(out: Path, holds: Collection[str], marks: Collection[str]) -> list[str]:
    """What is in a directory and of no document of this kind, in order; what a killed one had begun counts for nothing.

    `holds`: the names of what such a document has. `marks`: without any of these, such names are somebody else's.
    """
    there = {path.name for path in out.iterdir() if not _is_begun(path)} if out.is_dir() else set()
    return sorted(there.difference(holds) if there.intersection(marks) else there)


def _is_begun(path: Path) -> bool:
    if path.name in FOLDERS and path.is_dir():
        return len(list(path.iterdir())) == len(_begun_in(path))
    return path.name.startswith(UNFINISHED)


def _begun_in(folder: Path) -> list[Path]:
    return list(folder.glob(f"{UNFINISHED}*"))
