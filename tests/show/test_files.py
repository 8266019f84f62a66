"""A document as files: all of it or nothing, and what was begun is in nobody's way."""

from __future__ import annotations

import resource

import pytest

from headscope.errors import InputError
from headscope.keep.files import unfinished
from headscope.show.document import Report, Section
from headscope.show.files import foreign, write_document

HOLDS, MARKS = {"page.html", "page.md", "figures", "numbers"}, {"page.html"}
REPORT = Report("A title", "A summary", (Section("One", "one", ["Words."]),))
BESIDE = {"numbers/all.csv": "a\n1\n"}


def test_a_disk_that_is_full_leaves_nothing_that_would_bar_the_next_attempt(tmp_path):
    out = tmp_path / "out"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(InputError, match="out' cannot be written: File too large"):
            write_document(out, "page", REPORT, BESIDE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not out.exists()
    out.mkdir()  # and what was there stays
    (out / "figures").mkdir()
    assert write_document(out, "page", REPORT, BESIDE).is_file()


def test_what_a_killed_one_had_begun_is_not_somebody_elses_and_goes(tmp_path):
    for folder in (tmp_path, tmp_path / "figures", tmp_path / "numbers"):
        folder.mkdir(exist_ok=True)
        unfinished(folder).write_text("half")
    assert foreign(tmp_path, HOLDS, MARKS) == []
    write_document(tmp_path, "page", REPORT, BESIDE)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "all.csv",
        "figures",
        "numbers",
        "page.html",
        "page.md",
    ]
    unfinished(tmp_path).write_text("half")
    assert foreign(tmp_path, HOLDS, MARKS) == []


def test_folders_of_such_names_are_somebody_elses_where_there_is_no_page(tmp_path):
    (tmp_path / "numbers").mkdir()
    (tmp_path / "numbers" / "mine.csv").write_text("1")
    assert foreign(tmp_path, HOLDS, MARKS) == ["numbers"]
    (tmp_path / "page.html").touch()
    assert foreign(tmp_path, HOLDS, MARKS) == []
    (tmp_path / "mine.txt").touch()
    assert foreign(tmp_path, HOLDS, MARKS) == ["mine.txt"]
