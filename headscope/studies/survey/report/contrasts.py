"""Paired contrasts in words: what is subtracted from what; `survey.contrasts` subtracts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from typing import NamedTuple

from headscope.studies.survey import contrasts as subtracted
from headscope.studies.survey.opened import OpenedSurvey, View
from headscope.studies.survey.report.measures import MEASURES, Measure, mask


class Side(NamedTuple):
    """One of two things that are compared: a view of a survey."""

    survey: str
    view: View


@dataclass(frozen=True)
class Pair:
    """Two sides that differ in one thing only: `what` is survey, mask or reference."""

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
        survey, view = self.first
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
    measure: Measure
    layer: int
    head: int | None
    difference: float
    low: float | None
    high: float | None
    p: float | None
    q: float | None


def pairs(surveys: Mapping[str, OpenedSurvey]) -> list[Pair]:
    """All pairs of sides that differ in one thing only: of surveys the first less the second, else the later first."""
    sides = [Side(name, view) for name, survey in surveys.items() for view in survey.views]
    found = []
    for one, other in combinations(sides, 2):
        differ = [name for name, value in _of(one).items() if value != _of(other)[name]]
        if differ == ["survey"]:
            found.append(Pair("survey", one, other))
        elif differ in (["mask"], ["reference"]):
            found.append(Pair(differ[0], other, one))
    order = ("survey", "mask", "reference")
    return sorted(found, key=lambda pair: (order.index(pair.what), pair.first.survey, pair.second.survey))


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
            here = [row for row in rows if row["null"] is None and row["between"] == kind
                    and (kind == "survey" or (row["first"], row["second"]) == (one[kind], other[kind]))
                    and all(row[name] in (value, None) for name, value in same.items())]  # fmt: skip
            for measure in MEASURES:
                for row in here:
                    if row["statistic"] == measure.replicated:
                        numbers = (row[name] for name in ("difference", "low", "high", "p", "q"))
                        yield Contrast(pair, measure, row["layer"], row["head"], *numbers)


def _of(side: Side) -> dict[str, str | None]:
    """Everything in which two sides may differ."""
    return {"survey": side.survey, **side.view._asdict()}


def _named(what: str, side: Side) -> str:
    return {"survey": side.survey, "mask": side.view.mask, "reference": side.view.reference or ""}[what]
