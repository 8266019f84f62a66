"""What a reader takes away of a view: its tables as CSV, its figure as SVG, all in one HTML file, and a program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request

from headscope.app.api.asks import ViewAsk
from headscope.app.api.desk import Desk, near, pattern_of, work_out
from headscope.app.page.script import script
from headscope.errors import InputError
from headscope.question.choices import OPEN_REFERENCES
from headscope.reading.answer import Answer
from headscope.reading.attention import pattern
from headscope.reading.comparison import compared
from headscope.reading.map import Map
from headscope.reading.reading import Reading
from headscope.reading.worked import Worked
from headscope.scope import Scope
from headscope.show import html, layers, maps
from headscope.show import scatter as figure
from headscope.show.one_file import document, pre
from headscope.show.rows import csv_of
from headscope.show.sheet import Sheet
from headscope.show.svg import svg

Rows = list[dict[str, Any]]
TYPES = {"csv": "text/csv", "svg": "image/svg+xml", "html": "text/html", "py": "text/x-python"}


@dataclass
class Taken:
    """A view, answered: tables by name, the sheets of its figure, and its results as notebooks show them."""

    title: str
    tables: dict[str, Rows]
    figures: list[Sheet]
    results: list[Any]
    figure: str = ""  # where it is drawn already


def _heads(desk: Desk, scope: Scope, reading: Reading, ask: ViewAsk) -> Taken:
    found, rows = near(reading, ask), reading.nearest_positions(ask.token, ask.layer, ask.metric)
    own = found.tokens[0]
    taken = Taken(
        f"{own.label} (position {own.position}), layer {ask.layer}",
        {"neighbors": found.rows(), "positions": rows.rows()},
        [*found.sheets()],
        [found, rows],
    )
    comparison = ask.as_compare()
    if comparison is not None:
        _, there, other = desk.other_side(reading, comparison, desk.at_hand)
        both = compared(found, near(there, other))
        taken.tables["other"] = both.other.rows()
        taken.tables["changes"] = both.rows()
        other_side = " ".join(
            f"{name} {value}" for name, value in comparison.other.model_dump(exclude_none=True).items()
        )
        sides = ((both.one, "as chosen"), (both.other, other_side))
        taken.figures = [
            replace(sheet, caption=f"{sheet.caption} · {side}") for answer, side in sides for sheet in answer.sheets()
        ]
        taken.results = [both, rows]
    elif ask.hubs:
        held = reading.background(found)
        taken.tables["hub-aware"] = held.rows()
        taken.results.insert(1, held)
    if ask.teach and ask.vector == "z":
        head, _, id = (ask.why or f"{ask.head or 0}.").partition(".")
        taken.results.append(work_out(reading, found, int(head), int(id) if id else None))
    return taken


def _atlas(desk: Desk, scope: Scope, reading: Reading, ask: ViewAsk) -> Taken:
    references: tuple[Any, ...] = ("isolated",) if ask.reference == "isolated" else ("input", "layer")
    if not OPEN_REFERENCES[ask.space]:
        references = (None,)
    asked = [ask.model_copy(update={"reference": one}).of_all_layers for one in references]
    found = [reading.ask_atlas(one, ask.token) for one in asked]
    rows = [{"reference": one.question.reference} | row for one in found for row in one.rows()]
    own = found[0].token
    title = f"{own.label} (position {own.position}), every layer and head"
    return Taken(title, {"atlas": rows}, [sheet for one in found for sheet in one.sheets()], list(found))


def _attention(desk: Desk, scope: Scope, reading: Reading, ask: ViewAsk) -> Taken:
    found = reading.attention(ask.token, ask.layer, ask.weigh)
    own = found.token
    title = f"Attention of {own.label} (position {own.position}), layer {ask.layer}"
    taken = Taken(title, {"attention": found.rows()}, [*found.sheets()], [found])
    if ask.head is not None and len(reading.tokens) <= desk.limits.pattern:
        queries = pattern_of(reading, ask.layer, ask.weigh, ask.head)
        taken.figures.append(pattern(ask.layer, ask.head, reading.tokens, queries))
        taken.tables["pattern"] = [
            {"query": i, "source": j, ask.weigh: value} for i, row in enumerate(queries) for j, value in enumerate(row)
        ]
    return taken


def _journey(desk: Desk, scope: Scope, reading: Reading, ask: ViewAsk) -> Taken:
    found, mixing = reading.journey(position=ask.position, isolated=ask.isolated), reading.mixing()
    tables = {"journey": layers.journey_rows(found), "mixing": layers.mixing_rows(mixing)}
    return Taken("Through the layers", tables, [], [found, mixing])


def _layers(desk: Desk, scope: Scope, reading: Reading, ask: ViewAsk) -> Taken:
    found, mixing = reading.glance(), reading.mixing()
    tables = {"glance": layers.glance_rows(found), "mixing": layers.mixing_rows(mixing)}
    return Taken("Every head in numbers", tables, [], [found, mixing])


def _map(found: Map) -> Taken:
    head = f"layer {found.question.layer}, head {found.head}"
    tables = {"map": maps.rows(found), "moves": maps.moved_rows(found)}
    drawn = figure.drawn(found, "svg").decode()
    return Taken(f"A map of {head}", tables, [], [found], drawn)


_VIEWS: dict[str, Callable[[Desk, Scope, Reading, ViewAsk], Taken]] = {
    "heads": _heads,
    "atlas": _atlas,
    "attention": _attention,
    "journey": _journey,
    "layers": _layers,
}
_TABLES = {
    "neighbors": "Nearest vocabulary tokens",
    "positions": "Nearest positions",
    "other": "The other side",
    "changes": "What changed",
    "hub-aware": "Raw and hub-aware",
    "atlas": "The atlas",
    "attention": "Attention of the token",
    "pattern": "The whole pattern",
    "journey": "Every token, stage by stage",
    "mixing": "What the layers mix",
    "glance": "Every head in numbers",
    "effects": "Effects of every head, by zeros",
    "map": "Every point of the map",
    "moves": "From each value to its output",
}


def offered(desk: Desk, ask: ViewAsk) -> list[dict[str, str]]:
    """The files that a view can be taken away as, without making them; none where it has none of its own."""
    names = {
        "heads": ["neighbors", "positions"]
        + (["other", "changes"] if ask.as_compare() else ["hub-aware"] if ask.hubs else []),
        "atlas": ["atlas"],
        "attention": ["attention"] + (["pattern"] if ask.head is not None else []),
        "journey": ["journey", "mixing"],
        "layers": ["glance", "mixing", "effects"],
        "map": ["map", "moves"],
    }.get(ask.view)
    if names is None:
        return []
    files = [{"name": f"{name}.csv", "says": f"{_TABLES[name]} (CSV)"} for name in names]
    return [
        *files,
        # A plot is drawn, and saved, by the page.
        *([] if ask.view in ("journey", "layers") else [{"name": "figure.svg", "says": "The figure (SVG)"}]),
        {"name": "view.html", "says": "The view as one file (HTML)"},
        {"name": "reading.py", "says": "The program (Python)"},
    ]


def program(desk: Desk, ask: ViewAsk) -> bytes:
    """The lines of Python that make the view again."""
    return script(desk.models.there(ask.model).card, ask).encode()


async def taken(desk: Desk, name: str, ask: ViewAsk, request: Request | None) -> bytes:
    """The file called `name` of a view; InputError where the view has none such."""
    if name not in [one["name"] for one in offered(desk, ask)]:
        raise InputError(f"the view {ask.view!r} has no file {name!r}.")
    if name == "reading.py":
        return program(desk, ask)
    found = await desk.map_at_hand(ask.as_map()) if ask.view == "map" else None
    return await desk.take(ask, _made(desk, name, ask, found), request)


def _made(desk: Desk, name: str, ask: ViewAsk, found: Map | None) -> Callable[[Scope, Reading], bytes]:
    stem, _, kind = name.rpartition(".")

    def make(scope: Scope, reading: Reading) -> bytes:
        if stem == "effects":  # as many runs as there are heads: only where they are asked for
            return csv_of(layers.effects_rows(desk.effects_of(scope, reading, ask.token))).encode()
        taken = _VIEWS[ask.view](desk, scope, reading, ask) if found is None else _map(found)
        if kind == "csv":
            if stem not in taken.tables:
                raise InputError(f"there is no table {stem!r} of this view: its text is too long.")
            return csv_of(taken.tables[stem]).encode()
        drawn = svg(taken.figures) if taken.figures else taken.figure
        if kind == "svg":
            return drawn.encode()
        card = scope.card
        facts = [
            f"{card.name}" + (f", revision {card.revision}" if card.revision else "") + f"; weights SHA-256 "
            f"{card.weights_sha256}; capture error {card.capture_error:.1e}; mask {ask.mask}."
        ]
        tables = [_shown(answer) for answer in taken.results]
        inline = drawn[max(0, drawn.find("<svg")) :]  # a file of its own begins with a declaration
        return document(taken.title, ask.text, facts, reading.notes, inline, tables, script(card, ask)).encode()

    return make


def _shown(answer: Any) -> str:
    """An answer as HTML in the style of the file."""
    if isinstance(answer, Worked):
        return answer._repr_html_()
    return html.tables(answer.sheets()) if isinstance(answer, Answer) else pre(repr(answer))
