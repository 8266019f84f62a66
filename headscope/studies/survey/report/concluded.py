"""What a report concludes: which heads stand out over even attention and untrained twins; and every contrast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from headscope.inference.verdicts import RATE
from headscope.show.charts.chart import Chart
from headscope.show.document import Cell, DocumentTable, Items, Section
from headscope.show.numbers import between, rate
from headscope.studies.survey.contrasts import EVEN, TWINS, VALUES
from headscope.studies.survey.headline import Headline, headlines, principal
from headscope.studies.survey.opened import OpenedSurvey
from headscope.studies.survey.report import heads
from headscope.studies.survey.report import layers as lines
from headscope.studies.survey.report.contrasts import Contrast, Pair, pairs, unpaired
from headscope.studies.survey.report.measures import head_name, slug, view_name
from headscope.studies.survey.report.three_lines import BY_ITSELF, TITLES, hides_later, three_lines

_TITLES = {
    "network": "Less even attention and untrained twins",
    "reference": "Contrasts of references",
    "mask": "Contrasts of masks",
    "survey": "Contrasts of surveys",
}


def concluded(surveys: Mapping[str, OpenedSurvey]) -> Section:
    """The three lines on every survey, its first figure, and how many heads of every view stand out."""
    section = Section("What may be concluded", "concluded")
    found = {name: headlines(survey.contrasts) for name, survey in surveys.items()}
    for name, survey in surveys.items():
        first = principal(found[name])
        section.blocks += [f"{name}:"] if len(surveys) > 1 else []
        section.blocks.append(Items(three_lines(first, survey.manifest)))
        if any(hides_later(survey.manifest, one.view.mask) for one in first):
            section.blocks.append(BY_ITSELF)
        section.blocks.append(heads.over_both(slug(name, "stands-out"), survey, first))
    section.blocks.append(_by_view(found))
    return section


def _by_view(found: Mapping[str, Sequence[Headline]]) -> DocumentTable:
    rows: list[tuple[Cell, ...]] = []
    for name, some in found.items():
        for one in some:
            count = Counter(head.conclusion for head in one.heads)
            # Without twins nothing is claimed, and the cell says so.
            out: Cell = count["stands out"] if one.with_twins else "no twins"
            held = [head.values for head in one.those("stands out") if head.values is not None]
            beyond: Cell = sum(part.standing == "above" for part in held) if held else "–"
            more = sum(head.even.standing == "above" for head in one.heads)
            rest = (count["does not stand out"], count["undetermined"])
            rows.append((name, view_name(one.view), TITLES[one.statistic], more, out, beyond, *rest))
    return DocumentTable(
        "In how many heads, by view. To stand out a head must be above even attention and above untrained twins, at a "
        "false discovery rate of 5 % over the heads in each. Of those that do: how many are above untrained twins that "
        "attend as the model does, too, where these were measured.",
        (
            *("Survey", "View", "Measure", "Above even attention", "Stands out", "As its twins attend"),
            *("Does not", "Undetermined"),
        ),
        tuple(rows),
    )


def contrasts(surveys: Mapping[str, OpenedSurvey], found: Sequence[Contrast]) -> Section:
    """What differs in one thing only, subtracted; and surveys in one chart."""
    section = Section("Contrasts", "contrasts")
    section.blocks += _contrast_charts(surveys, found)
    if len(surveys) > 1:
        section.blocks += _charts_of_surveys(surveys)
    section.blocks += [why for pair in pairs(surveys) if (why := unpaired(surveys, pair))]
    if found:
        section.blocks.append(_contrast_table(found))
    return section


def _charts_of_surveys(surveys: Mapping[str, OpenedSurvey]) -> list[Chart]:
    views = dict.fromkeys(view for survey in surveys.values() for view in survey.views)
    charts = []
    for view in views:
        having = {name: survey for name, survey in surveys.items() if view in survey.views}
        if len(having) > 1:
            name = slug("side-by-side", view.space, view.reference, view.metric, view.mask)
            charts.append(lines.surveys(name, having, view))
    return charts


def _contrast_charts(surveys: Mapping[str, OpenedSurvey], found: Sequence[Contrast]) -> list[Chart]:
    by_subject: dict[tuple[str, str], list[Contrast]] = {}
    for contrast in found:
        if contrast.head is None:
            # Even attention and untrained twins in one chart: a claim needs both.
            what = "network" if contrast.pair.what in (EVEN, TWINS, VALUES) else contrast.pair.what
            by_subject.setdefault((what, contrast.pair.same), []).append(contrast)
    return [
        lines.contrasts(slug("contrast", what, same), f"{_TITLES[what]}: {same}", some, _layers(surveys, some))
        for (what, same), some in by_subject.items()
    ]


def _layers(surveys: Mapping[str, OpenedSurvey], found: Sequence[Contrast]) -> int:
    return max(surveys[contrast.pair.first.survey].layers for contrast in found)


def _contrast_table(found: Sequence[Contrast]) -> DocumentTable:
    by_pair: dict[tuple[Pair, str], list[Contrast]] = {}
    for contrast in found:
        if contrast.head is not None:
            by_pair.setdefault((contrast.pair, contrast.title), []).append(contrast)
    rows: list[tuple[Cell, ...]] = []
    for (pair, title), some in by_pair.items():
        told = [c for c in some if c.q is not None and c.q <= RATE]
        higher = sum(c.difference > 0 for c in told)
        most = max(some, key=lambda c: abs(c.difference))
        largest = f"{rate(most.difference, signed=True)} {between(most.low, most.high)}"
        counts = (higher, len(told) - higher, len(some) - len(told))
        rows.append((pair.label, pair.same, title, *counts, head_name(most.layer, most.head or 0), largest))
    return DocumentTable(
        "In how many heads the first side is higher or lower than the second, at a false discovery rate of 5 % over "
        "the heads of a contrast.",
        ("Contrast", "Of", "Measure", "Higher", "Lower", "Not told apart", "Largest in", "Difference, 95 %"),
        tuple(rows),
    )
