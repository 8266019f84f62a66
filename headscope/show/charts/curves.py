"""Curves over what is kept: a panel a layer, what was done beside the same by chance, with 95 % intervals as bands."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite
from typing import NamedTuple

from matplotlib.axes import Axes

from headscope.show.charts.chart import Cell, Chart, canvas
from headscope.show.charts.palette import LINES, MARKERS, PAPER, STROKES
from headscope.show.charts.svg import style, to_svg

_ACROSS = 6  # panels side by side


class Kept(NamedTuple):
    """How much is kept, and a value with its interval; nan where there is none."""

    kept: float
    value: float
    low: float
    high: float


class Curve(NamedTuple):
    """What was done, by how much of it is kept."""

    label: str
    points: list[Kept]


def by_layer(name: str, title: str, caption: str, layers: Sequence[Sequence[Curve]], across: str) -> Chart:
    """The curves of every layer under the same axes; `across` is what is kept, in words."""
    with style():
        drawn = canvas(10.6, 1.75 * ceil(len(layers) / _ACROSS) + 0.55)
        shape = ceil(len(layers) / _ACROSS), min(len(layers), _ACROSS)
        axes = drawn.subplots(*shape, squeeze=False, sharex=True, sharey=True)
        for layer, ax in enumerate(axes.flat):
            if layer >= len(layers):
                ax.set_visible(False)
                continue
            for n, curve in enumerate(layers[layer]):
                _line(ax, n, curve)
            ax.set_title(f"layer {layer}")
            ax.grid(axis="y")
        drawn.supxlabel(across, fontsize=9)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside upper right", ncols=2)
        svg = to_svg(drawn, name)
    rows: list[tuple[Cell, ...]] = [
        (layer, curve.label, point.kept, *(end if isfinite(end) else None for end in point[1:]))
        for layer, curves in enumerate(layers)
        for curve in curves
        for point in curve.points
    ]
    return Chart(name, title, caption, svg, ("layer", "method", "kept", "value", "low", "high"), tuple(rows))


def _line(ax: Axes, n: int, curve: Curve) -> None:
    ink = LINES[n].light
    x = [point.kept for point in curve.points]
    ax.plot(
        x,
        [point.value for point in curve.points],
        label=curve.label,
        color=ink,
        marker=MARKERS[n],
        linestyle=STROKES[n],
        markeredgecolor=PAPER.light,
        markeredgewidth=0.5,
    )
    # One point without an interval leaves a band with a hole, which would look like certainty there.
    if all(isfinite(point.low) for point in curve.points):
        low, high = [point.low for point in curve.points], [point.high for point in curve.points]
        ax.fill_between(x, low, high, color=ink, alpha=0.18, linewidth=0)
