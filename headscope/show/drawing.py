"""Sheets as a figure, before it is SVG, PDF or PNG: boxes, rules and words at their places, in pixels of 1/96 inch."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from headscope.question.kinds import Kind
from headscope.show.sheet import Cell, Sheet

FONTS = ("DejaVu Sans", "Verdana", "Liberation Sans", "Arial", "sans-serif")
PAPER = "#ffffff"
_INKS: dict[Kind, tuple[str, str | None]] = {  # text and ground; the page's own, on white paper
    "own": ("#9c3800", "#fdf0e6"),
    "text": ("#0b5a43", "#dff3ea"),
    "variant": ("#6b3fa0", "#f1eafb"),
    "special": ("#555b61", "#ecebe6"),
    "elsewhere": ("#191b1d", None),
}
_INK, _SOFT, _RULE = "#191b1d", "#555b61", "#c9cbc6"
_HEAT = (90, 169, 207)  # what a full share is drawn with
_ROW, _EDGE, _LINE = 20, 12, 16
_BOTH, _LABEL, _NUMBER = 104, 76, 52  # a column of labels with numbers, of labels, of numbers
_NAME = 11  # characters of a column's name that a column of numbers has room for, at most


class Box(NamedTuple):
    """A ground behind words."""

    x: int
    y: int
    width: int
    height: int
    colour: str


class Rule(NamedTuple):
    """A hairline from left to right."""

    x: int
    y: int
    to: int
    colour: str


class Words(NamedTuple):
    """A line of text on its baseline; `end`: it ends at x."""

    x: int
    y: int
    text: str
    colour: str
    size: int
    bold: bool = False
    end: bool = False


class Drawing(NamedTuple):
    """What is drawn, in order, and what it is called."""

    title: str
    width: int
    height: int
    marks: tuple[Box | Rule | Words, ...]


def drawn(sheets: Sequence[Sheet]) -> Drawing:
    """The sheets that are figures, one below the other, and what their signs mean."""
    figures = [sheet for sheet in sheets if sheet.figure is not None]
    marks: list[Box | Rule | Words] = []
    top, width = _EDGE, 0
    for sheet in figures:
        top, right = _grid(sheet, top, marks)
        width = max(width, right + _EDGE)
    for line in dict.fromkeys(line for sheet in figures for line in sheet.legend):
        for part in textwrap.wrap(line, max(60, int((width - 2 * _EDGE) / 6.2))):
            marks.append(Words(_EDGE, top + 4, part, _SOFT, 10))
            width = max(width, 2 * _EDGE + int(6.2 * len(part)))
            top += 12
    return Drawing("; ".join(sheet.caption for sheet in figures), width, top + 8, tuple(marks))


def _grid(sheet: Sheet, top: int, marks: list[Box | Rule | Words]) -> tuple[int, int]:
    """Draw one sheet below `top`; where the next begins, and how far right it goes."""
    heads = [row.head.marked for row in sheet.rows]
    names = 14 + 6 * min(18, max(map(len, heads), default=0))
    across = _across(sheet)
    end = _EDGE + names + across * len(sheet.columns)
    for line in textwrap.wrap(sheet.caption, max(60, int((end - _EDGE) / 8.4))):
        marks.append(Words(_EDGE, top + 14, line, _INK, 12, bold=True))
        end = max(end, _EDGE + int(8.4 * len(line)))
        top += _LINE
    right = _EDGE + names + across * len(sheet.columns)
    line_at = top + 10
    for n, name in enumerate(sheet.titles_over):
        marks.append(Words(_EDGE + names + n * across + 5, line_at + 13, _short(name, across - 8, 10), _INK, 10))
    if sheet.over:
        line_at += _LINE
    for n, name in enumerate(sheet.titles):
        marks.append(Words(_EDGE + names + n * across + 5, line_at + 13, _short(name, across - 8, 10), _SOFT, 10))
    for head, row in zip(heads, sheet.rows, strict=True):
        line_at += _ROW
        marks.append(Rule(_EDGE, line_at, right, _RULE))
        marks.append(Words(_EDGE, line_at + 14, _short(head, names, 10), _SOFT, 10))
        for n, cell in enumerate(row.cells):
            x = _EDGE + names + n * across
            marks += _square(cell if sheet.figure == "cells" else _bare(cell), x, line_at, across)
    return line_at + _ROW + 16, end


def _across(sheet: Sheet) -> int:
    cells = [cell for row in sheet.rows for cell in row.cells]
    if not any(cell.label for cell in cells):
        numbers = (len(cell.number) for cell in cells)
        names = (min(_NAME, len(name)) for name in sheet.titles)
        return max([_NUMBER, *(9 + int(6.2 * characters) for characters in (*numbers, *names))])
    return _BOTH if sheet.figure == "cells" and any(cell.number for cell in cells) else _LABEL


def _bare(cell: Cell) -> Cell:
    return cell._replace(number="")


def _square(cell: Cell, x: int, y: int, across: int) -> list[Box | Rule | Words]:
    ink, ground = _INKS[cell.kind]
    if cell.share:
        mixed = (round(255 + (strong - 255) * cell.share) for strong in _HEAT)
        ground = "#" + "".join(f"{part:02x}" for part in mixed)
    parts: list[Box | Rule | Words] = []
    if ground is not None:
        parts.append(Box(x + 1, y + 1, across - 2, _ROW - 2, ground))
    if cell.label:
        room = across - (48 if cell.number else 8)
        parts.append(Words(x + 5, y + 14, _short(cell.marked, room, 11), ink, 11, bold=cell.kind in ("own", "text")))
    if cell.number:
        parts.append(Words(x + across - 5, y + 14, cell.number, _SOFT if cell.label else _INK, 10, end=True))
    return parts


def _short(words: str, room: float, size: int) -> str:
    """Cut to a width; characters are counted as two thirds of their size wide."""
    most = max(2, int(room / (0.62 * size)))
    return words if len(words) <= most else words[: most - 1] + "…"
