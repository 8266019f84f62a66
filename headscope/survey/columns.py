"""Figures as rows of a table: a row for every figure, head and class of tokens, with q and verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headscope.survey import verdicts
from headscope.survey.bootstrap import Array
from headscope.survey.figures import Figure
from headscope.survey.sums import CLASSES

_NUMBERS = ("value", "low", "high", "chance", "difference", "difference_low", "difference_high", "p", "q")
_INTERVALS = ("low", "high", "difference_low", "difference_high", "p")
# Along these a correction for many comparisons runs.
_ACROSS = ("layer", "head", "stage", "after")
Columns = dict[str, list[Any]]


def schema(keys: dict[str, pa.DataType]) -> pa.Schema:
    """The columns of a table of figures with these keys; see docs/survey.md."""
    return pa.schema(
        keys
        | {"by": pa.string(), "class": pa.string(), "statistic": pa.string()}
        | dict.fromkeys(("positions", "paired", "groups"), pa.int64())
        | dict.fromkeys(_NUMBERS, pa.float64())
        | {"verdict": pa.string()}
    )


def table(
    keys: dict[str, pa.DataType], found: Iterable[tuple[dict[str, Any], Figure]], groups: NDArray[np.int64]
) -> pa.Table:
    """The rows of figures, each with the values of its keys; `groups` int64 [class], documents with such tokens.

    Where "head" is among the keys, a figure is a row for every head and one for their mean; else one row.
    """
    columns: Columns = {name: [] for name in schema(keys).names}
    for of, figure in found:
        last = len(figure.value) - 1
        for head in range(last + 1) if "head" in keys else (last,):
            named = of | {"head": head if head < last else None}
            for at in np.flatnonzero(figure.positions[head]).tolist():
                for name in keys:
                    columns[name].append(named[name])
                columns["by"].append(CLASSES[at][0])
                columns["class"].append(CLASSES[at][1])
                columns["statistic"].append(figure.statistic)
                columns["positions"].append(int(figure.positions[head, at]))
                columns["paired"].append(None if figure.paired is None else int(figure.paired[head, at]))
                columns["groups"].append(int(groups[at]))
                for name in _NUMBERS[:-1]:
                    known = groups[at] > 1 or name not in _INTERVALS  # the spread of one group tells nothing
                    columns[name].append(_number(getattr(figure, name), head, at) if known else None)
    columns["q"] = _q_values(columns, keys)
    columns["verdict"] = _verdicts(columns, keys)
    return pa.table(columns, schema=schema(keys))


def _number(values: Array | None, head: int, at: int) -> float | None:
    if values is None or np.isnan(values[head, at]):
        return None
    return float(values[head, at])


def _families(columns: Columns, names: Sequence[str]) -> Iterable[list[int]]:
    """Rows with a chance that share the named columns, and are all of heads or all of layers."""
    families: dict[tuple[Any, ...], list[int]] = {}
    heads = columns.get("head", [None] * len(columns["value"]))
    for row, difference in enumerate(columns["difference"]):
        if difference is not None:
            key = (heads[row] is None, *(columns[name][row] for name in names))
            families.setdefault(key, []).append(row)
    return families.values()


def _q_values(columns: Columns, keys: Iterable[str]) -> list[float | None]:
    q: list[float | None] = [None] * len(columns["value"])
    same = [name for name in keys if name not in _ACROSS]
    for rows in _families(columns, (*same, "by", "class", "statistic")):
        p = np.array([columns["p"][row] for row in rows], dtype=np.float64)
        for row, value in zip(rows, verdicts.corrected(p).tolist(), strict=True):
            q[row] = None if np.isnan(value) else value
    return q


def _verdicts(columns: Columns, keys: Iterable[str]) -> list[str | None]:
    """At chance only where the interval is within the margin under every reference."""
    found: list[str | None] = [None] * len(columns["value"])
    same = [name for name in keys if name != "reference"]
    for rows in _families(columns, (*same, "by", "class", "statistic")):
        low, high, q = (
            np.array([columns[name][row] for row in rows], dtype=np.float64)
            for name in ("difference_low", "difference_high", "q")
        )
        everywhere = np.full(len(rows), bool(verdicts.within(low, high).all()))
        for row, verdict in zip(rows, verdicts.verdicts(low, high, q, everywhere), strict=True):
            found[row] = verdict
    return found
