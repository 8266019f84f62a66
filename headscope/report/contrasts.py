"""Paired contrasts: two figures of the same texts, subtracted replicate by replicate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from headscope.report.measures import MEASURES, Measure, mask
from headscope.report.opened import Survey, View
from headscope.survey.bootstrap import Array, interval, p_value
from headscope.survey.verdicts import corrected

RATE = 0.05  # of false discoveries among the heads of a contrast


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


def pairs(surveys: Mapping[str, Survey]) -> list[Pair]:
    """All pairs of sides that differ in one thing only."""
    sides = [Side(name, view) for name, survey in surveys.items() for view in survey.views]
    found = []
    for first, second in combinations(sides, 2):
        one, other = (
            {"survey": side.survey, "space": side.view.space, "reference": side.view.reference}
            | {"metric": side.view.metric, "mask": side.view.mask}
            for side in (first, second)
        )
        differ = [name for name in one if one[name] != other[name]]
        if differ in (["survey"], ["mask"], ["reference"]):
            found.append(Pair(differ[0], first, second))
    order = ("survey", "mask", "reference")
    return sorted(found, key=lambda pair: order.index(pair.what))


def unpaired(surveys: Mapping[str, Survey], pair: Pair) -> str | None:
    """Why two sides cannot be subtracted; None where they can."""
    first, second = surveys[pair.first.survey], surveys[pair.second.survey]
    for what, one, other in (
        ("the texts", first.texts_sha256, second.texts_sha256),
        ("the number of documents", first.manifest["texts"]["groups"], second.manifest["texts"]["groups"]),
        ("the seed", first.manifest["options"]["seed"], second.manifest["options"]["seed"]),
        ("the number of layers", first.layers, second.layers),
    ):
        if one != other:
            return f"{pair.label}: not subtracted, {what} differ{'' if what == 'the texts' else 's'} ({one}, {other})."
    return None


def contrasts(surveys: Mapping[str, Survey], pair: Pair) -> Iterator[Contrast]:
    """Every layer's contrast, and every head's where both models have the same number of heads.

    q is corrected over the layers of a measure, and over its heads (Benjamini–Hochberg).
    """
    first, second = surveys[pair.first.survey], surveys[pair.second.survey]
    layers = [(layer, None) for layer in range(first.layers)]
    heads = [(layer, head) for layer in range(first.layers) for head in range(first.heads)]
    for measure in MEASURES:
        for places in (layers, heads if first.heads == second.heads else []):
            yield from _family(first, second, pair, measure, places)


def _family(
    first: Survey, second: Survey, pair: Pair, measure: Measure, places: list[tuple[int, None]] | list[tuple[int, int]]
) -> list[Contrast]:
    known, differences, replicates = [], [], []
    for layer, head in places:
        ends = [
            (
                _estimate(survey, side.view, measure, layer, head),
                survey.replicates(side.view, measure.replicated, layer, head),
            )
            for survey, side in ((first, pair.first), (second, pair.second))
        ]
        (one, draws), (other, other_draws) = ends
        if one is None or other is None or draws is None or other_draws is None:
            continue
        known.append((layer, head))
        differences.append(one - other)
        replicates.append(draws.astype(np.float64) - other_draws)
    if not known:
        return []
    drawn: Array = np.stack(replicates)
    low, high = interval(drawn)
    p = p_value(drawn)
    if first.manifest["texts"]["groups"] < 2:  # the spread of one document tells nothing
        low, high, p = (np.full(len(known), np.nan) for _ in range(3))
    columns = zip(known, differences, low, high, p, corrected(p), strict=True)
    return [
        Contrast(pair, measure, layer, head, difference, _known(below), _known(above), _known(chance), _known(rate))
        for (layer, head), difference, below, above, chance, rate in columns
    ]


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _estimate(survey: Survey, view: View, measure: Measure, layer: int, head: int | None) -> float | None:
    """What the replicates are of."""
    if measure.replicated == "own":
        stat = survey.stat(view, measure.statistic, layer, head)
        return stat.difference if stat else None
    stat = survey.stat(view, measure.replicated, layer, head)
    return stat.value if stat else None


def _named(what: str, side: Side) -> str:
    return {"survey": side.survey, "mask": side.view.mask, "reference": side.view.reference or ""}[what]
