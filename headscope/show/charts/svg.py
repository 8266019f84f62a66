"""A matplotlib figure as SVG: the same bytes every time, and the same picture in the colours of a page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas

from headscope.show.charts.palette import CHANCE, HATCH, INKS, PAPER, RULE, SOFT, TEXT
from headscope.show.glyphs import DRAWN_IN, readers_own
from headscope.show.svg import well_formed

_FONTS = [DRAWN_IN]  # measured with it; readers without it take the next of the list
_SHOWN_IN = "'DejaVu Sans', Verdana, 'Liberation Sans', Arial, sans-serif"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": _FONTS,
    "font.size": 9,
    "text.color": TEXT.light,
    "axes.edgecolor": RULE.light,
    "axes.labelcolor": SOFT.light,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": PAPER.light,
    "grid.color": RULE.light,
    "grid.linewidth": 0.6,
    "hatch.color": HATCH.light,
    "hatch.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "xtick.color": SOFT.light,
    "ytick.color": SOFT.light,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}
CHANCE_LINE: dict[str, Any] = {"color": CHANCE.light, "linestyle": ":", "linewidth": 1.2}


@contextmanager
def style() -> Iterator[None]:
    """The settings that every chart is drawn with, whatever the user's own are."""
    with mpl.rc_context(), readers_own():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def to_svg(canvas: Canvas, name: str) -> str:
    """A figure as an SVG file; its ids begin with `name`, so that several can stand in one page."""
    with style(), mpl.rc_context({"svg.hashsalt": name}):
        written = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        print_svg: Callable[..., object] = FigureCanvasSVG(canvas).print_svg  # savefig draws every chart twice
        print_svg(written, metadata=nothing)
    text = well_formed(written.getvalue())
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", text)
    return text.replace("'DejaVu Sans'", _SHOWN_IN)


def in_page(svg: str, title: str, name: str) -> str:
    """The same for a page's body: without a file's head, named for those who do not see it, colours as variables."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"#[0-9a-f]{6}\b", lambda found: _variable(found[0]), body)
    head = re.match(r"<svg[^>]*>", body)
    assert head is not None
    view = re.search(r'viewBox="[^"]*"', head[0])
    width = re.search(r' width="([\d.]+)pt"', head[0])
    assert view is not None
    assert width is not None
    wide = round(float(width[1]) * 4 / 3)
    opened = (
        f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" {view[0]} width="{wide}" role="img" '
        f'aria-labelledby="{name}-title"><title id="{name}-title">{escape(title)}</title>'
    )
    return opened + body[head.end() :].rstrip()


def without_styles(svg: str, title: str, name: str) -> str:
    """The same for a page that takes no styles in its body: all that they say as attributes, each colour as a pair."""
    body = re.sub(r"<style.*?</style>", "", in_page(svg, title, name), flags=re.DOTALL)
    body = re.sub(r' style="([^"]*)"', lambda found: _as_attributes(found[1]), body)
    for ink in INKS.values():
        body = body.replace(f"var(--c{ink.light[1:]})", f"light-dark({ink.light}, {ink.dark})")
    return body


def _as_attributes(style: str) -> str:
    """What a style says as attributes, of which there is none for all of a font.

    >>> print(_as_attributes("fill: none; font: 700 9.5px 'DejaVu Sans', Arial"))
     fill="none" font-weight="700" font-size="9.5px" font-family="'DejaVu Sans', Arial"
    """
    said = ""
    for part in filter(None, (one.strip() for one in style.split(";"))):
        name, _, value = (one.strip() for one in part.partition(":"))
        font = re.fullmatch(r"(?:(\d+|bold) )?([\d.]+px) (.*)", value) if name == "font" else None
        if font is None:
            said += f' {name}="{value}"'
        else:
            weight = f' font-weight="{font[1]}"' if font[1] else ""
            said += f'{weight} font-size="{font[2]}" font-family="{font[3]}"'
    return said


def variables(dark: bool) -> str:
    """The colours as CSS custom properties."""
    return " ".join(f"--c{ink.light[1:]}: {ink.dark if dark else ink.light};" for ink in INKS.values())


def _variable(colour: str) -> str:
    return f"var(--c{colour[1:]})" if colour in INKS else colour
