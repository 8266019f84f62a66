"""A document as files: the page, the Markdown, and every figure with its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from headscope.errors import InputError
from headscope.keep.files import write_all
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
    try:
        for folder in FOLDERS:
            (out / folder).mkdir(parents=True, exist_ok=True)
        # A byte of a path that is no UTF-8 is escaped, which in JSON is its own spelling.
        write_all({out / place: text.encode("utf-8", "backslashreplace") for place, text in texts.items()})
        for folder, files in FOLDERS.items():
            for left in (out / folder).glob(files):
                if f"{folder}/{left.name}" not in texts:
                    left.unlink()
    except OSError as error:
        raise InputError(f"{str(out)!r} cannot be written: {error.strerror or error}.") from error
    return out / f"{name}.html"
