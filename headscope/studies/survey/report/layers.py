"""A survey's charts across layers: its measures by reference, null, class of token, survey and contrast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headscope.show.charts.chart import Chart
from headscope.show.charts.lines import Panel, Point, Series, chart
from headscope.studies.survey.opened import ALL, OpenedSurvey, Stat, Tokens, View
from headscope.studies.survey.report.contrasts import Contrast
from headscope.studies.survey.report.measures import (
    BY,
    MEASURES,
    SIGNAL,
    SIGNAL_OF_SETS,
    group,
    reference,
    tokens_name,
    view_name,
)


def references(name: str, survey: OpenedSurvey, views: Sequence[View]) -> Chart:
    """The measures by layer, mean over heads, one line a reference, each with its chance."""
    panels = []
    for measure in MEASURES:
        stats = [(reference(view), _by_layer(survey, view, measure.statistic)) for view in views]
        zero = measure in (SIGNAL, SIGNAL_OF_SETS)
        series = [
            Series(label, [Point(layer, s.value, s.low, s.high, None if zero else s.chance) for layer, s in found])
            for label, found in stats
        ]
        panels.append(Panel(measure.title, series, zero))
    return chart(
        name,
        f"By layer: {group(views[0])}",
        "Means over the layer's heads with 95 % intervals; dotted in the same colour: chance, for Own within the text "
        "and Carry what even attention would give, for the others outputs of other documents at about the same "
        "positions.",
        panels,
        survey.layers,
    )


def nulls(name: str, survey: OpenedSurvey, view: View) -> Chart:
    """The model beside every null that was measured, over chance."""
    lines = {label: (survey, null) for label, null in [("model", None), *((null, null) for null in survey.nulls)]}
    return _side_by_side(name, f"Against the nulls: {view_name(view)}", lines, view)


def classes(name: str, survey: OpenedSurvey, view: View) -> Chart:
    """The measures over chance, by class of token."""
    panels = []
    for by, title in BY.items():
        kinds = [tokens for tokens in survey.tokens if tokens.by == by]
        for measure in MEASURES:
            series = [_over_chance(tokens_name(t), survey, view, measure.statistic, tokens=t) for t in kinds]
            panels.append(Panel(f"{title}: {measure.over_chance}", [s for s in series if s.points], zero=True))
    return chart(
        name,
        f"By class of token: {view_name(view)}",
        "Differences from chance, means over the layer's heads with 95 % intervals. Frequency is counted in the "
        "surveyed texts.",
        panels,
        survey.layers,
    )


def surveys(name: str, having: Mapping[str, OpenedSurvey], view: View) -> Chart:
    """The measures over chance, one line a survey."""
    lines = {label: (survey, None) for label, survey in having.items()}
    return _side_by_side(name, f"Surveys side by side: {view_name(view)}", lines, view)


def _side_by_side(name: str, title: str, lines: Mapping[str, tuple[OpenedSurvey, str | None]], view: View) -> Chart:
    """The measures over chance, one line for each survey, or null of one."""
    panels = []
    for measure in MEASURES:
        series = [
            _over_chance(label, survey, view, measure.statistic, null=null) for label, (survey, null) in lines.items()
        ]
        panels.append(Panel(measure.over_chance, series, zero=True))
    return chart(
        name,
        title,
        "Differences from chance, means over the layer's heads with 95 % intervals.",
        panels,
        max(survey.layers for survey, _ in lines.values()),
    )


def contrasts(name: str, title: str, found: Sequence[Contrast], layers: int) -> Chart:
    """The measures of one side minus those of another, by layer, one line a pair."""
    # Every line in every panel, with points or without: one that had its colour from its place would change it.
    labels = list(dict.fromkeys(one.pair.label for one in found))
    panels: dict[str, dict[str, list[Point]]] = {one.title: {label: [] for label in labels} for one in found}
    for one in found:
        panels[one.title][one.pair.label].append(Point(one.layer, one.difference, one.low, one.high))
    return chart(
        name,
        title,
        "First minus second, means over the layer's heads, with 95 % intervals; paired by text. An interval that "
        "excludes the dotted 0 tells the two apart.",
        [Panel(title, [Series(*both) for both in lines.items()], zero=True) for title, lines in panels.items()],
        layers,
    )


def _by_layer(
    survey: OpenedSurvey, view: View, statistic: str, tokens: Tokens = ALL, null: str | None = None
) -> list[tuple[int, Stat]]:
    found = ((layer, survey.stat(view, statistic, layer, None, tokens, null)) for layer in range(survey.layers))
    return [(layer, stat) for layer, stat in found if stat is not None]


def _over_chance(
    label: str, survey: OpenedSurvey, view: View, statistic: str, tokens: Tokens = ALL, null: str | None = None
) -> Series:
    found = _by_layer(survey, view, statistic, tokens, null)
    return Series(
        label,
        [
            Point(layer, s.difference, s.difference_low, s.difference_high)
            for layer, s in found
            if s.difference is not None
        ],
    )
