"""A living HTML file: answers laid out at every token, layer and head that fits, drawn by the page's own modules.

Without a script its tables stand as they are where the file begins. Everything in it is data: nothing is fetched, and
its policy lets nothing but its own script run.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from html import escape
from typing import Any, Literal, NamedTuple

from headscope.errors import InputError
from headscope.show import html
from headscope.show.modules import joined, plotly, style
from headscope.show.sheet import Cell, Sheet
from headscope.show.style import SHEETS

MOST = 5_000_000  # bytes of answers in a file
Axis = Literal["token", "layer", "head"]


class SheetPlace(NamedTuple):
    """Where an answer is laid out; `head` None: no head is chosen."""

    token: int
    layer: int
    head: int | None = None


START = SheetPlace(0, 0)


@dataclass(frozen=True)
class LivingPart:
    """Sheets that follow some of token, layer and head; `at` lays them out there.

    `drawing`: SVG that stands above. `plot`: what living.js draws above them, by its `kind`, in the drawing's place.
    """

    at: Callable[[SheetPlace], Sequence[Sheet]]
    follows: tuple[Axis, ...] = ()
    drawing: str = ""
    plot: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Room:
    """Where the parts can be laid out: at `tokens` (cells with position and id), in layers and heads; from `start` on.

    `most`: at how many pairs of token and layer they may be worked out.
    """

    tokens: tuple[Cell, ...] = ()
    layers: int = 1
    heads: int = 0
    start: SheetPlace = START
    most: int = 1


@dataclass(frozen=True)
class Told:
    """What a file says beside its answers; what is empty is left out."""

    title: str
    text: str = ""
    facts: tuple[str, ...] = ()
    script: str = ""


@dataclass(frozen=True)
class _Held:
    """What fits: packed answers by token ("" : those that follow none), and which tokens and layers they are at."""

    packed: Mapping[str, str]
    tokens: tuple[int, ...]
    layers: tuple[int, ...]


def document(told: Told, parts: Sequence[LivingPart], room: Room) -> str:
    """The file."""
    held = _fitting(parts, room)
    start = _Laid.of([sheet for part in parts for sheet in part.at(room.start)])
    above = "".join(
        f'<div class="wide" tabindex="0" role="region" aria-label="Figure">{part.drawing}</div>'
        for part in parts
        if part.drawing
    )
    lines = [f"<p>{escape(line)}</p>" for line in (*told.facts, _says(parts, room, held))]
    body = [
        f'<h1 id="title">{escape(told.title)}</h1>',
        f'<blockquote dir="auto">{escape(told.text)}</blockquote>' if told.text else "",
        f'<div class="says facts">{"".join(lines)}</div>',
        f'<div id="moves"></div><div id="view" class="view"><div id="drawn">{above}</div>'
        f'<div id="parts">{start.html}{start.noted}</div></div>',
        f'<h2>In Python</h2><pre tabindex="0"><code>{escape(told.script)}</code></pre>' if told.script else "",
        '<p id="readout" class="readout" aria-hidden="true"></p>',
    ]
    data = _data(parts, room, held, 'data-head="' in start.html)
    scripts = [("", _plotly()), (' type="module"', joined("living"))]
    scripts = scripts[0 if any(part.plot for part in parts) and _plotly() else 1 :]
    allowed = " ".join(f"'sha256-{_digest(script)}'" for _, script in scripts)
    policy = f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {allowed}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{escape(told.title)} · headscope</title>"
        f"<style>{style('style')}{style('plot')}{style('living')}</style>"
        f'<style id="plain">{SHEETS}</style></head><body class="living"><main>{"".join(body)}</main>'
        f'<script type="application/json" id="held">{data}</script>'
        f"{''.join(f'<script{kind}>{script}</script>' for kind, script in scripts)}</body></html>\n"
    )


@cache
def _plotly() -> str:
    """The library that plots, where it is installed."""
    folder = plotly()
    return "" if folder is None else (folder / "plotly.min.js").read_text("utf-8").replace("</", "<\\/")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


class _Laid(NamedTuple):
    """Sheets as HTML, and their notes, which stand once."""

    html: str
    notes: tuple[str, ...]

    @classmethod
    def of(cls, sheets: Sequence[Sheet]) -> _Laid:
        notes = tuple(dict.fromkeys(note for sheet in sheets for note in sheet.notes))
        return cls(_clean(html.tables([replace(sheet, notes=()) for sheet in sheets])), tuple(map(_clean, notes)))

    @property
    def noted(self) -> str:
        return f'<div class="notes">{"".join(f"<p>{escape(note)}</p>" for note in self.notes)}</div>'


def _clean(text: str) -> str:
    """The text as UTF-8 holds it: half of a surrogate pair as its escape, as in every file."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _fitting(parts: Sequence[LivingPart], room: Room) -> _Held:
    """Every token in every layer, else the nearest of each to where the file begins."""
    layers = _nearest(room.layers, room.start.layer) if _any(parts, "layer") else [room.start.layer]
    tokens = _nearest(len(room.tokens), room.start.token) if _any(parts, "token") else [room.start.token]
    layers = layers[: max(1, room.most)]
    tokens = tokens[: max(1, room.most // room.layers)]
    packed: dict[str, str] = {}
    for token in [None, *(tokens if _any(parts, "token") else [])]:
        try:
            chunk = _packed(parts, room, token, layers)
        except InputError:  # the model is no longer what it was when it read the text
            if token in (None, room.start.token):
                raise
            break
        while token in (None, room.start.token) and len(chunk) > MOST and len(layers) > 1:
            layers = layers[: len(layers) // 2]
            chunk = _packed(parts, room, token, layers)
        if len(packed) > 1 and sum(map(len, packed.values())) + len(chunk) > MOST:
            break
        packed["" if token is None else str(token)] = chunk
    there = [int(token) for token in packed if token] or [room.start.token]
    return _Held(packed, tuple(sorted(there)), tuple(sorted(layers)))


def _nearest(number: int, to: int) -> list[int]:
    """Numbers from 0, the nearest first.

    >>> _nearest(5, 1)
    [1, 0, 2, 3, 4]
    """
    return sorted(range(number), key=lambda one: abs(one - to))


def _any(parts: Sequence[LivingPart], axis: Axis) -> bool:
    return any(axis in part.follows for part in parts)


def _packed(parts: Sequence[LivingPart], room: Room, token: int | None, layers: Sequence[int]) -> str:
    """Sheets at a token in all of `layers`, or those of the parts that follow no token: JSON, gzip, base64."""
    laid: dict[str, _Laid] = {}
    for n, part in enumerate(parts):
        if ("token" in part.follows) != (token is not None):
            continue
        for layer in layers if "layer" in part.follows else [room.start.layer]:
            for head in range(room.heads) if "head" in part.follows else [room.start.head]:
                place = SheetPlace(room.start.token if token is None else token, layer, head)
                laid[_key(n, part, place)] = _Laid.of(part.at(place))
    told: dict[str, Any] = {key: {"html": one.html, "notes": one.notes} for key, one in laid.items()}
    if token is None:
        told |= {f"plot.{n}": part.plot for n, part in enumerate(parts) if part.plot is not None}
    return base64.b64encode(gzip.compress(json.dumps(told).encode(), mtime=0)).decode()


def _key(n: int, part: LivingPart, place: SheetPlace) -> str:
    """As living.js names it."""
    return ".".join(map(str, (n, *(getattr(place, axis) for axis in part.follows))))


def _data(parts: Sequence[LivingPart], room: Room, held: _Held, heads: bool) -> str:
    """What the script reads; "<" as an escape, so that it ends no element. `heads`: whether any is shown."""
    place, tokens = room.start, [room.tokens[position] for position in held.tokens if room.tokens]
    told = {
        "start": {"token": place.token, "layer": place.layer, "head": place.head},
        "tokens": [
            {"position": one.position, "id": one.id, "label": _clean(one.label), "special": one.kind == "special"}
            for one in tokens
        ]
        if _any(parts, "token")
        else [],
        "layers": held.layers if _any(parts, "layer") else [],
        "heads": room.heads if heads or _any(parts, "head") else 0,
        "whole": not _any(parts, "head"),
        "parts": [part.follows for part in parts],
        "packed": held.packed,
    }
    return json.dumps(told).replace("<", "\\u003c")


def _says(parts: Sequence[LivingPart], room: Room, held: _Held) -> str:
    """What the file holds and what it does not, in a sentence or two."""
    axes: list[tuple[str, Sequence[int], int, str]] = []
    if _any(parts, "token"):
        axes.append(("token", held.tokens, len(room.tokens), "positions"))
    if _any(parts, "layer"):
        axes.append(("layer", held.layers, room.layers, "layers"))
    if not axes:
        return "This file holds these tables; other tokens and layers are not in it."
    size = max(0.1, sum(map(len, held.packed.values())) / 1e6)
    there = " in ".join(_counted(*axis) for axis in axes)
    left = [f"{name}s" for name, within, of, _ in axes if len(within) < of]
    missing = f" The other {' and '.join(left)} are not in it." if left else ""
    return f"This file holds {there} ({size:.1f} MB of answers).{missing}"


def _counted(name: str, there: Sequence[int], of: int, called: str) -> str:
    if len(there) == of:
        return f"the only {name}" if of == 1 else f"all {of} {name}s"
    return f"{len(there)} of {of} {name}s ({called} {there[0]} to {there[-1]})"
