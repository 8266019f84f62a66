"""Rows of named values as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from headscope.keep.cells import cell


def csv_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV under their names; a list's entries stand apart by spaces, and what there is none of is empty.

    >>> print(csv_of([{"head": 0, "token": "a,b", "label": "=b", "positions": [1, 5], "score": None}]), end="")
    head,token,label,positions,score
    0,"a,b",'=b,1 5,
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: " ".join(map(str, v)) if isinstance(v, list) else cell(v) for name, v in row.items()})
    return out.getvalue()
