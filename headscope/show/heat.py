"""Numbers in a sheet, each on a ground as strong as the number is large."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from math import isfinite

from headscope.show.numbers import distance
from headscope.show.sheet import Cell, Row


def grounded(
    values: Sequence[float], written: Callable[[float], str] = distance, size: Callable[[float], float] = abs
) -> list[Cell]:
    """Numbers that are compared with each other, each with its share of the largest size; "–" where there is none.

    >>> [(cell.number, cell.share) for cell in grounded([0.5, -2.0, float("nan")])]
    [('0.500', 0.25), ('-2.00', 1.0), ('–', None)]
    """
    most = max((size(value) for value in values if isfinite(value)), default=0.0) or 1.0
    return [
        Cell(number=written(value), share=size(value) / most, value=value) if isfinite(value) else Cell(number="–")
        for value in values
    ]


def heat(
    heads: Sequence[Cell],
    numbers: Sequence[Sequence[float]],
    written: Callable[[float], str] = distance,
    size: Callable[[float], float] = abs,
) -> tuple[Row, ...]:
    """Rows of numbers that are all compared with each other."""
    cells = iter(grounded([value for row in numbers for value in row], written, size))
    return tuple(Row(head, tuple(islice(cells, len(row)))) for head, row in zip(heads, numbers, strict=True))
