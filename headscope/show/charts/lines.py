"""Charts across layers: a mark and a 95 % interval a layer, chance dotted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes

from headscope.show.charts.chart import Cell, Chart, canvas, ticks
from headscope.show.charts.palette import LINES, MARKERS, PAPER, STROKES
from headscope.show.charts.svg import CHANCE_LINE, style, to_svg

_HANDLE, _LETTER = 0.55, 0.065  # inches of a legend, about: before a label, and of each of its letters


class Point(NamedTuple):
    """A value at a layer, with its interval and chance where there are any."""

    layer: float
    value: float
    low: float | None = None
    high: float | None = None
    chance: float | None = None


class Series(NamedTuple):
    """Points under one name; `dotted`: a chance that is named, and no figure."""

    label: str
    points: list[Point]
    dotted: bool = False


class Panel(NamedTuple):
    """One pair of axes; `zero` draws chance as a line at 0, `log` makes the values' axis logarithmic."""

    title: str
    series: list[Series]
    zero: bool = False
    log: bool = False


def chart(
    name: str,
    title: str,
    caption: str,
    panels: Sequence[Panel],
    layers: int,
    axis: str = "layer",
    across: int = 3,
) -> Chart:
    """Panels in rows of `across`; a row's lines have one legend where all its panels show the same ones."""
    rows_of = [panels[start : start + across] for start in range(0, len(panels), across)]
    with style():
        width = 10.6 * across / 3
        drawn = canvas(width, 2.6 * len(rows_of) + 0.2)
        for part, row in zip(drawn.subfigures(len(rows_of), 1, squeeze=False)[:, 0], rows_of, strict=True):
            part.set_facecolor("none")
            axes = part.subplots(1, across, squeeze=False)[0]
            for ax, panel in zip(axes, row, strict=False):
                _draw(ax, panel, layers, axis)
            for ax in axes[len(row) :]:
                ax.set_visible(False)
            handles, labels = max((ax.get_legend_handles_labels() for ax in axes[: len(row)]), key=lambda h: len(h[0]))
            if handles:
                part.legend(handles, labels, loc="outside lower center", ncols=_columns(labels, width))
        svg = to_svg(drawn, name)
    rows: list[tuple[Cell, ...]] = [
        (panel.title, series.label, *point) for panel in panels for series in panel.series for point in series.points
    ]
    columns = ("panel", "line", "layer", "value", "low", "high", "chance")
    return Chart(name, title, caption, svg, columns, tuple(rows))


def _columns(labels: Sequence[str], width: float) -> int:
    """In how many columns, of six at most, a legend is no wider than its figure, in inches.

    >>> labels = ["over even attention", "over untrained twins", "over twins that attend as it does"]
    >>> _columns(labels, 10.6), _columns(labels, 3.5)
    (3, 1)
    """
    for columns in range(min(len(labels), 6), 1, -1):
        rows = -(-len(labels) // columns)
        longest = [max(map(len, labels[n : n + rows])) for n in range(0, len(labels), rows)]
        if _HANDLE * len(longest) + _LETTER * sum(longest) <= width:
            return columns
    return 1


def _draw(ax: Axes, panel: Panel, layers: int, axis: str) -> None:
    ax.set_title(panel.title)
    ax.grid(axis="y")
    if panel.log:
        ax.set_yscale("log")
    if panel.zero:
        ax.axhline(0, **CHANCE_LINE)
    gap = 0.5 if any(point.layer % 1 for series in panel.series for point in series.points) else 1
    for n, series in enumerate(panel.series):
        ink, marker, stroke = LINES[n % len(LINES)], MARKERS[n % len(MARKERS)], STROKES[n % len(STROKES)]
        # Side by side, so that intervals of one layer do not cover each other.
        shift = (n - (len(panel.series) - 1) / 2) * gap * min(0.12, 0.6 / max(len(panel.series), 1))
        if series.dotted:
            across = [point.layer for point in series.points]
            named = {"label": series.label, "color": ink.light}
            ax.plot(across, [point.value for point in series.points], **(CHANCE_LINE | named))
            continue
        x = [point.layer + shift for point in series.points]
        ax.plot(
            x,
            [point.value for point in series.points],
            label=series.label,
            color=ink.light,
            marker=marker,
            linestyle=stroke,
            markeredgecolor=PAPER.light,
            markeredgewidth=0.6,
        )
        # A percentile interval need not hold the value in its middle, nor at all.
        ends = [
            (at, p.low, p.high)
            for at, p in zip(x, series.points, strict=True)
            if p.low is not None and p.high is not None
        ]
        middles = [(low + high) / 2 for _, low, high in ends]
        reach = [(high - low) / 2 for _, low, high in ends]
        ax.errorbar([at for at, *_ in ends], middles, reach, fmt="none", color=ink.light, elinewidth=1.1, capsize=1.8)
        known = [(at, point.chance) for at, point in zip(x, series.points, strict=True) if point.chance is not None]
        if known:
            ax.plot(*zip(*known, strict=True), **(CHANCE_LINE | {"color": ink.light}))
    ax.set_xlim(-0.5, layers - 0.5)
    ax.set_xticks(ticks(layers))
    ax.set_xlabel(axis)
