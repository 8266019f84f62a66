"""The residual stream on its way up: how near every token stays to its own input embedding."""

from __future__ import annotations

from math import exp

from headscope.show.charts.chart import Chart
from headscope.show.charts.lines import Panel, Point, Series, chart
from headscope.studies.survey.opened import ALL, OpenedSurvey, Stat, Tokens
from headscope.studies.survey.report.measures import SAME_GENRE, mask, tokens_name
from headscope.studies.survey.tables import MATCHED

_CLASSES = (ALL, *(Tokens("word", kind) for kind in ("content", "function", "punctuation")))
# statistic: its title, whether it is a logarithm, whether chance is drawn
_PANELS = {
    "cosine": ("Cosine to the own embedding", False, True),
    "log_rank": ("Rank of it (geometric mean)", True, True),
    "overlap_input": ("100 nearest: shared with the input", False, False),
}


def stream(name: str, survey: OpenedSurvey, of: str) -> Chart:
    """Cosine, rank and overlap by stage and class of token, under the mask `of`."""
    panels = []
    for statistic, (title, log, with_chance) in _PANELS.items():
        series = []
        for tokens in _CLASSES:
            found = [(stage, survey.stage_stat(of, statistic, stage, tokens)) for stage in range(survey.stages)]
            points = [_point(stage, stat, log, with_chance and tokens == ALL) for stage, stat in found if stat]
            series += [Series(tokens_name(tokens), points)] if points else []
        if with_chance and (of_genre := _of_genre(survey, of, statistic, log)):
            series.append(Series("chance, same genre", of_genre, dotted=True))
        panels.append(Panel(title, series, log=log))
    return chart(
        name,
        f"The residual stream: {mask(of)}",
        "Means with 95 % intervals. 0 is block 0's input, l + ½ the stream after layer l's attention and residual, "
        "l + 1 after layer l; dotted: chance over all tokens, from the streams of other documents at about the same "
        "positions." + (f" {SAME_GENRE}" if survey.of_genres else ""),
        panels,
        survey.layers + 1,
        axis="layers passed",
    )


def _of_genre(survey: OpenedSurvey, of: str, statistic: str, log: bool) -> list[Point]:
    """Chance over all tokens, from streams of other documents of the same genre."""
    found = [(stage, survey.stage_stat(of, f"{statistic}{MATCHED}", stage)) for stage in range(survey.stages)]
    known = [(stage, stat.chance) for stage, stat in found if stat is not None and stat.chance is not None]
    return [Point(stage / 2, exp(chance) if log else chance) for stage, chance in known]


def _point(stage: int, stat: Stat, log: bool, with_chance: bool) -> Point:
    numbers = (stat.value, stat.low, stat.high, stat.chance if with_chance else None)
    value, *others = (None if number is None else exp(number) if log else number for number in numbers)
    assert value is not None, "a figure has a value"
    return Point(stage / 2, value, *others)
