"""headscope report: what it writes, and its mistakes as sentences."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from headscope.commands.cli import main

pytestmark = pytest.mark.slow  # for the two surveys that they stand on


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as left:
        main(["report", *map(str, arguments)])
    return int(left.value.code or 0)


def test_it_says_where_the_page_is(surveys, tmp_path, capsys):
    assert run(surveys[1], "-o", tmp_path / "new" / "out") == 0
    assert (tmp_path / "new" / "out" / "report.html").is_file()
    assert str(tmp_path / "new" / "out" / "report.html") in capsys.readouterr().out


@pytest.fixture
def copy(surveys: tuple[Path, Path], tmp_path: Path) -> Path:
    """A survey that may be spoiled."""
    shutil.copytree(surveys[1], tmp_path / "copy")
    return tmp_path / "copy"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert run(*arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("headscope: ")
    return error


def test_directories_that_hold_no_finished_survey(copy, tmp_path, capsys):
    out = tmp_path / "out"
    assert "is no directory" in refused(capsys, tmp_path / "nowhere", "-o", out)
    assert "has no manifest.json" in refused(capsys, tmp_path, "-o", out)
    assert "is named twice" in refused(capsys, copy, copy, "-o", out)
    (copy / "left_out.parquet").unlink()
    assert "is not finished: left_out" in refused(capsys, copy, "-o", out)
    (copy / "manifest.json").write_text("{")
    assert "is no JSON" in refused(capsys, copy, "-o", out)
    (copy / "manifest.json").write_text("{}")
    assert "is no manifest of a survey" in refused(capsys, copy, "-o", out)
    assert not out.exists()


@pytest.mark.parametrize("name", ["statistics", "hubs", "left_out", "vocabulary"])
def test_a_table_that_cannot_be_read(copy, tmp_path, capsys, name):
    (copy / f"{name}.parquet").write_bytes(b"PAR1 and nothing more")
    assert "cannot be read" in refused(capsys, copy, "-o", tmp_path / "out")


def test_shards_that_are_gone(copy, tmp_path, capsys):
    shutil.rmtree(copy / "shards")
    assert "is not finished: shard 0 is not there" in refused(capsys, copy, "-o", tmp_path / "out")


def test_tables_of_another_version(copy, tmp_path, capsys):
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"formula": 1}))
    assert "has formula 1, and this version of headscope reads formula 3" in refused(capsys, copy, "-o", tmp_path / "x")


def test_an_output_that_holds_something_else(copy, tmp_path, capsys):
    assert "holds something else" in refused(capsys, copy, "-o", copy)
    (tmp_path / "file").write_text("")
    assert "is no directory but a file" in refused(capsys, copy, "-o", tmp_path / "file")
    (tmp_path / "mine" / "figures").mkdir(parents=True)
    (tmp_path / "mine" / "figures" / "mine.svg").write_text("<svg/>")
    assert "holds something else (figures)" in refused(capsys, copy, "-o", tmp_path / "mine")


def test_without_the_extra(copy, tmp_path, capsys, monkeypatch):
    drawn = ("headscope.studies.survey.report", "headscope.show.charts")
    for name in [name for name in sys.modules if name.startswith(drawn)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert 'pip install "headscope[survey]"' in refused(capsys, copy, "-o", tmp_path / "out")


def test_a_directory_whose_link_leads_in_a_circle_is_refused(capsys, tmp_path):
    (tmp_path / "circle").symlink_to("circle/inside")
    assert "circle' is no directory" in refused(capsys, tmp_path / "circle", "-o", tmp_path / "x")
