"""The report begins with what may be concluded, and its first figure shows which heads stand out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from headscope.show.document import Items
from headscope.studies.survey.headline import Headline, HeadOver, Over, headlines, principal
from headscope.studies.survey.opened import open_survey
from headscope.studies.survey.report import concluded, heads
from headscope.studies.survey.report.three_lines import BY_ITSELF, of_directory

ABOVE = Over(0.10, 0.06, 0.14, 0.004, 0.002, 0.06)
BELOW = Over(-0.11, -0.13, -0.09, 0.001, 1.0, 0.03)
SLIGHT = Over(0.01, 0.006, 0.014, 0.004, 0.002, 0.006)
NOTHING = Over(0.001, -0.01, 0.012, 0.8, 0.4, 0.016)
OPEN = Over(0.03, -0.04, 0.10, 0.5, 0.25, 0.098)


@pytest.mark.slow
def test_the_report_begins_with_the_three_lines_of_every_survey(report: Path, surveys: tuple[Path, Path]) -> None:
    words = (report / "report.md").read_text("utf-8")
    begins = words[words.index("\n## ") :]
    assert begins.startswith("\n## What may be concluded")
    begins = begins[: begins.index("\n## ", 4)]
    items = re.findall(r"^- (.*)$", begins, re.MULTILINE)
    assert items == [line for path in surveys for line in of_directory(path)]
    first = re.search(r"\]\(figures/([^)]+)\)", words)
    assert first is not None
    assert first[1] == "one-stands-out.svg"


def planted(survey, even: list[Over], twins: list[Over | None]) -> list[Headline]:
    """The first heads of layer 0 with these differences, under the survey's principal view."""
    view = principal(headlines(survey.contrasts))[0].view
    some = tuple(HeadOver(*both, 0, head) for head, both in enumerate(zip(even, twins, strict=True)))
    return [Headline(view, "carry", some)]


@pytest.mark.slow
def test_a_frame_is_around_what_stands_out_in_both_and_around_nothing_else(surveys: tuple[Path, Path]) -> None:
    survey = open_survey(surveys[1])
    chart = heads.over_both(
        "planted", survey, planted(survey, [ABOVE, ABOVE, BELOW, SLIGHT], [ABOVE, NOTHING, OPEN, ABOVE])
    )
    assert chart.title.startswith("Heads that stand out: Carry 2 of 4; ")
    frames = chart.svg.count("stroke-width: 1.6")
    assert frames == 2 * 2 + 1  # in both panels, and in the legend
    numbers = pd.DataFrame(chart.rows, columns=chart.columns).set_index("head")
    assert list(numbers["conclusion"]) == ["stands out", "does not stand out", "does not stand out", "stands out"]
    assert list(numbers["even_difference"]) == [0.10, 0.10, -0.11, 0.01]
    assert list(numbers["twins_q_above"]) == [0.002, 0.4, 0.25, 0.002]
    # Without colour: numbers, a sign in brackets for what is slight, an equals sign for what is not above.
    written = re.findall(r">([^<>]*)</text>", chart.svg)
    assert written.count("+.10") == 2 + 2
    assert written.count("−.11") == written.count("(+)") == written.count("=") == 1
    assert len(re.findall(r"fill: url\(#", chart.svg)) == 1 + 1  # undetermined, and the legend


@pytest.mark.slow
def test_without_twins_there_is_one_panel_and_no_claim(surveys: tuple[Path, Path]) -> None:
    survey = open_survey(surveys[1])
    chart = heads.over_both("planted", survey, planted(survey, [ABOVE, OPEN], [None, None]))
    assert chart.title.startswith("Heads above even attention: Carry 1 of 2; ")
    assert "stand" not in chart.title + chart.caption
    assert "twins</text>" not in chart.svg
    assert "stroke-width: 1.6" not in chart.svg
    assert [row[chart.columns.index("conclusion")] for row in chart.rows] == [
        "more than even attention",
        "undetermined",
    ]


@pytest.mark.slow
def test_the_table_of_views_says_where_there_are_no_twins(report: Path) -> None:
    words = (report / "report.md").read_text("utf-8")
    rows = [line for line in words.splitlines() if line.startswith("| one | ") and "| no twins |" in line]
    assert len(rows) == 2 * 2 * 2  # references, masks, statistics


@pytest.mark.slow
@pytest.mark.parametrize("causal", [True, False])
def test_under_a_causal_mask_the_level_of_own_is_said_to_mean_nothing(surveys: tuple[Path, Path], causal: bool) -> None:
    survey = open_survey(surveys[1])
    model = survey.manifest["model"] | {"causal": causal}
    section = concluded.concluded({"s": replace(survey, manifest=survey.manifest | {"model": model})})
    assert (BY_ITSELF in section.blocks) is causal
    assert isinstance(section.blocks[0], Items)
