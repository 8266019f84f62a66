"""A survey as the page shows it: three figures by layer, every head in one of four, and one layer's heads in all."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from headscope.show.charts.chart import Chart
from headscope.show.charts.lines import Panel, Point, Series, chart
from headscope.show.numbers import between, rate, two
from headscope.show.sheet import Cell, Row, Sheet
from headscope.studies.survey.contrasts import EVEN, TWINS, VALUES
from headscope.studies.survey.opened import OpenedSurvey, Stat, View
from headscope.studies.survey.report.glossary import CHANCE_SAYS, EVEN_SAYS, GLOSSARY, SIGNS, Figure
from headscope.studies.survey.report.measures import head_name, verdict

_SIGNS = {"at chance": "=", "undetermined": "?"}
_LINES = {EVEN: "over even attention", TWINS: "over untrained twins", VALUES: "over twins that attend as it does"}
_MOST = 10  # heads that are named


def charts(survey: OpenedSurvey, view: View) -> tuple[Chart, ...]:
    """In text with its chance; Own and Carry, each over all that knows nothing: means over a layer."""
    rates = [(layer, survey.stat(view, "in_text", layer)) for layer in range(survey.layers)]
    points = [Point(layer, s.value, s.low, s.high, s.chance) for layer, s in rates if s is not None]
    panels = [Panel("In text; dotted: chance", [Series("the model", points)])]
    for figure in ("own", "carry"):
        lines = [Series(label, list(_over(survey, view, figure, what))) for what, label in _LINES.items()]
        panels.append(Panel(GLOSSARY[figure].title, [line for line in lines if line.points], zero=True))
    return tuple(
        chart(f"by-layer-{n}", panel.title, _told(panel), [panel], survey.layers, across=1)
        for n, panel in enumerate(panels)
    )


def _told(panel: Panel) -> str:
    """The chart for who does not see it."""
    lines = (f"{line.label}: {', '.join(rate(point.value) for point in line.points)}" for line in panel.series)
    return f"{panel.title}, by layer from 0. {'; '.join(lines)}."


def _over(survey: OpenedSurvey, view: View, statistic: str, what: str) -> Iterable[Point]:
    for row in survey.contrasts:
        same = (
            row["between"] == what and row["statistic"] == statistic and View(*(row[n] for n in View._fields)) == view
        )
        if same and row["null"] is None and row["head"] is None and row["difference"] is not None:
            yield Point(row["layer"], row["difference"], row["low"], row["high"])


def grid(survey: OpenedSurvey, view: View, figure: Figure) -> Sheet:
    """Every layer and head in one figure: its difference, on a ground where it is sure."""
    word = GLOSSARY[figure]
    stats = {place: survey.stat(view, figure, *place) for place in survey.places}
    most = max((abs(s.difference) for s in stats.values() if s and s.difference is not None), default=0.0) or 1.0
    heads = range(survey.heads)
    return Sheet(
        "figures",
        f"{word.title}, over {word.against}: every layer (down) and head (across)",
        tuple(Cell(str(head), head=head) for head in heads),
        tuple(
            Row(Cell(str(layer), layer=layer), tuple(_cell(stats[layer, head], figure, most) for head in heads))
            for layer in range(survey.layers)
        ),
        stub="layer",
        legend=(f"{word.title}: {word.says}. {CHANCE_SAYS if word.against == 'chance' else EVEN_SAYS} {SIGNS}",),
    )


def strongest(survey: OpenedSurvey, view: View, figure: Figure) -> Sheet:
    """The heads of the largest figure, in their order."""
    found = {place: survey.stat(view, figure, *place) for place in survey.places}
    known = [(place, stat) for place, stat in found.items() if stat is not None and stat.difference is not None]
    known.sort(key=lambda one: -inf if one[1].difference is None else -one[1].difference)
    word = GLOSSARY[figure]
    return Sheet(
        "strongest",
        f"The {min(_MOST, len(known))} heads with most {word.title}",
        (word.title, word.against, "difference", "95 % interval", "verdict"),
        tuple(
            Row(
                Cell(head_name(*place), layer=place[0], head=place[1]),
                (
                    Cell(number=rate(stat.value)),
                    Cell(number=rate(stat.chance)),
                    Cell(number=rate(stat.difference, signed=True)),
                    Cell(number=between(stat.difference_low, stat.difference_high)),
                    Cell(verdict(stat)),
                ),
            )
            for place, stat in known[:_MOST]
        ),
    )


def of_layer(survey: OpenedSurvey, view: View, layer: int) -> Sheet:
    """The four figures of a layer's heads, a row each."""
    rows = []
    for figure, word in GLOSSARY.items():
        stats = [survey.stat(view, figure, layer, head) for head in range(survey.heads)]
        most = max((abs(s.difference) for s in stats if s and s.difference is not None), default=0.0) or 1.0
        says = f"{word.says}, over {word.against}"
        rows.append(Row(Cell(word.title, says=says), tuple(_cell(stat, figure, most) for stat in stats)))
    columns = tuple(Cell(str(head), head=head) for head in range(survey.heads))
    return Sheet("usual", f"How the heads of layer {layer} usually behave", columns, tuple(rows))


def _cell(stat: Stat | None, figure: Figure, most: float) -> Cell:
    if stat is None or stat.difference is None:
        return Cell(number="–", says="not measured")
    word, sure = GLOSSARY[figure], stat.verdict in ("above", "below")
    chance = "" if stat.chance is None else f", {word.against} {rate(stat.chance)}"
    return Cell(
        number=two(stat.difference) + _SIGNS.get(stat.verdict or "", ""),
        share=abs(stat.difference) / most if sure else None,
        says=f"{word.title} {rate(stat.value)}{chance}: {rate(stat.difference, signed=True)} "
        f"{between(stat.difference_low, stat.difference_high)}, {verdict(stat)}",
        value=stat.difference,
    )
