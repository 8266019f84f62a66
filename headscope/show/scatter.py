"""A map as a drawing: SVG, PNG or PDF at A4 size, with labels that do not collide."""

from __future__ import annotations

import io
import json
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from headscope.errors import InputError
from headscope.keep.files import file_to_write, write_bytes
from headscope.question.choices import Theme
from headscope.show import maps
from headscope.show.labels import Box, Place, placed
from headscope.show.rows import csv_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from headscope.reading.map import Map

_SIZE = (11.69, 8.27)  # A4, in inches
_FORMATS = (".svg", ".png", ".pdf", ".json", ".csv")
_RANDOM_LABELS = 400  # of the random rest, how many are tried
_PAIRS = {  # light, dark
    "paper": ("#ffffff", "#131517"),
    "ink": ("#191b1d", "#e9eaeb"),
    "soft": ("#555b61", "#a6acb2"),
    "rule": ("#dedfd9", "#2f3439"),
    "random": ("#b9bec3", "#4b5157"),
    "near": ("#0a5f86", "#7cc6ec"),
    "text": ("#0b5a43", "#7fd6b4"),
}
# One for each text: its colours, and the shapes of its values and outputs.
_TEXTS = ((("#9c3800", "#ffb27c"), "o", "D"), (("#6b3fa0", "#c8a8f0"), "s", "^"), (("#8a1c4a", "#f59ac0"), "v", "P"))


@dataclass(frozen=True)
class _Wanted:
    """A label beside a point, in data coordinates."""

    at: Place
    label: str
    colour: str
    size: float
    weight: str = "normal"
    slant: Literal["normal", "italic"] = "normal"


def save(found: Map, path: Path, theme: Theme) -> Path:
    """Write a map to a file of the kind that its suffix says."""
    kind = check(path, theme).suffix.lower()
    if kind == ".json":
        return write(path, json.dumps(found.to_dict(), ensure_ascii=False, allow_nan=False).encode() + b"\n")
    if kind == ".csv":
        return write(path, csv_of(maps.rows(found)).encode())
    return write(path, drawn(found, kind[1:], theme))


def check(path: Path, theme: str) -> Path:
    """The path, where a map can be drawn into such a file; InputError where it cannot."""
    if path.suffix.lower() not in _FORMATS:
        raise InputError(f"a map is drawn as {', '.join(_FORMATS)}, not {path.suffix or 'a file without a suffix'!r}.")
    if theme not in ("light", "dark"):
        raise InputError(f"there is no theme {theme!r}; open: light, dark.")
    file_to_write(path)
    return path


def write(path: Path, what: bytes) -> Path:
    """Write a file, whole or not at all; InputError where it cannot be written."""
    try:
        write_bytes(file_to_write(path), what)
    except OSError as error:
        raise InputError(f"the map cannot be written to {path}: {error.strerror or error}.") from None
    return path


def html(found: Map) -> str:
    """The drawing and what must be said of it, for a notebook."""
    svg = drawn(found, "svg", "light").decode()
    notes = "".join(f"<p>{escape(note)}</p>" for note in found.notes)
    return f'<div style="max-width:1000px">{svg[svg.index("<svg") :]}{notes}</div>'


def drawn(found: Map, kind: str, theme: Theme = "light") -> bytes:
    """The file's bytes; the same for the same map."""
    with _style(theme):
        figure = _figure(found, theme)
        file = io.BytesIO()
        # Neither when it was drawn nor by what: the same map gives the same bytes, and its HTML names no other host.
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        stamps = {"svg": nothing, "pdf": {"CreationDate": None}}.get(kind)
        figure.savefig(file, format=kind, metadata=stamps, dpi=200)
    return file.getvalue()


@contextmanager
def _style(theme: Theme) -> Iterator[None]:
    """The settings of a drawing, whatever the user's own are."""
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        raise InputError('a drawing needs matplotlib: pip install "headscope[maps]"') from None
    ink, paper = _of("ink", theme), _of("paper", theme)
    own: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "headscope", "font.size": 8, "text.color": ink}
    own |= {"figure.facecolor": paper, "savefig.facecolor": paper, "axes.facecolor": "none", "text.parse_math": False}
    own |= {"axes.edgecolor": _of("rule", theme), "axes.labelcolor": _of("soft", theme), "legend.frameon": False}
    with mpl.rc_context(), warnings.catch_warnings():
        # Vocabularies hold every script; a glyph that no font here has is a box, in SVG the reader's own.
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        mpl.rcdefaults()
        mpl.rcParams.update(own)
        yield


def _figure(found: Map, theme: Theme) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE)
    FigureCanvasAgg(figure)
    wrapped = [line for part in (*maps.facts(found), *found.notes) for line in textwrap.wrap(part, 190)]
    foot = 0.03 + 0.019 * len(wrapped)
    figure.text(0.03, 0.965, maps.title(found), size=12, weight="bold", va="top")
    figure.text(0.03, 0.932, _texts(found), size=9, color=_of("soft", theme), va="top")
    figure.text(0.03, 0.02, "\n".join(wrapped), size=7.5, color=_of("soft", theme), va="bottom", linespacing=1.4)
    axes = figure.add_axes((0.03, foot + 0.02, 0.94, 0.85 - foot))
    wanted, taken = _points(found, axes, theme)
    figure.legend(loc="upper left", bbox_to_anchor=(0.024, 0.915), ncols=9, handletextpad=0.3, columnspacing=1.4)
    _label(figure, axes, wanted, taken)
    return figure


def _points(found: Map, axes: Axes, theme: Theme) -> tuple[list[_Wanted], list[Place]]:
    """Draw all points; the labels that are wanted, the most important first, and the places they may not cover."""
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xticks([])
    axes.set_yticks([])
    if found.explained is not None:
        axes.set_xlabel(f"first component: {found.explained[0]:.1%} of the variance")
        axes.set_ylabel(f"second component: {found.explained[1]:.1%}")
    paper = _of("paper", theme)
    outputs: list[_Wanted] = []
    values: list[_Wanted] = []
    for number, text in enumerate(found.texts):
        pair, hollow, full = _TEXTS[number % len(_TEXTS)]
        colour, starts, ends = pair[theme == "dark"], text.values.tolist(), text.outputs.tolist()
        which = f" of text {number + 1}" if len(found.texts) > 1 else ""
        for (x, y), (to_x, to_y) in zip(starts, ends, strict=True):
            axes.plot([x, to_x], [y, to_y], color=colour, linewidth=0.6, alpha=0.55, zorder=3)
        edge: dict[str, Any] = {"s": 24, "edgecolors": colour, "linewidths": 1, "zorder": 4}
        axes.scatter(*_columns(starts), marker=hollow, facecolors=paper, label=f"values v{which}", **edge)
        axes.scatter(*_columns(ends), marker=full, facecolors=colour, label=f"outputs z{which}", **edge)
        labels = [token.label for token in text.tokens]
        outputs += [_Wanted((x, y), name, colour, 8.5, "bold") for (x, y), name in zip(ends, labels, strict=True)]
        values += [
            _Wanted((x, y), name, colour, 7.5, slant="italic") for (x, y), name in zip(starts, labels, strict=True)
        ]
    taken = [one.at for one in (*outputs, *values)]
    names: dict[str, list[_Wanted]] = {}
    for group, said, size in (
        ("text", "vocabulary: tokens of the text", 16),
        ("near", "vocabulary: near an output", 9),
        ("random", "vocabulary: random", 4),
    ):
        of_group = [n for n, one in enumerate(found.groups) if one == group]
        points = [found.vocabulary[n].tolist() for n in of_group]
        if not points:
            continue
        colour = _of(group, theme)
        behind = 1 if group == "random" else 2
        axes.scatter(*_columns(points), s=size, color=colour, linewidths=0, label=said, zorder=behind)
        ids = [int(found.ids[n]) for n in of_group]
        shown = _of("soft", theme) if group == "random" else colour
        names[group] = [
            _Wanted((x, y), found.names[id].label, shown, 6 if group == "random" else 7)
            for (x, y), id in zip(points, ids, strict=True)
        ]
    rest = islice(names.get("random", []), _RANDOM_LABELS)
    return [*outputs, *names.get("text", []), *values, *names.get("near", []), *rest], taken


def _label(figure: Figure, axes: Axes, wanted: list[_Wanted], taken: list[Place]) -> None:
    """Write the labels that have room; their widths are those of the font that draws them."""
    from matplotlib.font_manager import FontProperties

    axes.apply_aspect()
    figure.canvas.draw()
    renderer, dot = figure.canvas.get_renderer(), figure.dpi / 72  # type: ignore[attr-defined]
    there = axes.transData.transform
    boxes: list[Box] = [(x - 3 * dot, y - 3 * dot, x + 3 * dot, y + 3 * dot) for x, y in map(there, taken)]
    measured: list[tuple[Place, float, float]] = []
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


def _texts(found: Map) -> str:
    """The texts, cut to one line each."""
    return " · ".join(
        f"{number + 1}: {short}" if len(found.texts) > 1 else short
        for number, text in enumerate(found.texts)
        for short in [textwrap.shorten(text.text, 150 // len(found.texts), placeholder=" …")]
    )


def _of(name: str, theme: Theme) -> str:
    return _PAIRS[name][theme == "dark"]


def _columns(points: list[list[float]]) -> tuple[list[float], list[float]]:
    """x and y of points."""
    return [x for x, _ in points], [y for _, y in points]
