"""Sheets as an SVG file, fit for a paper: vectors, no fonts of their own, signs beside colours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from headscope.show.drawing import FONTS, PAPER, Box, Rule, Words, drawn
from headscope.show.sheet import Sheet

_FONT = ", ".join(f"'{font}'" if " " in font else font for font in FONTS)
_CONTROL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML has no way to write


def svg(sheets: Sequence[Sheet]) -> str:
    """The file's text, of those sheets that are figures."""
    drawing = drawn(sheets)
    size = f"{drawing.width} {drawing.height}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{drawing.width}" height="{drawing.height}" '
        f'viewBox="0 0 {size}" role="img" font-family="{_FONT}"><title>{_escaped(drawing.title)}</title>'
        f'<rect width="100%" height="100%" fill="{PAPER}"/>' + "".join(map(_mark, drawing.marks)) + "</svg>\n"
    )


def _mark(mark: Box | Rule | Words) -> str:
    if isinstance(mark, Box):
        x, y, width, height, colour = mark
        return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{colour}"/>'
    if isinstance(mark, Rule):
        return f'<path d="M{mark.x} {mark.y}H{mark.to}" stroke="{mark.colour}" stroke-width="0.5"/>'
    how = (' font-weight="bold"' if mark.bold else "") + (' text-anchor="end"' if mark.end else "")
    return (
        f'<text x="{mark.x}" y="{mark.y}" font-size="{mark.size}" fill="{mark.colour}"{how} '
        f'xml:space="preserve">{_escaped(mark.text)}</text>'
    )


def well_formed(text: str) -> str:
    """Text of XML, with a replacement character for each that XML has no way to write, as texts of users may hold."""
    return _CONTROL.sub("\ufffd", text)


def _escaped(words: str) -> str:
    return escape(well_formed(words))
