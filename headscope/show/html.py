"""Sheets as HTML, for the page, notebooks and files that need nothing else. Labels are data: everything is escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from itertools import takewhile
from math import isfinite

from headscope.show.marks import KEY, MARKS
from headscope.show.sheet import Cell, Row, Sheet, SheetCard
from headscope.show.style import SHEETS, STEPS

# What is a sign in a label, and no part of the text: a space, the continuation of a word, a byte.
_SIGNS = re.compile(r"(^(?:##|␣+)|␣+$|⟨[^⟩]*⟩|[⏎␍⇥⍽])")


def tables(sheets: Sequence[Sheet]) -> str:
    """A table for each sheet, in classes that `headscope.show.style` draws, and what must be said below it."""
    return "".join(map(_sheet, sheets))


def fragment(sheets: Sequence[Sheet], drawing: str = "") -> str:
    """The same with its style, for a notebook's cell, below a drawing (SVG) where there is one."""
    above = f'<div style="max-width:1000px">{drawing}</div>' if drawing else ""
    return f"<style>{SHEETS}</style>{above}{tables(sheets)}"


def steps(title: str, sheets: Sequence[Sheet]) -> str:
    """A section with a list of sheets, one a step, without any style: it takes that of the page that it is put in."""
    parts = (
        f"<li><h4>{escape(sheet.caption)}</h4>{_around('lead', sheet.lead)}"
        f'<div tabindex="0" role="region" aria-label="{escape(sheet.caption)}, scrollable">'
        f"{_table(sheet)}</div>{_below(sheet)}</li>"
        for sheet in sheets
    )
    return f"<section><h3>{escape(title)}</h3><ol>{''.join(parts)}</ol></section>"


def cards(of_one: Sequence[SheetCard]) -> str:
    """What is said of one thing as cards beside each other; a number has a bar as long as its share."""
    return f'<div class="cards">{"".join(map(_card, of_one))}</div>'


def _card(card: SheetCard) -> str:
    items = "".join(map(_item, card.cells))
    list_ = f'<ul class="{card.name}">{items}</ul>' if items else f'<p class="{card.name}"></p>'
    said = f'<p class="says">{escape(card.says)}</p>' if card.says else ""
    return f"<section><h3>{escape(card.title)}</h3>{list_}{said}</section>"


def _item(cell: Cell) -> str:
    told = f"{cell.measure} {cell.value:.5g}" if cell.value is not None else ""
    where = escape(", ".join(filter(None, (cell.says, told))))
    bar = "" if cell.share is None else f'<svg aria-hidden="true"><rect width="{cell.share:.1%}" height="100%"/></svg>'
    plain = cell._replace(share=None, measure="")
    return f'<li{_attributes(plain)} data-where="{where}" title="{escape(told)}">{bar}{_inside(plain)}</li>'


def _sheet(sheet: Sheet) -> str:
    caption = escape(sheet.caption)
    classes = "hs-sheet hs-prose" if sheet.prose else "hs-sheet"
    return (
        f'<div class="{classes}" data-sheet="{escape(sheet.name)}">{_around("lead", sheet.lead)}'
        f'<div class="hs-scroll" tabindex="0" role="region" aria-label="{caption}, scrollable">'
        f"{_table(sheet, f'<caption><span>{caption}</span></caption>')}</div>{_below(sheet)}</div>"
    )


def _around(what: str, lines: Sequence[str]) -> str:
    return "".join(f'<p class="hs-{what}">{escape(line)}</p>' for line in lines)


def _below(sheet: Sheet) -> str:
    key = _key() if KEY in sheet.legend else ""
    return key + _around("legend", [line for line in sheet.legend if line != KEY]) + _around("note", sheet.notes)


def _key() -> str:
    """What the marks mean, each in the look of its kind."""
    says = zip(
        filter(None, MARKS.values()), (kind for kind, sign in MARKS.items() if sign), KEY.split(" · "), strict=True
    )
    parts = (
        f'<li class="hs-{kind}"><span class="hs-sign">{sign}</span>{escape(said.removeprefix(sign))}</li>'
        for sign, kind, said in says
    )
    return f'<ul class="hs-key" aria-label="Marks">{"".join(parts)}</ul>'


def _table(sheet: Sheet, caption: str = "") -> str:
    """The rows that stand apart at the end are the table's foot."""
    foot = len(list(takewhile(lambda row: row.apart, reversed(sheet.rows))))
    body, foot_rows = sheet.rows[: len(sheet.rows) - foot], sheet.rows[len(sheet.rows) - foot :]
    parts = (("tbody", body), ("tfoot", foot_rows))
    rows = "".join(f"<{name}>{''.join(map(_row, part))}</{name}>" for name, part in parts if part)
    return f"<table>{caption}<thead>{_heading(sheet)}</thead>{rows}</table>"


def _heading(sheet: Sheet) -> str:
    rows = ' rowspan="2"' if sheet.over else ""
    corner = f'<th scope="col"{rows}>{escape(sheet.stub)}</th>' if sheet.stub else f"<td{rows}></td>"
    columns = "".join(
        _title(Cell(title) if isinstance(title, str) else title, 'scope="col"') for title in sheet.columns
    )
    if not sheet.over:
        return f"<tr>{corner}{columns}</tr>"
    wide = f'scope="colgroup" colspan="{sheet.together}"'
    over = "".join(_title(title, wide) for title in sheet.over)
    return f"<tr>{corner}{over}</tr><tr>{columns}</tr>"


def _row(row: Row) -> str:
    apart = ' class="hs-apart"' if row.apart else ""
    title = _title(row.head, 'scope="row"')
    return f"<tr{apart}>{title}{''.join(map(_cell, row.cells))}</tr>"


def _title(cell: Cell, scope: str) -> str:
    """What names a row or columns; what it says is there for those who point at it."""
    says = f' title="{escape(cell.says)}"' if cell.says else ""
    return f"<th {scope}{_attributes(cell)}{says}>{_inside(cell)}</th>"


def _cell(cell: Cell) -> str:
    says = f' data-says="{escape(cell.says)}"' if cell.says else ""
    return f"<td{_attributes(cell)}{says}>{_inside(cell)}</td>"


def _attributes(cell: Cell) -> str:
    """A cell without a mark, a label or a ground has no class, so that a page without the style is as plain."""
    given = f' class="{classes}"' if (classes := _classes(cell)) else ""
    if cell.id is not None:
        given += f' data-id="{cell.id}"'
    if cell.position is not None:
        given += f' data-position="{cell.position}"'
    if cell.label and (cell.id is not None or cell.position is not None):
        given += f' data-label="{escape(cell.label)}"'
    if cell.head is not None:
        given += f' data-head="{cell.head}"'
    if cell.layer is not None:
        given += f' data-layer="{cell.layer}"'
    if cell.value is not None and isfinite(cell.value):
        given += f' data-value="{cell.value:.6g}"'
    return f'{given} data-measure="{escape(cell.measure)}"' if cell.measure else given


def _classes(cell: Cell) -> str:
    strong = round(STEPS * cell.share) if cell.share else 0
    parts = (
        "hs-number" if cell.number and not cell.label else "",
        f"hs-{strong}" if strong else "",
        f"hs-{cell.kind}" if cell.kind != "elsewhere" else "",
        "hs-shared" if cell.shared else "",
    )
    return " ".join(filter(None, parts))


def _inside(cell: Cell) -> str:
    """The cell's words; what its look and its place say is said to those who do not see it, too."""
    number = escape(cell.number.replace("-", "−"))
    beside = f' <small class="hs-beside">{escape(cell.beside)}</small>' if cell.beside else ""
    if not cell.label:
        return f"{number}{beside}"
    sign = f'<span class="hs-sign" aria-hidden="true">{MARKS[cell.kind]}</span>' if MARKS[cell.kind] else ""
    before = f'<small class="hs-before">{escape(cell.before)}</small> ' if cell.before else ""
    unseen = (cell.says if sign else "", "on both sides" if cell.shared else "")
    hidden = "".join(f'<span class="hs-hidden"> ({escape(said)})</span>' for said in unseen if said)
    small = f' <small class="hs-num">{number}</small>' if number else ""
    return f"{sign}{before}{labelled(cell.label)}{hidden}{beside}{small}"


def labelled(label: str) -> str:
    """A label by itself, in its own direction, its signs set apart."""
    return f'<bdi class="hs-label">{_label(label)}</bdi>'


def _label(label: str) -> str:
    """A label in which signs are set apart; they stand at the odd places of what is split at them."""
    if label.isalnum():  # as most are
        return label
    parts = enumerate(_SIGNS.split(label))
    return "".join(f'<span class="hs-sign">{escape(part)}</span>' if n % 2 else escape(part) for n, part in parts)
