"""Texts from standard input: kept, gone on with, and never lost to others."""

from __future__ import annotations

import io
import os
import sys

import pytest
import zoo

from headscope import Scope
from headscope.commands.cli import main
from headscope.errors import InputError
from headscope.studies.survey import run as running
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.run import Survey
from tests.studies.survey.corpora import sentences, surveyed, table, written

ONE, OTHER = ("\n".join(sentences(8, seed)).encode() + b"\n" for seed in (0, 1))


def prepared(scope: Scope, directory, raw: bytes, **options) -> Survey:
    return Survey.prepare(scope, ["-"], directory, SurveyOptions(**options), standard_input=io.BytesIO(raw))


@pytest.fixture
def scope(scope_of):
    return scope_of("bert")


@pytest.fixture
def directory(scope, tmp_path):
    """That of a finished survey of standard input."""
    prepared(scope, tmp_path / "s", ONE).run()
    return tmp_path / "s"


def left(directory) -> bytes:
    """What is kept; nothing else is left of what came."""
    assert not list(directory.glob(".unfinished*"))
    return (directory / "stdin").read_bytes()


@pytest.mark.slow(cases=2)
@pytest.mark.parametrize(
    ("raw", "options", "said"),
    [
        (OTHER, {}, "is a survey of other texts than those on standard input"),
        (ONE, {"seed": 3}, "options.seed is 0 there and 3 here"),
        (OTHER, {"seed": 3}, "options.seed is 0 there and 3 here"),
        (b"\xff\n\n\xfe\n", {}, "there is no text to read: 2 × not UTF-8"),
    ],
)
def test_what_is_kept_is_not_lost_to_other_texts_or_options(scope, directory, raw, options, said):
    with pytest.raises(InputError, match=said):
        prepared(scope, directory, raw, **options)
    assert left(directory) == ONE
    prepared(scope, directory, ONE).run()


def test_nor_to_the_texts_of_another_model(directory):
    with pytest.raises(InputError, match=r"model\.weights_sha256"):
        prepared(Scope.from_model(*zoo.build("bert", seed=1)), directory, OTHER)
    assert left(directory) == ONE


def test_with_nothing_on_standard_input_it_goes_on_with_what_is_kept(scope, directory):
    before = table(directory, "rows")
    (directory / "statistics.parquet").unlink()
    prepared(scope, directory, b"").run()
    assert (directory / "statistics.parquet").is_file()
    assert table(directory, "rows").equals(before)
    assert left(directory) == ONE


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        raise AssertionError("nobody types the texts again")


@pytest.mark.slow
def test_a_terminal_is_nothing_on_standard_input(scope, directory):
    Survey.prepare(scope, ["-"], directory, SurveyOptions(), standard_input=Terminal()).run()
    assert left(directory) == ONE


@pytest.mark.slow
def test_a_closed_standard_input_is_nothing_too(scope, directory, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    Survey.prepare(scope, ["-"], directory, SurveyOptions()).run()
    with pytest.raises(InputError, match="nothing came on standard input"):
        Survey.prepare(scope, ["-"], tmp_path / "new", SurveyOptions())
    assert not (tmp_path / "new").exists()


@pytest.mark.long
def test_the_same_texts_mend_what_is_kept(scope, directory):
    damaged = bytearray(ONE)
    damaged[5] ^= 2
    (directory / "stdin").write_bytes(damaged)
    with pytest.raises(InputError, match=r"or than what is left of them in .*stdin: give the same ones"):
        prepared(scope, directory, b"")
    prepared(scope, directory, ONE).run()
    assert left(directory) == ONE


def test_what_a_run_without_a_manifest_left_is_not_lost_either(scope, tmp_path):
    (tmp_path / "stdin").write_bytes(ONE)
    with pytest.raises(InputError, match="keeps other texts from standard input: remove it, or name another"):
        prepared(scope, tmp_path, OTHER)
    assert left(tmp_path) == ONE
    prepared(scope, tmp_path, b"").run()


def test_it_is_in_its_place_before_the_manifest_says_so(scope, tmp_path, monkeypatch):
    def claim(directory, manifest):
        assert left(directory) == ONE
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "claim", claim)
    with pytest.raises(KeyboardInterrupt):
        prepared(scope, tmp_path / "s", ONE)


@pytest.mark.parametrize("raw", [b"", b"\xff\n"])
def test_texts_that_are_none_leave_no_directory(scope, tmp_path, raw):
    with pytest.raises(InputError, match=r"nothing came on standard input|no text to read"):
        prepared(scope, tmp_path / "s", raw)
    assert not (tmp_path / "s").exists()


def test_it_is_read_once(scope, tmp_path):
    with pytest.raises(InputError, match="- is named twice"):
        Survey.prepare(scope, ["-", "-"], tmp_path / "s", SurveyOptions(), standard_input=io.BytesIO(ONE))


def test_a_directory_of_something_else_keeps_it(scope, tmp_path):
    for name in ("stdin", "letter.txt"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=r"holds other files \(letter\.txt\)"):
        prepared(scope, tmp_path, ONE)
    assert sorted(os.listdir(tmp_path)) == ["letter.txt", "stdin"]
    assert left(tmp_path) == b"mine"


@pytest.mark.long
def test_files_beside_it_are_read_in_order(scope, tmp_path):
    path = written(tmp_path / "t.txt", sentences(4, seed=3))
    Survey.prepare(scope, [path, "-"], tmp_path / "s", SurveyOptions(), standard_input=io.BytesIO(ONE)).run()
    found = table(tmp_path / "s", "texts")
    assert found.source.tolist() == [str(path)] * 4 + ["standard input"] * 8
    both = written(tmp_path / "both.txt", [*sentences(4, seed=3), *ONE.decode().splitlines()])
    assert found.content.tolist() == table(surveyed(scope, both, tmp_path / "both"), "texts").content.tolist()


@pytest.mark.slow
def test_the_command_line_goes_on_with_an_empty_standard_input(tmp_path, monkeypatch, capsys):
    model = str(zoo.save("bert", tmp_path / "model"))
    for raw, code in ((ONE, 0), (b"", 0), (OTHER, 2)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        try:
            main(["survey", "-", "-o", str(tmp_path / "s"), "--model", model])
            left_with = 0
        except SystemExit as leave:
            left_with = leave.code or 0
        assert left_with == code, capsys.readouterr().err
    assert "other texts than those on standard input" in capsys.readouterr().err
    assert left(tmp_path / "s") == ONE
