"""What every answer can do: be printed, shown in a notebook, put into a data frame, and saved."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
import zoo

from headscope import InputError
from headscope.reading.answer import ENDINGS, Answer
from headscope.reading.map import Map
from headscope.reading.reading import Reading


def _map(reading: Reading) -> Map:
    pytest.importorskip("openTSNE", reason="maps are not installed (extra: maps)")
    return reading.map(1, 2, method="pca", size=60)


ANSWERS: dict[str, Callable[[Reading], Answer]] = {
    "neighbors": lambda reading: reading.nearest(2, 1, k=3),
    "neighbors of several": lambda reading: reading.nearest([1, 2], 1, k=3),
    "neighbors and what is written against": lambda reading: reading.nearest(2, 1, "embedding", k=3),
    "positions": lambda reading: reading.nearest_positions(2, 1, against="v"),
    "atlas": lambda reading: reading.atlas(2),
    "attention": lambda reading: reading.attention(2, 1, "norms"),
    "background": lambda reading: reading.background(reading.nearest(2, 1, k=3)),
    "comparison": lambda reading: reading.compare(reading, 2, 1, k=3, other_reference="input"),
    "worked": lambda reading: reading.work_out(near := reading.nearest(2, 1, k=3), 1, int(near.ids[1, 0])),
    "why": lambda reading: (near := reading.nearest(2, 1, k=3)).why(1, int(near.ids[1, 0])),
    "map": _map,
    "map of two texts": lambda reading: _map(reading).place(reading),
}
DRAWN = {name for name in ANSWERS if "neighbors" in name} | {
    "atlas",
    "attention",
    "comparison",
    "map",
    "map of two texts",
}
TEXTS = {".html", ".md", ".csv", ".json"}
FIGURES = {".svg", ".pdf", ".png"}


@pytest.fixture(params=ANSWERS)
def asked(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def answer(asked: str, scope_of) -> Answer:
    return ANSWERS[asked](scope_of("bert").read(zoo.TEXT))


def test_it_is_printed_and_shown(answer):
    assert str(answer) == repr(answer)
    assert max(map(len, str(answer).splitlines())) <= 100
    captions = [sheet.caption for sheet in answer.sheets()]
    words = " ".join(str(answer).split())
    html = answer._repr_html_()
    assert html.count("<table") == len(captions) > 0
    assert all(" ".join(caption.split()) in words for caption in captions)


def test_it_is_laid_out_whole(answer):
    for sheet in answer.sheets():
        assert all(len(row.cells) == len(sheet.columns) for row in sheet.rows)
        assert len(sheet.columns) % sheet.together == 0
        assert all(0 <= cell.share <= 1 for row in sheet.rows for cell in row.cells if cell.share is not None)


def test_its_rows_are_flat_and_a_data_frame(answer):
    rows = answer.rows()
    assert {tuple(row) for row in rows} == {tuple(rows[0])}
    frame = answer.to_pandas()
    assert list(frame.columns) == list(rows[0])
    assert len(frame) == len(rows)


def test_it_is_saved_whole_as_every_ending_that_it_has(answer, asked, tmp_path: Path):
    endings = TEXTS | (FIGURES if asked in DRAWN else set())
    for ending in endings:
        path = answer.save(tmp_path / f"answer{ending.upper()}")
        assert path.stat().st_size > 0
    assert {path.suffix.lower() for path in tmp_path.iterdir()} == endings
    assert json.loads((tmp_path / "answer.JSON").read_text()) == json.loads(json.dumps(answer.to_dict()))
    with (tmp_path / "answer.CSV").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(answer.rows())
    assert (tmp_path / "answer.HTML").read_text() == answer.to_html()
    if asked in DRAWN:
        assert endings == set(ENDINGS)
        assert ET.parse(tmp_path / "answer.SVG").getroot().tag.endswith("svg")
        assert (tmp_path / "answer.PDF").read_bytes().startswith(b"%PDF")
        assert (tmp_path / "answer.PNG").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["answer.xlsx", "answer"])
def test_another_ending_is_refused_and_the_open_ones_are_named(answer, asked, tmp_path: Path, name):
    with pytest.raises(InputError, match=r"\.html, \.md, \.csv, \.json") as refused:
        answer.save(tmp_path / name)
    assert (".svg, .pdf, .png" in str(refused.value)) == (asked in DRAWN)
    assert not list(tmp_path.iterdir())


def test_a_place_that_is_not_there_is_refused(answer, tmp_path: Path):
    with pytest.raises(InputError, match="there is no directory"):
        answer.save(tmp_path / "nowhere" / "answer.html")


def test_what_answers_say_needs_no_extra():
    extras = "matplotlib sklearn openTSNE pyarrow duckdb scipy numba pandas fastapi uvicorn plotly"
    program = (
        f"import sys; sys.modules |= dict.fromkeys({extras!r}.split())\n"
        "import headscope.reading.reading, headscope.reading.told, headscope.commands.look_views, headscope\n"
        "print(headscope.Scope)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert "Scope" in run.stdout, run.stderr
