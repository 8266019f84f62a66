"""A report as Markdown, whose figures are files beside it; and sheets."""

from __future__ import annotations

import re
from collections.abc import Sequence

from headscope.show.charts.chart import Chart
from headscope.show.document import Block, Cell, Code, DocumentTable, Items, Quote, Report, Section
from headscope.show.sheet import Sheet


def markdown(report: Report) -> str:
    """The whole document."""
    parts = [f"# {_plain(report.title)}", _plain(report.summary)]
    for section in report.sections:
        parts += _section(section, 2)
    return "\n\n".join(parts) + "\n"


def of_sheets(sheets: Sequence[Sheet]) -> str:
    """A table for each sheet, and what must be said around it."""
    parts = [part for sheet in sheets for part in _sheet(sheet)]
    return "\n\n".join(parts) + "\n"


def _sheet(sheet: Sheet) -> list[str]:
    rows = tuple((row.head.said, *(cell.said for cell in row.cells)) for row in sheet.rows)
    over = sheet.titles_over or ("",) * len(sheet.columns)
    titles = (" ".join(filter(None, pair)) for pair in zip(over, sheet.titles, strict=True))
    table = DocumentTable(sheet.caption, (sheet.stub, *titles), rows)
    return [*map(_plain, sheet.lead), _table(table), *map(_plain, (*sheet.legend, *sheet.notes))]


def _section(section: Section, level: int) -> list[str]:
    parts = [f"{'#' * level} {_plain(section.title)}", *(_block(block) for block in section.blocks)]
    for below in section.sections:
        parts += _section(below, level + 1)
    return parts


def _block(block: Block) -> str:
    if isinstance(block, DocumentTable):
        return _table(block)
    if isinstance(block, Items):
        return "\n".join(f"- {_plain(item)}" for item in block.items)
    if isinstance(block, Chart):
        numbers = f"Numbers: [{block.name}.csv](numbers/{block.name}.csv)."
        alt = re.sub(r"[\[\]]", "", block.title)
        return f"![{alt}](figures/{block.name}.svg)\n\n**{_plain(block.title)}.** {_plain(block.caption)} {numbers}"
    return _plain(block)


def _table(table: DocumentTable) -> str:
    lines = [_row([_plain(column) for column in table.columns]), _row(["---"] * len(table.columns))]
    lines += [_row([_cell(cell) for cell in row]) for row in table.rows]
    return f"{_plain(table.caption)}\n\n" + "\n".join(lines)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    if isinstance(cell, Quote):
        token = cell.token.strip()
        return f"{_plain(cell.before)}**{_plain(token)}**{_plain(cell.after)}".strip()
    return _code(cell.text) if isinstance(cell, Code) else _plain(str(cell))


def _plain(text: str) -> str:
    """Text that is shown as it stands."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", text.replace("\n", " "))


def _code(text: str) -> str:
    """The same in a span of code: with more backticks around it than in it. A bar would end a table's cell."""
    runs = [len(run) for run in re.findall(r"`+", text)]
    fence = "`" * (max(runs, default=0) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", r"\|").replace("\n", " ")
