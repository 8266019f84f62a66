"""Figures as rows of a table: a row for every figure, head and class of tokens, with q and verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from headscope.inference.verdicts import corrected, inside, verdicts
from headscope.studies.survey.figures import Figure
from headscope.studies.survey.sums import CLASSES

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
    by, of_class = zip(*CLASSES, strict=True)
    for of, figure in found:
        last = len(figure.positions) - 1
        # Tokens in a head, and in the mean of all; in the order of heads, then of classes.
        head, at = figure.positions[0 if "head" in keys else last :].nonzero()
        head += 0 if "head" in keys else last
        named = of | {"head": [one if one < last else None for one in head.tolist()]}
        for name in keys:
            columns[name] += named[name] if name == "head" else [named[name]] * len(head)
        columns["by"] += [by[one] for one in at.tolist()]
        columns["class"] += [of_class[one] for one in at.tolist()]
        columns["statistic"] += [figure.statistic] * len(head)
        columns["positions"] += figure.positions[head, at].astype(int).tolist()
        columns["paired"] += (
            [None] * len(head) if figure.paired is None else figure.paired[head, at].astype(int).tolist()
        )
        columns["groups"] += groups[at].tolist()
        for name, values in figure.numbers().items():
            known = (groups[at] > 1) | (name not in _INTERVALS)  # the spread of one group tells nothing
            numbers = np.full(len(head), np.nan) if values is None else np.where(known, values[head, at], np.nan)
            columns[name] += [None if number != number else number for number in numbers.tolist()]
    columns["q"] = _q_values(columns, keys)
    columns["verdict"] = _verdicts(columns, keys)
    return pa.table(columns, schema=schema(keys))


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
        for row, value in zip(rows, corrected(p).tolist(), strict=True):
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
        everywhere = np.full(len(rows), bool(inside(low, high).all()))
        for row, verdict in zip(rows, verdicts(low, high, q, everywhere), strict=True):
            found[row] = verdict
    return found
