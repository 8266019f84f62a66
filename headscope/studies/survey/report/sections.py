"""What a report says of one survey: its figures, view by view."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import groupby

from headscope.inference.verdicts import VERDICTS
from headscope.show.document import Block, Cell, Code, DocumentTable, Quote, Section
from headscope.show.numbers import between, rate
from headscope.studies.survey.opened import OpenedSurvey, View
from headscope.studies.survey.report import heads, kinds, stream
from headscope.studies.survey.report import layers as lines
from headscope.studies.survey.report.examples import HEADS, TOKENS, examples, strongest
from headscope.studies.survey.report.measures import (
    CEILING,
    KINDS,
    MEASURES,
    SAME_GENRE,
    difference,
    group,
    head_name,
    measures_of,
    slug,
    verdict,
    view_name,
)

_HUBS = 12  # rows of the table


def verdicts(surveys: Mapping[str, OpenedSurvey]) -> Section:
    """How many heads differ from chance."""
    rows: list[tuple[Cell, ...]] = []
    for name, survey in surveys.items():
        for view in survey.views:
            for measure in measures_of(survey):
                stats = [survey.stat(view, measure.statistic, *place) for place in survey.places]
                count = Counter((stat.verdict, bool(stat.small)) for stat in stats if stat)
                told = [count[verdict, False] + count[verdict, True] for verdict in VERDICTS]
                small = sum(many for (_, is_small), many in count.items() if is_small)
                unknown = len(stats) - sum(told)
                rows.append((name, view_name(view), measure.over_chance, *told, small, unknown))
    columns = ("Survey", "View", "Measure", *VERDICTS, "small", "no figure")
    caption = (
        "How many heads are above chance, below it, at chance, or undetermined; and how many of those above and below "
        "are so by little. Chance of Own and Carry is even attention, of the others the outputs of other documents."
    )
    if any(survey.of_genres for survey in surveys.values()):
        caption = f"{caption} {SAME_GENRE}"
    return Section("Against chance", "short", [DocumentTable(caption, columns, tuple(rows))])


def of_survey(name: str, survey: OpenedSurvey) -> Section:
    """All figures of one survey."""
    section = Section(f"{name}: {survey.model['name']}", slug("survey", name))
    for _, found in groupby(survey.views, group):
        views = list(found)
        alike = slug(name, views[0].space, views[0].metric, views[0].mask)
        section.sections.append(
            Section(
                group(views[0]).capitalize(),
                alike,
                [
                    lines.references(f"{alike}-layers", survey, views),
                    *(_by_layer(survey, view) for view in views),
                    kinds.kinds(f"{alike}-kinds", survey, views),
                ],
                [_of_view(slug(alike, view.reference or "view"), survey, view) for view in views],
            )
        )
    mixing = [heads.mixing(slug(name, "pattern", one), survey, one) for one in survey.masks]
    section.sections.append(Section("Where attention goes", slug(name, "patterns"), list(mixing)))
    if survey.stages:
        charts = [stream.stream(slug(name, "stream", one), survey, one) for one in survey.masks]
        section.sections.append(Section("The residual stream", slug(name, "stream"), list(charts)))
    return section


def _of_view(anchor: str, survey: OpenedSurvey, view: View) -> Section:
    blocks: list[Block] = [heads.against_chance(f"{anchor}-heads", survey, view)]
    if survey.of_genres:
        blocks.append(heads.against_same_genre(f"{anchor}-same-genre", survey, view))
    if survey.tokens:
        blocks.append(lines.classes(f"{anchor}-classes", survey, view))
    if survey.nulls:
        blocks.append(lines.nulls(f"{anchor}-nulls", survey, view))
    return Section(view_name(view).capitalize(), anchor, [*blocks, *_strongest(survey, view), _hubs(survey, view)])


def _by_layer(survey: OpenedSurvey, view: View) -> DocumentTable:
    rows: list[tuple[Cell, ...]] = []
    shown = [(measure.statistic, measure.title) for measure in measures_of(survey)]
    shown.insert(2, CEILING)
    for statistic, title in shown:
        for layer in range(survey.layers):
            stat = survey.stat(view, statistic, layer)
            if stat is not None:
                cells = (rate(stat.value), between(stat.low, stat.high), rate(stat.chance), difference(stat))
                counts = (f"{stat.positions:,}", "–" if stat.paired is None else f"{stat.paired:,}")
                rows.append((title, layer, *cells, verdict(stat), *counts))
    return DocumentTable(
        f"Means over the layer's heads: {view_name(view)}. Tokens and pairs are counted in every head. Undetermined: "
        "in brackets the smallest difference that these texts would have shown."
        + (f" {SAME_GENRE}" if survey.of_genres else ""),
        ("Measure", "Layer", "Value", "95 %", "Chance", "Difference, 95 %", "Verdict", "Tokens", "Paired"),
        tuple(rows),
    )


def _strongest(survey: OpenedSurvey, view: View) -> list[Block]:
    found = {measure: strongest(survey, view, measure) for measure in MEASURES}
    rows: list[tuple[Cell, ...]] = [
        (measure.over_chance, head_name(layer, head), rate(stat.value), rate(stat.chance), difference(stat))
        for measure, some in found.items()
        for layer, head, stat in some
    ]
    if not rows:
        return [f"No head is above chance: {view_name(view)}."]
    caption = f"The strongest heads, at most {HEADS} a measure, of those above chance: {view_name(view)}."
    table = DocumentTable(caption, ("Measure", "Head", "Value", "Chance", "Difference, 95 %"), tuple(rows))
    shown = examples(survey, view, [(layer, head) for some in found.values() for layer, head, _ in some])
    quoted: tuple[tuple[Cell, ...], ...] = tuple(
        (
            head_name(one.layer, one.head),
            Quote(one.before, one.token, one.after),
            Code(one.nearest),
            KINDS[one.kind],
            "–" if one.own_rank is None else f"{one.own_rank:,}",
            rate(one.signal),
        )
        for one in shown
    )
    caption = (
        f"What these heads are nearest to, at {TOKENS} tokens each. The tokens are drawn whatever the head does there; "
        "they are not chosen."
    )
    columns = ("Head", "Token in its text", "Nearest", "Which is", "Own rank", "Signal")
    return [table, DocumentTable(caption, columns, quoted)]


def _hubs(survey: OpenedSurvey, view: View) -> DocumentTable:
    hubs = [(layer, head, hub) for layer, head in survey.places if (hub := survey.hub(view, layer, head)) is not None]
    hubs.sort(key=lambda placed: -placed[2].share)
    return DocumentTable(
        f"Hubs: the {min(_HUBS, len(hubs))} heads in which one token is the nearest most often: {view_name(view)}. "
        "Skewness is that of how often each candidate is the nearest.",
        ("Head", "Token", "Share of tokens", "Skewness"),
        tuple(
            (head_name(layer, head), Code(hub.label), rate(hub.share), f"{hub.skewness:,.1f}")
            for layer, head, hub in hubs[:_HUBS]
        ),
    )
