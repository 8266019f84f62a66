"""Sheets as HTML, for notebooks and files that need nothing else. Labels are data: everything is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from headscope.show.one_file import document
from headscope.show.sheet import Cell, Row, Sheet
from headscope.show.style import SHEETS, STEPS


def tables(sheets: Sequence[Sheet]) -> str:
    """A table for each sheet, in classes that `headscope.show.style` draws, and what must be said below it."""
    return "".join(map(_sheet, sheets))


def fragment(sheets: Sequence[Sheet], drawing: str = "") -> str:
    """The same with its style, for a notebook's cell, below a drawing (SVG) where there is one."""
    above = f'<div style="max-width:1000px">{drawing}</div>' if drawing else ""
    return f"<style>{SHEETS}</style>{above}{tables(sheets)}"


def page(title: str, sheets: Sequence[Sheet], drawing: str = "") -> str:
    """The same as a file that opens anywhere."""
    return document(title, svg=drawing, tables=[tables(sheets)])


def steps(title: str, sheets: Sequence[Sheet]) -> str:
    """A section with a list of sheets, one a step, without any style: it takes that of the page that it is put in."""
    parts = (
        f"<li><h4>{escape(sheet.caption)}</h4>{_paragraphs(sheet.lead)}"
        f'<div tabindex="0" role="region" aria-label="{escape(sheet.caption)}, scrollable">'
        f"{_table(sheet)}</div>{_paragraphs((*sheet.legend, *sheet.notes))}</li>"
        for sheet in sheets
    )
    return f"<section><h3>{escape(title)}</h3><ol>{''.join(parts)}</ol></section>"


def _sheet(sheet: Sheet) -> str:
    caption = escape(sheet.caption)
    classes = "hs-sheet hs-prose" if sheet.prose else "hs-sheet"
    return (
        f'<div class="{classes}" tabindex="0" role="region" aria-label="{caption}">{_paragraphs(sheet.lead)}'
        f"{_table(sheet, f'<caption>{caption}</caption>')}{_paragraphs((*sheet.legend, *sheet.notes))}</div>"
    )


def _table(sheet: Sheet, caption: str = "") -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in (sheet.stub, *sheet.columns))
    body = "".join(map(_row, sheet.rows))
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _row(row: Row) -> str:
    apart = ' class="hs-apart"' if row.apart else ""
    return f'<tr{apart}><th scope="row">{_inside(row.head)}</th>{"".join(map(_cell, row.cells))}</tr>'


def _cell(cell: Cell) -> str:
    """A cell without a mark, a label or a ground has no class, so that a page without the style is as plain."""
    number = "" if cell.label or not cell.number else "hs-number"
    strong = round(STEPS * cell.share) if cell.share else 0
    classes = f"{number} hs-{strong}".strip() if strong else number
    return f'<td class="{classes}">{_inside(cell)}</td>' if classes else f"<td>{_inside(cell)}</td>"


def _inside(cell: Cell) -> str:
    label = escape(cell.marked)
    if cell.kind != "elsewhere":
        label = f'<span class="hs-{cell.kind}">{label}</span>'
    number = f"<small>{escape(cell.number)}</small>" if label else escape(cell.number)
    beside = f"<small>{escape(cell.beside)}</small>"
    parts = ((cell.label, label), (cell.number, number), (cell.beside, beside))
    return " ".join(part for said, part in parts if said)


def _paragraphs(lines: Sequence[str]) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in lines)
