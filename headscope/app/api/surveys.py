"""The survey that a server shows beside its readings: how each head usually behaves."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from pydantic import TypeAdapter

from headscope.app.api.answers import (
    ChartRecord,
    FigureRecord,
    FiguresRecord,
    SurveyedRecord,
    UsualHeadRecord,
    UsualRecord,
    as_json,
)
from headscope.app.api.asks import FiguresAsk, UsualAsk
from headscope.app.api.models import Models, NotAllowed, check_place
from headscope.errors import HeadscopeError, InputError, needing
from headscope.keep.paths import path_of
from headscope.model.telling import first_line
from headscope.question.choices import resolved
from headscope.show.html import tables

if TYPE_CHECKING:
    from headscope.show.charts.chart import Chart
    from headscope.studies.survey.opened import OpenedSurvey, View

Said: TypeAlias = "dict[tuple[int, int | None], str]"  # of every head, and of every layer (head None)
log = logging.getLogger(__name__)


class Surveys:
    """At most one finished survey of the server's own model, and its figures by layer and head."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._survey: OpenedSurvey | None = None
        self._about: SurveyedRecord | None = None
        self._said: dict[View, Said] = {}
        self._drawn: tuple[OpenedSurvey, View, list[ChartRecord]] | None = None  # charts: the last that were asked for

    def open(self, directory: str | Path) -> None:
        """Show the survey in a directory; InputError where there is none, it is of other weights, or not to be shown.

        The one that is open stays until another is whole.
        """
        with needing("a survey needs", "survey"):
            from headscope.studies.survey.opened import open_survey
        where = path_of(directory, "a survey's directory")
        self._show(where, open_survey, where.resolve().name)

    def open_tested(self) -> bool:
        """Show the answer to the question that every model is asked, where it is there: kept, or sent along."""
        if any(importlib.util.find_spec(name) is None for name in ("pyarrow", "filelock")):
            return False  # who begins a test is told what to install
        from headscope.studies.tested.figures import open_figures
        from headscope.studies.tested.there import there

        place = there(self._models.own)
        if place is not None:
            self._show(place, open_figures, f"of {self._models.name}")
        return place is not None

    def _show(self, directory: str | Path, opened: Callable[[Path], OpenedSurvey], name: str) -> None:
        try:
            survey = opened(Path(directory))
            self._check_stack(survey, str(directory))
            about = _about(survey, name)
            words = _make_all(survey, about)
        except HeadscopeError:
            raise
        except OSError as error:
            raise InputError(f"{str(directory)!r} cannot be read: {error.strerror or error}.") from None
        except Exception as error:  # files that anyone may have written go wrong in many ways
            log.warning("a survey that cannot be shown", exc_info=True)
            raise InputError(
                f"the survey in {str(directory)!r} does not hold what a page shows of it "
                f"({type(error).__name__}: {first_line(error)[:200]}) Make it anew with headscope survey."
            ) from None
        self._survey, self._about, self._said = survey, about, words

    def _check_stack(self, survey: OpenedSurvey, directory: str) -> None:
        card, model = self._models.own.card, survey.model
        if model["weights_sha256"] != card.weights_sha256:
            raise InputError(
                f"the survey in {directory!r} is of other weights ({model['name']}, SHA-256 "
                f"{model['weights_sha256'][:12]}…) than {card.name} ({card.weights_sha256[:12]}…)."
            )
        if (survey.layers, survey.heads) != (card.layers, card.heads):
            raise InputError(f"the survey in {directory!r} is of another stack of {card.name}.")

    def open_for_visitor(self, directory: str) -> None:
        """The same where a request asks for it; NotAllowed where this server opens nothing for visitors."""
        if not self._models.may_open:
            raise NotAllowed(
                "this server opens no directory for a visitor. Whoever runs it can name a survey where it is started."
            )
        check_place(directory, "a survey is a directory")
        self.open(directory)

    @property
    def about(self) -> SurveyedRecord | None:
        """What is open, if anything is."""
        return self._about

    def usual(self, ask: UsualAsk) -> UsualRecord:
        """The figures of every head of a layer; `heads` is None, and `says` why, where the survey has none."""
        survey = self._survey
        if survey is None:
            return {"survey": None, "says": "No survey is open.", "concluded": None, "heads": None}
        if ask.layer >= survey.layers:
            raise InputError(f"layer is {ask.layer}; this model has layers 0 to {survey.layers - 1}.")
        view = _view(ask)
        missing = self._missing(survey, view, ask)
        if missing:
            says = f"The survey has no figures for {missing}."
            return {"survey": self._about, "says": says, "concluded": None, "heads": None}
        from headscope.studies.survey.report import on_page

        words = self._said[view]
        heads, concluded = _heads(survey, view, ask.layer, words), words.get((ask.layer, None))
        told: UsualRecord = {"survey": self._about, "says": None, "concluded": concluded, "heads": heads}
        if ask.html:
            told["html"] = tables([on_page.of_layer(survey, view, ask.layer)])
        return told

    def figures(self, ask: FiguresAsk) -> FiguresRecord:
        """The survey by layer, and every head in one figure; no charts, and `says` why, where it has none."""
        from headscope.studies.survey.report import on_page
        from headscope.studies.survey.report.glossary import GLOSSARY

        usual = self.usual(ask.model_copy(update={"html": False, "layer": 0}))
        named: dict[str, str] = {name: word.title for name, word in GLOSSARY.items()}
        told: FiguresRecord = {"survey": usual["survey"], "says": usual["says"], "charts": [], "figures": named}
        if self._survey is None or usual["heads"] is None:
            return told
        survey, view = self._survey, _view(ask)
        sheets = [part(survey, view, ask.figure) for part in (on_page.grid, on_page.strongest)]
        if self._drawn is None or self._drawn[:2] != (survey, view):
            self._drawn = survey, view, _drawn(on_page.charts(survey, view))
        told["charts"], told["html"] = self._drawn[2], tables(sheets)
        return told

    @property
    def where(self) -> Path | None:
        """The directory of the survey that is open; None: the answer to the question that every model is asked."""
        from headscope.studies.tested.there import there

        survey = self._survey
        return None if survey is None or survey.path == there(self._models.own) else survey.path

    def rows(self, ask: UsualAsk) -> list[dict[str, Any]]:
        """Every head in every figure, with intervals, chance and verdicts; none where the survey has none."""
        survey, view = self._survey, _view(ask)
        if survey is None or self._missing(survey, view, ask):
            return []
        from headscope.studies.survey.report.glossary import GLOSSARY

        found = [
            (layer, head, figure, survey.stat(view, figure, layer, head))
            for layer, head in survey.places
            for figure in GLOSSARY
        ]
        return [
            {"layer": layer, "head": head, "figure": figure, **dataclasses.asdict(stat)}
            for layer, head, figure, stat in found
            if stat is not None
        ]

    def _missing(self, survey: OpenedSurvey, view: View, ask: UsualAsk) -> str | None:
        """What of the question the survey has not measured."""
        options = survey.manifest["options"]
        if ask.vector != "z":
            return f"vectors {ask.vector}: it measures the heads' outputs"
        for name, value in view._asdict().items():
            if value is not None and value not in options[f"{name}s"]:
                return f"the {name} {value}; it has {', '.join(options[f'{name}s'])}"
        if view not in survey.views:
            return f"the space {view.space} with this reference, metric and mask"
        if ask.candidates != options["candidates"]:
            return f"the candidates {ask.candidates}; it has {options['candidates']}"
        if ask.position != options["position"] and self._models.own.moves(ask.space):
            return f"position embeddings {'on' if ask.position else 'off'}"
        return None


def _drawn(charts: Sequence[Chart]) -> list[ChartRecord]:
    from headscope.show.charts.svg import without_styles

    return [
        {"title": one.title, "says": one.caption, "svg": without_styles(one.svg, one.title, one.name)} for one in charts
    ]


def _make_all(survey: OpenedSurvey, about: SurveyedRecord) -> dict[View, Said]:
    """Make all that a page may ask of a survey, as its answers are described; what cannot be raises. Its words."""
    from headscope.studies.survey.said import said

    words = {view: said(survey, view) for view in survey.views}
    TypeAdapter(SurveyedRecord).validate_python(about, strict=True)
    for name in ("spaces", "references", "metrics", "masks"):
        TypeAdapter(list[str]).validate_python(survey.manifest["options"][name], strict=True)
    places = [(view, layer) for view in survey.views for layer in range(survey.layers)]
    heads = [head for view, layer in places for head in _heads(survey, view, layer, words[view])]
    TypeAdapter(list[UsualHeadRecord]).validate_python(heads, strict=True)
    options = survey.manifest["options"]
    as_json({"about": about, "heads": heads, "options": (options["candidates"], options["position"])})
    return words


def _about(survey: OpenedSurvey, name: str) -> SurveyedRecord:
    from headscope.studies.survey.report.three_lines import of_opened

    texts = survey.manifest["texts"]
    return {
        "name": name,
        "texts": texts["texts"],
        "documents": texts["documents"],
        "positions": texts["positions"],
        "views": [
            {"space": view.space, "reference": view.reference, "metric": view.metric, "mask": view.mask}
            for view in survey.views
        ],
        "concluded": list(of_opened(survey)),
        "says": f"survey {name}: {texts['positions']:,} tokens of {texts['texts']:,} texts.",
    }


def _heads(survey: OpenedSurvey, view: View, layer: int, words: Said) -> list[UsualHeadRecord]:
    def figure(statistic: str, head: int) -> FigureRecord | None:
        stat = survey.stat(view, statistic, layer, head)
        # Its fields are those of a record; what a file holds in them was checked when it was opened.
        return None if stat is None else cast("FigureRecord", dataclasses.asdict(stat))

    return [
        {
            "head": head,
            "concluded": words.get((layer, head)),
            "in_text": figure("in_text", head),
            "own": figure("own", head),
            "carry": figure("carry", head),
            "topic": figure("auc_own", head),
            "signal": figure("signal", head),
        }
        for head in range(survey.heads)
    ]


def _view(ask: UsualAsk) -> View:
    from headscope.studies.survey.opened import View

    return View(ask.space, resolved(ask.space, ask.reference), ask.metric, ask.mask)
