"""Figures as rows of a table: a row for every figure, head and class of tokens, with q and verdict."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from headscope.inference.bootstrap import Array
from headscope.inference.verdicts import conclusions, corrected
from headscope.studies.survey.figures import Figure
from headscope.studies.survey.sums import CLASSES
from headscope.studies.survey.tables import MATCHED

_NUMBERS = ("value", "low", "high", "chance", "difference", "difference_low", "difference_high", "p", "q", "smallest")
# Whose chance may be small: twice of it is a clear difference.
_RATES = [f"{name}{ends}" for name in ("own_at_1", "own_at_10", "in_text") for ends in ("", MATCHED)]
# Along these a correction for many comparisons runs.
_ACROSS = ("layer", "head", "stage", "after")
Columns = dict[str, list[Any]]


def schema(keys: dict[str, pa.DataType]) -> pa.Schema:
    """The columns of a table of figures with these keys; see docs/survey-tables.md."""
    return pa.schema(
        keys
        | {"by": pa.string(), "class": pa.string(), "statistic": pa.string()}
        | dict.fromkeys(("positions", "paired", "groups"), pa.int64())
        | dict.fromkeys(_NUMBERS, pa.float64())
        | {"verdict": pa.string(), "small": pa.bool_()}
    )


def table(keys: dict[str, pa.DataType], found: Iterable[tuple[dict[str, Any], Figure]]) -> pa.Table:
    """The rows of figures, each with the values of its keys.

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
        columns["groups"] += figure.groups[at].tolist()
        for name, values in _numbers(figure).items():
            numbers = np.full(len(head), np.nan) if values is None else values[head, at]
            columns[name] += [None if number != number else number for number in numbers.tolist()]
    columns["q"] = _q_values(columns, keys)
    _conclude(columns)
    return pa.table(columns, schema=schema(keys))


def _numbers(figure: Figure) -> dict[str, Array | None]:
    """The numbers of a figure by the names of their columns; None where there is no chance."""
    value, apart = figure.value, figure.difference
    found: dict[str, Array | None] = {"value": value.value, "low": value.low, "high": value.high}
    names = ("difference", "difference_low", "difference_high", "p", "smallest")
    told = (None,) * 5 if apart is None else (apart.value, apart.low, apart.high, apart.p, apart.smallest)
    return found | {"chance": figure.chance} | dict(zip(names, told, strict=True))


def _q_values(columns: Columns, keys: Iterable[str]) -> list[float | None]:
    """p corrected over all heads, or all layers' means, that share the other keys, the tokens and the statistic."""
    families: dict[tuple[Any, ...], list[int]] = {}
    heads = columns.get("head", [None] * len(columns["value"]))
    same = (*(name for name in keys if name not in _ACROSS), "by", "class", "statistic")
    for row, difference in enumerate(columns["difference"]):
        if difference is not None:
            families.setdefault((heads[row] is None, *(columns[name][row] for name in same)), []).append(row)
    q: list[float | None] = [None] * len(columns["value"])
    for rows in families.values():
        p = np.array([columns["p"][row] for row in rows], dtype=np.float64)
        for row, value in zip(rows, corrected(p).tolist(), strict=True):
            q[row] = None if np.isnan(value) else value
    return q


def _conclude(columns: Columns) -> None:
    """Verdicts, where there is a chance."""
    names = ("difference", "difference_low", "difference_high", "q", "chance")
    apart, low, high, q, chance = (np.array(columns[name], dtype=np.float64) for name in names)
    found = conclusions(apart, low, high, q, chance, np.isin(columns["statistic"], _RATES))
    known = ~np.isnan(apart)
    columns["verdict"] = [verdict if there else None for verdict, there in zip(found.verdicts, known, strict=True)]
    columns["small"] = [small if there else None for small, there in zip(found.small.tolist(), known, strict=True)]
