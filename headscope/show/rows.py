"""Rows as CSV, whose texts no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from headscope.keep.cells import cell


def csv_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of named values as CSV, see `csv_table`.

    >>> print(csv_of([{"head": 0, "token": "a,b", "label": "=b", "positions": [1, 5], "score": None}]), end="")
    head,token,label,positions,score
    0,"a,b",'=b,1 5,
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    return csv_table(names, ([row.get(name) for name in names] for row in rows))


def csv_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows under a head line; a list's entries stand apart by spaces, and what there is none of is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(
        [" ".join(map(str, value)) if isinstance(value, list) else cell(value) for value in row] for row in rows
    )
    return out.getvalue()
