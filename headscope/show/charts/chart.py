"""A chart: its drawing, what it says in one sentence, and the numbers in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it comes with an extra, and what has no chart must be shown without it
    from matplotlib.figure import Figure as Canvas

Cell = str | int | float | None


@dataclass(frozen=True)
class Chart:
    """`name` is its file's name; `rows` are the numbers that are drawn, under `columns`."""

    name: str
    title: str
    caption: str
    svg: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def canvas(width: float, height: float) -> Canvas:
    """An empty drawing, in inches, that lays its parts out so that none overlaps."""
    from matplotlib.figure import Figure as Canvas

    return Canvas(figsize=(width, height), layout="constrained")


def ticks(count: int) -> Sequence[int]:
    """Which of `count` layers or heads are named on an axis."""
    step = 1 if count <= 16 else 2 if count <= 32 else 4
    return range(0, count, step)
