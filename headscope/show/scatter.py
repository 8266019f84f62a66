"""Points in a plane as a drawing: SVG, PNG or PDF at A4 size, with labels that do not collide."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from headscope.question.choices import Theme
from headscope.show.glyphs import families, readers_own, spelled_out
from headscope.show.labels import Area, Point, placed
from headscope.show.paint import settings
from headscope.show.svg import well_formed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Look = Literal["strong", "plain", "faint"]
_SIZE = (11.69, 8.27)  # A4, in inches
_FAINT_LABELS = 400  # of faint points, how many labels are tried
_PAIRS = {  # light, dark
    "paper": ("#ffffff", "#131517"),
    "ink": ("#191b1d", "#e9eaeb"),
    "soft": ("#555b61", "#a6acb2"),
    "rule": ("#dedfd9", "#2f3439"),
    "faint": ("#b9bec3", "#4b5157"),
    "plain": ("#0a5f86", "#7cc6ec"),
    "strong": ("#0b5a43", "#7fd6b4"),
}
_DOTS: dict[Look, int] = {"strong": 16, "plain": 9, "faint": 4}  # how large the points of a cloud are
# One for each of those that move: its colours, and the shapes of its starts and ends.
_SIGNS = ((("#9c3800", "#ffb27c"), "o", "D"), (("#6b3fa0", "#c8a8f0"), "s", "^"), (("#8a1c4a", "#f59ac0"), "v", "P"))


@dataclass(frozen=True)
class Cloud:
    """Points that stand still, under one name, each with its label; how they look says how much they matter."""

    name: str
    look: Look
    places: tuple[Point, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Moves:
    """Points that move: a line leads from each start to its end, and the label stands at both."""

    starts_name: str
    ends_name: str
    starts: tuple[Point, ...]
    ends: tuple[Point, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Scatter:
    """What is drawn: a title, a line under it, the points, and what must be said below.

    `axes`: what the directions mean; None where they mean nothing.
    """

    title: str
    subtitle: str
    moves: tuple[Moves, ...]
    clouds: tuple[Cloud, ...]
    said: tuple[str, ...]
    axes: tuple[str, str] | None = None


@dataclass(frozen=True)
class _Wanted:
    """A label beside a point, in data coordinates."""

    at: Point
    label: str
    colour: str
    size: float
    weight: str = "normal"
    slant: Literal["normal", "italic"] = "normal"


def drawn(scatter: Scatter, kind: str, theme: Theme = "light") -> bytes:
    """The file's bytes; the same for the same points on the same machine."""
    if kind == "svg":
        with settings(_style(theme)), readers_own():
            return _file(scatter, kind, theme)
    with settings(_style(theme)) as changed:
        changed["font.family"] = drawn_in = list(families(_words(scatter)))
        return _file(_spelled_out(scatter, drawn_in), kind, theme)


def _file(scatter: Scatter, kind: str, theme: Theme) -> bytes:
    figure = _figure(scatter, theme)
    file = io.BytesIO()
    # Neither when it was drawn nor by what: the same map gives the same bytes, and its HTML names no other host.
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    stamps = {"svg": nothing, "pdf": {"CreationDate": None}}.get(kind)
    figure.savefig(file, format=kind, metadata=stamps, dpi=200)
    return well_formed(file.getvalue().decode()).encode() if kind == "svg" else file.getvalue()


def _words(scatter: Scatter) -> list[str]:
    """All that is written."""
    moving = [label for moves in scatter.moves for label in moves.labels]
    still = [label for cloud in scatter.clouds for label in cloud.labels]
    return [scatter.title, scatter.subtitle, *scatter.said, *moving, *still]


def _spelled_out(scatter: Scatter, drawn_in: Sequence[str]) -> Scatter:
    """The same without characters that none of these fonts has."""

    def spelled(words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(spelled_out(one, drawn_in) for one in words)

    title, subtitle = spelled((scatter.title, scatter.subtitle))
    return replace(
        scatter,
        title=title,
        subtitle=subtitle,
        said=spelled(scatter.said),
        moves=tuple(replace(moves, labels=spelled(moves.labels)) for moves in scatter.moves),
        clouds=tuple(replace(cloud, labels=spelled(cloud.labels)) for cloud in scatter.clouds),
    )


def _style(theme: Theme) -> dict[str, Any]:
    ink, paper = _of("ink", theme), _of("paper", theme)
    own: dict[str, Any] = {"svg.fonttype": "none", "svg.hashsalt": "headscope", "font.size": 8, "text.color": ink}
    own |= {"figure.facecolor": paper, "savefig.facecolor": paper, "axes.facecolor": "none", "legend.frameon": False}
    return own | {"axes.edgecolor": _of("rule", theme), "axes.labelcolor": _of("soft", theme)}


def _figure(scatter: Scatter, theme: Theme) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE)
    FigureCanvasAgg(figure)
    wrapped = [line for part in scatter.said for line in textwrap.wrap(part, 190)]
    foot = 0.03 + 0.019 * len(wrapped)
    figure.text(0.03, 0.965, scatter.title, size=12, weight="bold", va="top")
    figure.text(0.03, 0.932, scatter.subtitle, size=9, color=_of("soft", theme), va="top")
    figure.text(0.03, 0.02, "\n".join(wrapped), size=7.5, color=_of("soft", theme), va="bottom", linespacing=1.4)
    axes = figure.add_axes((0.03, foot + 0.02, 0.94, 0.85 - foot))
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xticks([])
    axes.set_yticks([])
    if scatter.axes is not None:
        axes.set_xlabel(scatter.axes[0])
        axes.set_ylabel(scatter.axes[1])
    ends, starts = _moved(scatter, axes, theme)
    still = _clouds(scatter, axes, theme)
    figure.legend(loc="upper left", bbox_to_anchor=(0.024, 0.915), ncols=9, handletextpad=0.3, columnspacing=1.4)
    faint = islice(still["faint"], _FAINT_LABELS)
    wanted = [*ends, *still["strong"], *starts, *still["plain"], *faint]  # the most important first
    _label(figure, axes, wanted, [one.at for one in (*ends, *starts)])
    return figure


def _moved(scatter: Scatter, axes: Axes, theme: Theme) -> tuple[list[_Wanted], list[_Wanted]]:
    """Draw what moves; the labels at its ends, and at its starts."""
    ends: list[_Wanted] = []
    starts: list[_Wanted] = []
    for number, moves in enumerate(scatter.moves):
        pair, hollow, full = _SIGNS[number % len(_SIGNS)]
        colour = pair[theme == "dark"]
        for (x, y), (to_x, to_y) in zip(moves.starts, moves.ends, strict=True):
            axes.plot([x, to_x], [y, to_y], color=colour, linewidth=0.6, alpha=0.55, zorder=3)
        edge: dict[str, Any] = {"s": 24, "edgecolors": colour, "linewidths": 1, "zorder": 4}
        paper = _of("paper", theme)
        axes.scatter(*_columns(moves.starts), marker=hollow, facecolors=paper, label=moves.starts_name, **edge)
        axes.scatter(*_columns(moves.ends), marker=full, facecolors=colour, label=moves.ends_name, **edge)
        ends += [_Wanted(at, name, colour, 8.5, "bold") for at, name in zip(moves.ends, moves.labels, strict=True)]
        starts += [
            _Wanted(at, name, colour, 7.5, slant="italic") for at, name in zip(moves.starts, moves.labels, strict=True)
        ]
    return ends, starts


def _clouds(scatter: Scatter, axes: Axes, theme: Theme) -> dict[Look, list[_Wanted]]:
    """Draw what stands still; its labels by how they look."""
    labels: dict[Look, list[_Wanted]] = {look: [] for look in _DOTS}
    for cloud in scatter.clouds:
        faint, colour = cloud.look == "faint", _of(cloud.look, theme)
        of_points: dict[str, Any] = {"s": _DOTS[cloud.look], "color": colour, "linewidths": 0}
        axes.scatter(*_columns(cloud.places), label=cloud.name, zorder=1 if faint else 2, **of_points)
        shown = _of("soft", theme) if faint else colour
        labels[cloud.look] += [
            _Wanted(at, name, shown, 6 if faint else 7) for at, name in zip(cloud.places, cloud.labels, strict=True)
        ]
    return labels


def _label(figure: Figure, axes: Axes, wanted: list[_Wanted], taken: list[Point]) -> None:
    """Write the labels that have room; their widths are those of the font that draws them."""
    from matplotlib.font_manager import FontProperties

    axes.apply_aspect()
    figure.canvas.draw()
    renderer, dot = figure.canvas.get_renderer(), figure.dpi / 72  # type: ignore[attr-defined]
    there = axes.transData.transform
    boxes: list[Area] = [(x - 3 * dot, y - 3 * dot, x + 3 * dot, y + 3 * dot) for x, y in map(there, taken)]
    measured: list[tuple[Point, float, float]] = []
    for one in wanted:
        font = FontProperties(size=one.size, weight=one.weight, style=one.slant)
        width, height, _ = renderer.get_text_width_height_descent(one.label, font, False)
        x, y = there(one.at)
        measured.append(((float(x), float(y)), width + 3 * dot, height + dot))
    inside = axes.get_window_extent()
    within = (inside.x0, inside.y0, inside.x1, inside.y1)
    back = axes.transData.inverted().transform
    for one, corner in zip(wanted, placed(measured, boxes, within, 4 * dot), strict=True):
        if corner is not None:
            x, y = back(corner)
            axes.text(
                x,
                y,
                one.label,
                size=one.size,
                color=one.colour,
                weight=one.weight,
                style=one.slant,
                va="bottom",
                ha="left",
                zorder=5,
            )


def _of(name: str, theme: Theme) -> str:
    return _PAIRS[name][theme == "dark"]


def _columns(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """x and y of points."""
    return [x for x, _ in points], [y for _, y in points]
