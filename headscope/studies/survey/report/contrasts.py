"""Paired contrasts in words: what is subtracted from what; `survey.contrasts` subtracts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from typing import Any, NamedTuple

from headscope.studies.survey import contrasts as subtracted
from headscope.studies.survey.opened import OpenedSurvey, View
from headscope.studies.survey.report.measures import EVEN_BY_CHANCE, MEASURES, TOPIC_MATCHED, Measure, mask


class Side(NamedTuple):
    """One of two things that are compared: a view of a survey, of the model or of what it is held against."""

    survey: str
    view: View
    network: str = "the model"


@dataclass(frozen=True)
class Pair:
    """Two sides that differ in one thing only: `what` is even or random (the network), reference, mask or survey."""

    what: str
    first: Side
    second: Side

    @property
    def label(self) -> str:
        """What is subtracted from what."""
        return f"{_named(self.what, self.first)} − {_named(self.what, self.second)}"

    @property
    def same(self) -> str:
        """What both sides have in common, in words."""
        survey, view, _ = self.first
        parts = {
            "survey": survey,
            "space": f"space {view.space}",
            "reference": f"reference {view.reference}" if view.reference else "",
            "metric": str(view.metric),
            "mask": mask(view.mask),
        }
        return ", ".join(part for name, part in parts.items() if part and name != self.what)


@dataclass(frozen=True)
class Contrast:
    """The first side minus the second, with its 95 % interval; `head` None: of the mean over the layer's heads."""

    pair: Pair
    statistic: str
    title: str
    layer: int
    head: int | None
    difference: float
    low: float | None
    high: float | None
    p: float | None
    q: float | None
    p_above: float | None
    q_above: float | None
    smallest: float | None


_NUMBERS = ("difference", "low", "high", "p", "q", "p_above", "q_above", "smallest")
_HELD_AGAINST = {
    subtracted.EVEN: "even attention",
    subtracted.TWINS: "untrained twins",
    subtracted.VALUES: "untrained twins that attend as it does",
}
_WITHIN = ("reference", "mask")  # what one survey may have several of
_ORDER = (*_HELD_AGAINST, *_WITHIN, "survey")


def pairs(surveys: Mapping[str, OpenedSurvey]) -> list[Pair]:
    """All pairs of sides that differ in one thing only: of surveys the first less the second, else the later first."""
    sides = [Side(name, view) for name, survey in surveys.items() for view in survey.views]
    held = {(name, row["between"], *_view(row)) for name, survey in surveys.items() for row in survey.contrasts}
    found = [
        Pair(what, side, side._replace(network=network))
        for what, network in _HELD_AGAINST.items()
        for side in sides
        if (side.survey, what, *side.view) in held
    ]
    for one, other in combinations(sides, 2):
        differ = [name for name, value in _of(one).items() if value != _of(other)[name]]
        if differ == ["survey"]:
            found.append(Pair("survey", one, other))
        elif len(differ) == 1 and differ[0] in _WITHIN:
            found.append(Pair(differ[0], other, one))
    return sorted(found, key=lambda pair: (_ORDER.index(pair.what), pair.first.survey, pair.second.survey))


def unpaired(surveys: Mapping[str, OpenedSurvey], pair: Pair) -> str | None:
    """Why two sides cannot be subtracted; None where they can."""
    first, second = surveys[pair.first.survey], surveys[pair.second.survey]
    reason = subtracted.unpaired(first.manifest, second.manifest)
    return None if reason is None else f"{pair.label}: not subtracted, {reason}."


def contrasts(surveys: Mapping[str, OpenedSurvey], found: Sequence[Pair]) -> Iterator[Contrast]:
    """The contrasts of some pairs: every layer's, and every head's where both models have the same number of heads."""
    for what, of_both in groupby(found, lambda pair: (pair.what, pair.first.survey, pair.second.survey)):
        kind, first, second = what
        if kind == "survey":
            rows = subtracted.between(surveys[first].path, surveys[second].path).to_pylist()
        else:
            rows = surveys[first].contrasts
        for pair in of_both:
            one, other = _of(pair.first), _of(pair.second)
            same = {name: value for name, value in one.items() if name not in (kind, "survey") and value == other[name]}
            # Where each survey has one mask, it is no key.
            here = [row for row in rows if row["null"] is None and row["difference"] is not None
                    and row["between"] == kind
                    and (kind not in _WITHIN or (row["first"], row["second"]) == (one[kind], other[kind]))
                    and all(row[name] in (value, None) for name, value in same.items())]  # fmt: skip
            for measure in (*MEASURES, *TOPIC_MATCHED):
                statistic, title = _named_in(measure, kind)
                for row in here:
                    if row["statistic"] == statistic:
                        yield Contrast(pair, statistic, title, row["layer"], row["head"], *(row[n] for n in _NUMBERS))


def _named_in(measure: Measure, what: str) -> tuple[str, str]:
    """What a contrast of a measure is called, in contrasts.parquet and in words."""
    if what in _HELD_AGAINST and measure in EVEN_BY_CHANCE:
        return measure.statistic, measure.title
    return measure.kept, measure.contrasted


def _view(row: Mapping[str, Any]) -> View:
    return View(*(row[name] for name in View._fields))


def _of(side: Side) -> dict[str, str | None]:
    """Everything in which two views may differ."""
    return {"survey": side.survey, **side.view._asdict()}


def _named(what: str, side: Side) -> str:
    names = {"survey": side.survey, "mask": side.view.mask, "reference": side.view.reference or ""}
    return names.get(what, side.network)
