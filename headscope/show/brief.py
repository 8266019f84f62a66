"""Numbers beside words in two decimals, where a page has the whole number at hand for whoever points at it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from headscope.show.sheet import Cell, Sheet

_THREE = re.compile(r"-?\d+\.\d{3,}")


def brief(sheets: Sequence[Sheet]) -> tuple[Sheet, ...]:
    """The sheets, with two decimals beside their words; a number that stands alone keeps its own.

    >>> from headscope.show.sheet import Row
    >>> cells = Cell("banana", "0.123", value=0.1234), Cell(number="0.123", value=0.1234)
    >>> [cell.number for cell in brief([Sheet("s", "s", ("", ""), (Row(Cell(), cells),))])[0].rows[0].cells]
    ['0.12', '0.123']
    """
    return tuple(
        replace(sheet, rows=tuple(replace(row, cells=tuple(map(_brief, row.cells))) for row in sheet.rows))
        for sheet in sheets
    )


def _brief(cell: Cell) -> Cell:
    if not cell.label or cell.value is None or not _THREE.fullmatch(cell.number):
        return cell
    return cell._replace(number=f"{cell.value:.2f}")
