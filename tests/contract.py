"""What every answer can do, checked alike for each: a test class to inherit, that brings an `answer` and `drawn`."""

from __future__ import annotations

import copy
import csv
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from headscope import InputError
from headscope.reading.answer import ENDINGS, Answer

TEXTS = {".html", ".md", ".csv", ".json"}
FIGURES = {".svg", ".pdf", ".png"}


class AnswerContract:
    """`answer`: the answer; `drawn`: whether it has a figure. Both are fixtures of the class that inherits."""

    def test_it_is_printed_and_shown(self, answer: Answer) -> None:
        assert str(answer) == repr(answer)
        assert max(map(len, str(answer).splitlines())) <= 100
        captions = [sheet.caption for sheet in answer.sheets()]
        words = " ".join(str(answer).split())
        html = answer._repr_html_()
        assert html.count("<table") == len(captions) > 0
        assert all(" ".join(caption.split()) in words for caption in captions)

    def test_it_can_be_looked_for_among_others(self, answer: Answer) -> None:
        other = copy.deepcopy(answer)
        assert [other, answer].index(answer) == 1
        assert {other: "another", answer: "it"}[answer] == "it"

    def test_it_is_laid_out_whole(self, answer: Answer) -> None:
        for sheet in answer.sheets():
            assert all(len(row.cells) == len(sheet.columns) for row in sheet.rows)
            assert len(sheet.columns) % sheet.together == 0
            assert all(0 <= cell.share <= 1 for row in sheet.rows for cell in row.cells if cell.share is not None)

    def test_its_rows_are_flat_and_a_data_frame(self, answer: Answer) -> None:
        rows = answer.rows()
        assert {tuple(row) for row in rows} == {tuple(rows[0])}
        frame = answer.to_pandas()
        assert list(frame.columns) == list(rows[0])
        assert len(frame) == len(rows)

    def test_it_is_saved_whole_as_every_ending_that_it_has(self, answer: Answer, drawn: bool, tmp_path: Path) -> None:
        endings = TEXTS | (FIGURES if drawn else set())
        for ending in endings:
            path = answer.save(tmp_path / f"answer{ending.upper()}")
            assert path.stat().st_size > 0
        assert {path.suffix.lower() for path in tmp_path.iterdir()} == endings
        assert json.loads((tmp_path / "answer.JSON").read_text()) == json.loads(json.dumps(answer.to_dict()))
        with (tmp_path / "answer.CSV").open(newline="") as file:
            assert len(list(csv.DictReader(file))) == len(answer.rows())
        assert (tmp_path / "answer.HTML").read_text() == answer.to_html()
        if drawn:
            assert endings == set(ENDINGS)
            assert ET.parse(tmp_path / "answer.SVG").getroot().tag.endswith("svg")
            assert (tmp_path / "answer.PDF").read_bytes().startswith(b"%PDF")
            assert (tmp_path / "answer.PNG").read_bytes().startswith(b"\x89PNG")

    @pytest.mark.parametrize("name", ["answer.xlsx", "answer"])
    def test_another_ending_is_refused_and_the_open_ones_are_named(
        self, answer: Answer, drawn: bool, tmp_path: Path, name: str
    ) -> None:
        with pytest.raises(InputError, match=r"\.html, \.md, \.csv, \.json") as refused:
            answer.save(tmp_path / name)
        assert (".svg, .pdf, .png" in str(refused.value)) == drawn
        assert not list(tmp_path.iterdir())

    def test_a_place_that_is_not_there_is_refused(self, answer: Answer, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="there is no directory"):
            answer.save(tmp_path / "nowhere" / "answer.html")
