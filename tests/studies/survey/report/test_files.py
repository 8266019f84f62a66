"""What lies beside the page: the Markdown and its files, and that all of it is the same when it is made again."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET

import markdown_it
import pytest
import zoo

from headscope import Scope
from headscope.show.document import Code, DocumentTable, Quote, Report, Section
from headscope.show.markdown import markdown
from headscope.show.page import html
from headscope.studies.survey.report.write import write_report
from tests.studies.survey.corpora import surveyed


@pytest.mark.slow
def test_every_file_that_the_markdown_names_is_there(report):
    links = re.findall(r"\]\(([^)]+)\)", (report / "report.md").read_text("utf-8"))
    named = {report / link for link in links}
    assert all(path.is_file() for path in named)
    assert named == {
        path
        for path in (*report.glob("figures/*"), *report.glob("numbers/*"))
        if path.stem not in ("statistics", "hubs", "stream", "contrasts")
    }


@pytest.mark.slow
def test_figures_are_whole_drawings_without_a_date(report):
    drawings = [*report.glob("figures/*.svg")]
    assert drawings
    for path in drawings:
        root = ET.parse(path).getroot()
        assert root.tag.endswith("svg")
        assert "dc:date" not in path.read_text("utf-8")


@pytest.mark.long
def test_the_same_surveys_give_the_same_bytes(report, surveys, tmp_path):
    again = write_report(surveys, tmp_path / "again").parent
    files = sorted(path.relative_to(report) for path in report.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert [f for f in files if (report / f).read_bytes() != (again / f).read_bytes()] == []


@pytest.mark.long
def test_a_later_report_leaves_nothing_of_an_earlier_one_and_sets_a_survey_alone_beside_no_other(
    report, surveys, tmp_path
):
    out = tmp_path / "out"
    shutil.copytree(report, out)
    (out / "figures" / "mine.txt").write_text("kept")
    page = write_report(surveys[1:], out)
    assert not list(out.glob("figures/one-*"))
    assert not list(out.glob("numbers/one-*"))
    assert (out / "figures" / "mine.txt").read_text() == "kept"
    assert "survey-two" in page.read_text("utf-8")
    assert "contrast-survey" not in page.read_text("utf-8")


def test_words_of_the_texts_are_shown_as_they_are():
    spelled = "<i>a|b`c*d_e[f](g)\\#"
    table = DocumentTable("T", ("one", "two"), ((Quote(spelled, spelled, spelled), Code(spelled)),))
    document = Report("R", "S", (Section("T", "t", [table]),))
    shown = markdown_it.MarkdownIt("commonmark").enable("table").parse(markdown(document))
    cells = [token.children or [] for token in shown if token.type == "inline"]
    (row,) = [cell for cell in cells if any(child.type == "strong_open" for child in cell)]
    assert "".join(child.content for child in row) == spelled * 3
    assert "<i>" not in html(document)


@pytest.mark.long
def test_surveys_whose_names_make_one_file_name_are_told_apart(texts, tmp_path):
    small = surveyed(Scope.from_model(*zoo.build("bert")), texts, tmp_path / "s", sample=6, references=("layer",))
    copies = [shutil.copytree(small, tmp_path / name) for name in ("größe", "grüße")]
    page = write_report(copies, tmp_path / "out").read_text("utf-8")
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert "größe 1" in page
