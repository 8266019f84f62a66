"""Grids of tokens or numbers as SVG files, fit for a paper: vectors, no fonts of their own, signs beside colours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from headscope.question.kinds import KINDS, Kind
from headscope.show.marks import KEY, MARKS
from headscope.show.numbers import distance
from headscope.show.terminal import choices

if TYPE_CHECKING:
    from headscope.reading.results import Atlas, Attention, Comparison, Neighbors

_INKS: dict[Kind, tuple[str, str]] = {  # text and ground; the page's own, on white paper
    "own": ("#9c3800", "#fdf0e6"),
    "text": ("#0b5a43", "#dff3ea"),
    "variant": ("#6b3fa0", "#f1eafb"),
    "special": ("#555b61", "#ecebe6"),
    "elsewhere": ("#191b1d", "none"),
}
_INK, _SOFT, _RULE = "#191b1d", "#555b61", "#c9cbc6"
_HEAT = (90, 169, 207)  # what a full share is drawn with
_FONT = "'DejaVu Sans', Verdana, 'Liberation Sans', Arial, sans-serif"
_ROW, _CAPTION, _EDGE = 20, 26, 12
_CONTROL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML has no way to write


class Square(NamedTuple):
    """A cell: what it says, what it is to the text, and how strong its ground is (0 to 1, for numbers)."""

    says: str
    kind: Kind = "elsewhere"
    share: float = 0.0
    number: str = ""


class Grid(NamedTuple):
    """A table with a caption; `wide` cells hold a token and a number, the others a number or a token."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Square]]]
    wide: bool = True


def neighbors(near: Neighbors) -> Grid:
    """Ranks × heads: the nearest tokens of one selected token, its own rank last."""
    own = near.tokens[0]
    rows = [
        (
            str(rank + 1),
            [
                Square(near.names[id].label, KINDS[kind], number=distance(d))
                for id, d, kind in zip(ids, distances, kinds, strict=True)
            ],
        )
        for rank, (ids, distances, kinds) in enumerate(
            zip(near.ids.T.tolist(), near.distances.T.tolist(), near.kinds.T.tolist(), strict=True)
        )
    ]
    owns = zip(near.own_rank.tolist(), near.own_distance.tolist(), strict=True)
    rows.append(("own", [Square(f"#{rank:,}", number=distance(d)) for rank, d in owns]))
    asked = near.question
    caption = f"{own.label} (position {own.position}), layer {asked.layer}, {choices(asked)}"
    return Grid(caption, [f"head {head}" for head in range(len(near.ids))], rows)


def comparison(found: Comparison, sides: tuple[str, str]) -> list[Grid]:
    """Both sides, one below the other, each with what it is."""
    grids = (neighbors(found.one), neighbors(found.other))
    return [grid._replace(caption=f"{grid.caption} · {side}") for grid, side in zip(grids, sides, strict=True)]


def atlas(found: Atlas) -> Grid:
    """Layers × heads: the nearest token of each."""
    rows = [
        (f"layer {n}", [Square(found.names[id].label, KINDS[kind]) for id, kind in zip(ids, kinds, strict=True)])
        for n, (ids, kinds) in enumerate(zip(found.ids.tolist(), found.kinds.tolist(), strict=True))
    ]
    caption = f"{found.token.label} (position {found.token.position}), {choices(found.question)}"
    return Grid(caption, [f"head {head}" for head in range(found.ids.shape[1])], rows)


def attention(found: Attention) -> Grid:
    """Sources × heads: how much of each position every head mixes."""
    what = "attention weights" if found.weigh == "weights" else "lengths of what the weights let through"
    caption = f"{found.token.label} (position {found.token.position}), layer {found.layer}, {what}"
    rows = _heat([f"{one.position} {one.label}" for one in found.tokens], found.shares.T.tolist())
    return Grid(caption, [f"head {head}" for head in range(len(found.shares))], rows, wide=False)


def pattern(caption: str, labels: Sequence[str], queries: Sequence[Sequence[float]]) -> Grid:
    """Queries × sources of one head."""
    return Grid(caption, labels, _heat(labels, queries), wide=False)


def _heat(names: Sequence[str], numbers: Sequence[Sequence[float]]) -> list[tuple[str, list[Square]]]:
    most = max((value for row in numbers for value in row), default=0.0) or 1.0
    return [
        (name, [Square("", share=value / most, number=distance(value)) for value in row])
        for name, row in zip(names, numbers, strict=True)
    ]


def drawn(grids: Sequence[Grid]) -> str:
    """An SVG file with one grid below the other, and what the signs mean."""
    parts, top, width = [], _EDGE, 0
    for grid in grids:
        names = 14 + 6 * min(18, max((len(name) for name, _ in grid.rows), default=0))
        across = (
            (104 if grid.wide and grid.rows and any(one.number for one in grid.rows[0][1]) else 76) if grid.wide else 52
        )
        parts.append(_words(_EDGE, top + 14, grid.caption, _INK, 12, bold=True))
        line = top + _CAPTION
        parts += [
            _words(_EDGE + names + n * across + 5, line + 13, _short(name, across - 8, 10), _SOFT, 10)
            for n, name in enumerate(grid.columns)
        ]
        end = _EDGE + names + across * len(grid.columns)
        for name, squares in grid.rows:
            line += _ROW
            parts.append(f'<path d="M{_EDGE} {line}H{end}" stroke="{_RULE}" stroke-width="0.5"/>')
            parts.append(_words(_EDGE, line + 14, _short(name, names, 10), _SOFT, 10))
            for n, square in enumerate(squares):
                parts += _square(square, _EDGE + names + n * across, line, across)
        top, width = line + _ROW + 16, max(width, end + _EDGE)
    if any(grid.wide for grid in grids):
        parts.append(_words(_EDGE, top + 4, KEY, _SOFT, 10))
        top += 12
    title = escape(_legal("; ".join(grid.caption for grid in grids)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{top + 8}" viewBox="0 0 {width} {top + 8}" '
        f'role="img" font-family="{_FONT}"><title>{title}</title>'
        f'<rect width="100%" height="100%" fill="#ffffff"/>' + "".join(parts) + "</svg>\n"
    )


def _square(square: Square, x: int, y: int, across: int) -> list[str]:
    ink, ground = _INKS[square.kind]
    if square.share:
        mixed = (round(255 + (strong - 255) * square.share) for strong in _HEAT)
        ground = "#" + "".join(f"{part:02x}" for part in mixed)
    parts = []
    if ground != "none":
        parts.append(f'<rect x="{x + 1}" y="{y + 1}" width="{across - 2}" height="{_ROW - 2}" fill="{ground}"/>')
    if square.says:
        said = MARKS[square.kind] + square.says
        room = across - (48 if square.number else 8)
        bold = square.kind in ("own", "text")
        parts.append(_words(x + 5, y + 14, _short(said, room, 11), ink, 11, bold=bold))
    if square.number:
        parts.append(_words(x + across - 5, y + 14, square.number, _SOFT if square.says else _INK, 10, end=True))
    return parts


def _words(x: int, y: int, words: str, ink: str, size: int, *, bold: bool = False, end: bool = False) -> str:
    how = (' font-weight="bold"' if bold else "") + (' text-anchor="end"' if end else "")
    said = escape(_legal(words))
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{ink}"{how} xml:space="preserve">{said}</text>'


def _short(words: str, room: float, size: int) -> str:
    """Cut to a width; characters are counted as two thirds of their size wide."""
    most = max(2, int(room / (0.62 * size)))
    return words if len(words) <= most else words[: most - 1] + "…"


def _legal(words: str) -> str:
    return _CONTROL.sub("\ufffd", words)
