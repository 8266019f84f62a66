"""Sheets of the same rows stand beside each other as one."""

from __future__ import annotations

import pytest

from headscope.show.sheet import Cell, Sheet, beside, head_rows


def of_two_heads(name: str, numbers: list[str]) -> Sheet:
    rows = head_rows(1, [Cell(number=number) for number in numbers])
    return Sheet(name, f"the {name}", (name,), rows, "head", legend=(f"{name}.",), notes=("Short.",), figure="cells")


def test_columns_follow_each_other_and_notes_are_said_once() -> None:
    both = beside([of_two_heads("entropy", ["1", "2"]), of_two_heads("rank", ["3", "4"])])
    assert (both.name, both.caption, both.figure) == ("entropy", "the entropy · the rank", "cells")
    assert both.columns == ("entropy", "rank")
    assert [(row.head.label, *(cell.number for cell in row.cells)) for row in both.rows] == [
        ("L0H0", "1", "3"),
        ("L1H0", "2", "4"),
    ]
    assert [(row.head.layer, row.head.head) for row in both.rows] == [(0, 0), (1, 0)]
    assert (both.legend, both.notes) == (("entropy.", "rank."), ("Short.",))


def test_sheets_of_other_rows_do_not_fit() -> None:
    with pytest.raises(ValueError, match="shorter"):
        beside([of_two_heads("entropy", ["1", "2"]), of_two_heads("rank", ["3"])])
