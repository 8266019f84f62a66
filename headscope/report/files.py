"""A document as files: the page, the Markdown, and every figure with its numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from headscope.report.charts.chart import Cell
from headscope.report.document import Report
from headscope.report.html import html
from headscope.report.markdown import markdown

FOLDERS = {"figures": "*.svg", "numbers": "*.csv"}


def write_document(out: Path, name: str, report: Report) -> Path:
    """Write NAME.html, NAME.md, figures/ and numbers/ into a directory; returns the page. May raise OSError.

    Files of an earlier document in the two folders are removed.
    """
    for folder, files in FOLDERS.items():
        (out / folder).mkdir(parents=True, exist_ok=True)
        for left in (out / folder).glob(files):
            left.unlink()
    for chart in report.charts:
        (out / "figures" / f"{chart.name}.svg").write_text(chart.svg, "utf-8")
        write_csv(out / "numbers" / f"{chart.name}.csv", chart.columns, chart.rows)
    (out / f"{name}.md").write_text(markdown(report), "utf-8")
    page = out / f"{name}.html"
    page.write_text(html(report), "utf-8")
    return page


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """A table with a head line."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    path.write_text(written.getvalue(), "utf-8")
