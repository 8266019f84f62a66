"""What a reader takes away of a view: its tables as CSV, its figure as SVG, all in one HTML file, and a program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from starlette.requests import Request

from headscope.app.api import maps as asked_maps
from headscope.app.api import questions
from headscope.app.api.addressed import ViewAsk
from headscope.app.api.answers import FileRecord
from headscope.app.api.asks import JourneyAsk
from headscope.app.api.desk import Desk
from headscope.app.api.questions import Turn
from headscope.app.api.surveys import Surveys
from headscope.app.page.script import of_survey, script
from headscope.errors import InputError
from headscope.model.tokens import Token
from headscope.question.choices import bases
from headscope.reading import alive
from headscope.reading.answer import Answer
from headscope.reading.atlas import Atlas
from headscope.reading.attention import Attention, pattern
from headscope.reading.comparison import Comparison, compared
from headscope.reading.glance import Glance
from headscope.reading.journey import Journey
from headscope.reading.map import Map
from headscope.reading.mixing import Mixing
from headscope.reading.nearest import Neighbors
from headscope.reading.offers import offers
from headscope.reading.positions import PositionNeighbors
from headscope.reading.written import Written
from headscope.show.rows import csv_of
from headscope.show.sheet import beside
from headscope.show.svg import svg

Rows = Sequence[Mapping[str, Any]]
TYPES = {"csv": "text/csv", "svg": "image/svg+xml", "html": "text/html", "py": "text/x-python"}


class ShownView:
    """A view's answers, each worked out when a file needs it; `maps`: the map that is shown, if one is."""

    def __init__(self, turn: Turn, ask: ViewAsk, maps: list[Map], surveys: Surveys) -> None:
        self.turn, self.reading, self.ask, self.maps, self.surveys = turn, turn.reading, ask, maps, surveys

    @cached_property
    def near(self) -> Neighbors:
        return questions.near(self.reading, self.ask)

    @cached_property
    def positions(self) -> PositionNeighbors:
        return self.reading.nearest_positions(self.ask.token, self.ask.layer, self.ask.metric)

    @cached_property
    def both(self) -> Comparison:
        """The two sides that are compared."""
        comparison = self.ask.as_compare()
        assert comparison is not None, "nothing is compared"
        other = self.turn.other(comparison)
        return compared(self.near, questions.near(other.turn.reading, other.ask))

    @cached_property
    def atlases(self) -> list[Atlas]:
        """The one that the page shows, then those that its switch has."""
        ask = self.ask
        shown = bases(ask.space, ask.reference)
        of = [ask.model_copy(update={"reference": reference}).of_all_layers for reference in shown]
        return [self.reading.ask_atlas(one, ask.token) for one in of]

    @property
    def journey(self) -> Journey:
        ask = self.ask
        return self.turn.once(self.reading.journey, JourneyAsk().k, ask.position, ask.isolated)

    @property
    def mixing(self) -> Mixing:
        return self.turn.once(self.reading.mixing)

    @property
    def glance(self) -> Glance:
        return self.turn.once(self.reading.glance)

    @cached_property
    def attention(self) -> Attention:
        return self.reading.attention(self.ask.token, self.ask.layer, self.ask.weigh)

    @cached_property
    def written(self) -> Written:
        return questions.written_of(self.turn, self.ask)

    @cached_property
    def pattern(self) -> list[list[float]] | None:
        """The chosen head's; None where none is chosen, or the text is too long."""
        ask = self.ask
        if ask.head is None or len(self.reading.tokens) > self.turn.limits.pattern:
            return None
        return questions.pattern_of(self.reading, ask.layer, ask.weigh, ask.head)


@dataclass(frozen=True)
class TableFile:
    """A table of a view as a file: what it says, its rows, and for which questions it is there."""

    name: str
    says: str
    rows: Callable[[ShownView], Rows]
    offered: Callable[[ViewAsk], bool] = lambda ask: True


@dataclass(frozen=True)
class TakenView:
    """What is taken away of a view: its title, its tables, its results as notebooks show them, and its figure."""

    title: Callable[[ShownView], str]
    tables: tuple[TableFile, ...]
    results: Callable[[ShownView], Sequence[Answer]] | None  # None: it has no answers of a reading
    figure: Callable[[ShownView], str] | None = None  # None: a plot, which is drawn, and saved, by the page


def _heads_results(shown: ShownView) -> list[Answer]:
    ask = shown.ask
    answers: list[Answer] = [shown.near, shown.positions]
    if ask.as_compare() is not None:
        answers = [shown.both, shown.positions]
    elif ask.hubs:
        answers.insert(1, shown.reading.background(shown.near))
    if ask.teach and ask.vector == "z":
        head, _, id = (ask.why or f"{ask.head or 0}.").partition(".")
        answers.append(questions.work_out(shown.reading, shown.near, int(head), int(id) if id else None))
    return answers


def _heads_figure(shown: ShownView) -> str:
    return svg((shown.near if shown.ask.as_compare() is None else shown.both).sheets())


def _attention_figure(shown: ShownView) -> str:
    sheets, ask = [*shown.attention.sheets()], shown.ask
    if shown.pattern is not None and ask.head is not None:
        own, tokens = shown.attention.token.position, shown.reading.tokens
        sees = shown.reading.attended(ask.layer).visible.tolist()
        sheets.append(pattern(ask.layer, ask.head, tokens, shown.pattern, sees, ask.weigh, own))
    return svg(sheets)


def _layers_figure(shown: ShownView) -> str:
    """The table that the view shows before effects are asked for: there the vocabulary is as it is by default."""
    asked = shown.ask.model_copy(update={"reference": None}).of_all_layers
    position = shown.reading.position_of(shown.ask.token)
    near = shown.turn.once(shown.reading.ask_atlas, asked, shown.ask.token)
    return svg([beside([*shown.glance.sheets(), shown.mixing.by_head(position), near.by_head()])])


def _pattern_rows(shown: ShownView) -> Rows:
    if shown.pattern is None:
        raise InputError("there is no table 'pattern' of this view: its text is too long.")
    return [
        {"query": query, "source": source, shown.ask.weigh: share}
        for query, shares in enumerate(shown.pattern)
        for source, share in enumerate(shares)
    ]


def _atlas_rows(shown: ShownView) -> Rows:
    return [{"reference": atlas.question.reference, **row} for atlas in shown.atlases for row in atlas.rows()]


def _effects_rows(shown: ShownView) -> Rows:
    """As many runs as there are heads: only where they are asked for."""
    return questions.effects_of(shown.turn, shown.ask.token).rows()


def _is_compared(ask: ViewAsk) -> bool:
    return ask.as_compare() is not None


_MIXING = TableFile("mixing", "What the layers mix", lambda shown: shown.mixing.rows())
VIEWS: dict[str, TakenView] = {
    "heads": TakenView(
        lambda shown: f"{_named(shown.near.tokens[0])}, layer {shown.ask.layer}",
        (
            TableFile("neighbors", "Nearest vocabulary tokens", lambda shown: shown.near.rows()),
            TableFile("positions", "Nearest positions", lambda shown: shown.positions.rows()),
            TableFile("other", "The other side", lambda shown: shown.both.other.rows(), _is_compared),
            TableFile("changes", "What changed", lambda shown: shown.both.rows(), _is_compared),
            TableFile(
                "hub-aware",
                "Raw and hub-aware",
                lambda shown: shown.reading.background(shown.near).rows(),
                lambda ask: ask.hubs and not _is_compared(ask),
            ),
        ),
        _heads_results,
        _heads_figure,
    ),
    "atlas": TakenView(
        lambda shown: f"{_named(shown.atlases[0].token)}, every layer and head",
        (TableFile("atlas", "The atlas", _atlas_rows),),
        lambda shown: shown.atlases,
        lambda shown: svg([sheet for atlas in shown.atlases for sheet in atlas.sheets()]),
    ),
    "attention": TakenView(
        lambda shown: f"Attention of {_named(shown.attention.token)}, layer {shown.ask.layer}",
        (
            TableFile("attention", "Attention of the token", lambda shown: shown.attention.rows()),
            TableFile("pattern", "The whole pattern", _pattern_rows, lambda ask: ask.head is not None),
        ),
        lambda shown: [shown.attention],
        _attention_figure,
    ),
    "written": TakenView(
        lambda shown: shown.written.title,
        (TableFile("written", "What is written where, and attended", lambda shown: shown.written.rows()),),
        lambda shown: [shown.written],
        lambda shown: shown.written.figures()[".svg"]().decode(),
    ),
    "journey": TakenView(
        lambda _: "Through the layers",
        (TableFile("journey", "Every token, stage by stage", lambda shown: shown.journey.rows()), _MIXING),
        lambda shown: [shown.journey, shown.mixing],
        lambda shown: svg([*shown.journey.sheets(), *shown.mixing.sheets()]),
    ),
    "layers": TakenView(
        lambda _: "Every head in numbers",
        (
            TableFile("glance", "Every head in numbers", lambda shown: shown.glance.rows()),
            _MIXING,
            TableFile("effects", "Effects of every head, by zeros", _effects_rows),
        ),
        lambda shown: [shown.glance, shown.mixing],
        _layers_figure,
    ),
    "map": TakenView(
        lambda shown: f"A map of layer {shown.maps[0].question.layer}, head {shown.maps[0].head}",
        (
            TableFile("map", "Every point of the map", lambda shown: shown.maps[0].rows()),
            TableFile("moves", "From each value to its output", lambda shown: shown.maps[0].moves()),
        ),
        lambda shown: shown.maps,
        lambda shown: shown.maps[0].figures()[".svg"]().decode(),
    ),
    "survey": TakenView(
        lambda _: "How heads usually behave",
        (TableFile("survey", "Every head in every figure", lambda shown: shown.surveys.rows(shown.ask.as_usual())),),
        None,
    ),
}


def view_of(desk: Desk, request: Request) -> ViewAsk:
    """The view of an address, which opens no model: the server's own answers for one that is not open."""
    ask = ViewAsk.of_address(dict(request.query_params))
    closed = {
        name: None
        for name in ("model", "other_model")
        if getattr(ask, name) is not None and desk.models.known(getattr(ask, name)) is None
    }
    found = ask.model_copy(update=closed)
    own = "causal" if desk.models.there(found.model).card.causal else "full"
    same = found.compare == (own if found.mask == "model" else found.mask)  # one mask on both sides
    return found.model_copy(update={"compare": "none"}) if same else found


def view_named(name: str) -> TakenView | None:
    """A view of the page's own, or that of an answer which a reading gives by name; None: it has no files."""
    offer = offers().get(name)
    if name in VIEWS or offer is None:
        return VIEWS.get(name)

    def answer(shown: ShownView) -> Answer:
        return offer.asked(shown.reading, shown.ask.chosen)

    table = TableFile(name, offer.says.rstrip("."), lambda shown: answer(shown).rows())
    return TakenView(lambda shown: answer(shown).title, (table,), lambda shown: [answer(shown)])


def offered(desk: Desk, ask: ViewAsk) -> list[FileRecord]:
    """The files that a view can be taken away as, without making them; none where it has none of its own."""
    view = view_named(ask.view)
    if view is None or (ask.view == "survey" and not _is_surveyed(desk, ask)):
        return []
    files: list[FileRecord] = [
        {"name": f"{table.name}.csv", "says": f"{table.says} (CSV)"} for table in view.tables if table.offered(ask)
    ]
    if view.figure is not None:
        files.append({"name": "figure.svg", "says": "The figure (SVG)"})
    if view.results is not None:
        files.append({"name": "view.html", "says": "The view as one file (HTML)"})
    return [*files, {"name": "reading.py", "says": "The program (Python)"}]


def _is_surveyed(desk: Desk, ask: ViewAsk) -> bool:
    """Whether the survey that is open, of the server's own model, has what the view asks."""
    return ask.model is None and bool(desk.surveys.rows(ask.as_usual()))


def program(desk: Desk, ask: ViewAsk) -> bytes:
    """The lines of Python that make the view again."""
    card = desk.models.there(ask.model).card
    if ask.view != "survey":
        return script(card, ask).encode()
    if not _is_surveyed(desk, ask):
        return b"# No survey of what is chosen is open here: headscope survey makes one.\n"
    return of_survey(card, ask, desk.surveys.where).encode()


async def prepare(desk: Desk, ask: ViewAsk, request: Request) -> None:
    """Read what a view's files are made of, and begin what they have to wait for."""
    desk.check(ask)
    comparison = ask.as_compare() if ask.view == "heads" else None

    def read() -> None:
        turn = desk.turn(ask)
        if comparison is not None:
            turn.other(comparison)

    if ask.view == "map":
        await asked_maps.mapped(desk, ask.as_map(), request)
    await desk.in_turn(ask, read, request)


async def taken(desk: Desk, name: str, ask: ViewAsk, request: Request) -> bytes:
    """The file called `name` of a view; InputError where the view has none such."""
    if name not in [file["name"] for file in offered(desk, ask)]:
        raise InputError(f"the view {ask.view!r} has no file {name!r}.")
    if name == "reading.py":
        return program(desk, ask)
    plans = [await asked_maps.at_hand(desk, ask.as_map())] if ask.view == "map" else []
    return await desk.from_hand(
        ask, lambda turn: _made(name, ShownView(turn, ask, plans, desk.surveys)).encode(), request
    )


def _made(name: str, shown: ShownView) -> str:
    view, (stem, _, kind) = view_named(shown.ask.view), name.rpartition(".")
    assert view is not None, "a view without files has none to be made"
    if kind == "csv":
        return csv_of(next(table.rows(shown) for table in view.tables if table.name == stem))
    if kind == "svg":
        return "" if view.figure is None else view.figure(shown)
    assert view.results is not None, "offered only where there are answers"
    lines = script(shown.turn.card, shown.ask)
    return alive.document(view.results(shown), view.title(shown), lines, shown.reading)


def _named(token: Token) -> str:
    return f"{token.label} (position {token.position})"
