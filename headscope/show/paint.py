"""Sheets as PDF and PNG, by matplotlib: the figure that the SVG file has."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from headscope.errors import InputError
from headscope.show.drawing import PAPER, Box, Drawing, Rule, Words, drawn
from headscope.show.glyphs import families, spelled_out
from headscope.show.sheet import Sheet

_INCH, _POINT = 96, 0.75  # pixels of an inch, points of a pixel
_SPELLED = 10  # characters that a code point in the place of one may take
_DPI, _SIDE = 300, 2**16 - 1  # of a PNG, and the pixels that a side of it may have


def painted(sheets: Sequence[Sheet], kind: Literal["pdf", "png"]) -> bytes:
    """The file's bytes, of those sheets that are figures; the same for the same sheets.

    Raises InputError where matplotlib is not installed, and for a PNG that would be too large.
    """
    drawing = drawn(sheets)
    longest = max(drawing.width, drawing.height) * _DPI // _INCH
    if kind == "png" and longest > _SIDE:
        size = f"a PNG of {longest:,} pixels a side, where {_SIDE:,} are the most"
        raise InputError(f"this figure would be {size}: save it as .svg or .pdf.")
    with settings({"pdf.fonttype": 42}) as changed:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        drawn_in = families(mark.text for mark in drawing.marks if isinstance(mark, Words))
        changed["font.family"] = list(drawn_in)
        figure = Figure(figsize=(drawing.width / _INCH, drawing.height / _INCH), facecolor=PAPER)
        FigureCanvasAgg(figure)
        _marks(drawing, figure, drawn_in)
        file = io.BytesIO()
        figure.savefig(file, format=kind, dpi=_DPI, metadata={"CreationDate": None} if kind == "pdf" else None)
    return file.getvalue()


@contextmanager
def settings(own: Mapping[Any, Any]) -> Iterator[dict[Any, Any]]:
    """matplotlib with `own` settings, whatever the user's are, to be changed there; InputError without matplotlib."""
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        raise InputError('a drawing needs matplotlib: pip install "headscope[maps]"') from None
    told = logging.getLogger("matplotlib.font_manager")
    before = told.level
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"text.parse_math": False, **own})
        told.setLevel(logging.ERROR)  # a font that has no bold face is drawn as it is, which is no user's affair
        try:
            yield mpl.rcParams
        finally:
            told.setLevel(before)


def _marks(drawing: Drawing, figure: Any, drawn_in: Sequence[str]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Rectangle

    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, drawing.width), ylim=(drawing.height, 0))
    for mark in drawing.marks:
        if isinstance(mark, Box):
            axes.add_patch(Rectangle((mark.x, mark.y), mark.width, mark.height, color=mark.colour, linewidth=0))
        elif isinstance(mark, Rule):
            axes.add_line(Line2D([mark.x, mark.to], [mark.y, mark.y], color=mark.colour, linewidth=0.5 * _POINT))
        else:
            axes.text(
                mark.x,
                mark.y,
                _in_room(mark.text, spelled_out(mark.text, drawn_in)),
                color=mark.colour,
                fontsize=mark.size * _POINT,
                fontweight="bold" if mark.bold else "normal",
                ha="right" if mark.end else "left",
                va="baseline",
            )


def _in_room(words: str, spelled: str) -> str:
    """What is spelled out, cut to about the room of the words that it stands for."""
    most = max(len(words), _SPELLED)
    return spelled if len(spelled) <= most else f"{spelled[: most - 1]}…"
