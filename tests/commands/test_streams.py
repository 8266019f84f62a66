"""What a command's outputs are connected to: another encoding, nothing, a full disk, a reader that left."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from commands.conftest import NASTY

from headscope import Scope
from headscope.commands import streams
from headscope.commands.asking import CHOICES
from headscope.commands.cli import main

OPEN = Scope.from_pretrained
TEXT = "café in the 海 " + " ".join(NASTY)
VIEWS = [*CHOICES["view"], "hubs", "why"]


def of(view):
    return {"hubs": ["--hubs"], "why": ["--why", "1"]}.get(view, ["--view", view])


@pytest.fixture(scope="module")
def everything(model):
    """The whole vocabulary is listed."""
    return ["-k", str(json.loads((Path(model) / "config.json").read_text())["vocab_size"])]


@cache
def opened(model):
    return OPEN(model)


@pytest.fixture
def shared(monkeypatch):
    """A model is opened once for all who read it: what is asked here is where its answers go."""
    monkeypatch.setattr(Scope, "from_pretrained", lambda model, *more, **others: opened(model))


def obeyed(shown):
    """The characters that a terminal would obey."""
    return {c for c in shown if c != "\n" and (c < " " or "\x7f" <= c <= "\x9f" or "\u202a" <= c <= "\u202e")}


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_table_is_written_in_any_encoding(run, model, view, encoding):
    code, out, err = run("look", TEXT, "--model", model, *of(view), "--token", 2, encoding=encoding)
    assert (code, err) == (0, b"")
    shown = out.decode(encoding)
    assert "capture error" in shown
    assert "?" not in shown.replace("\\u", "")


@pytest.mark.slow
def test_what_the_encoding_has_is_written_as_it_is_and_the_rest_alike_or_escaped(run, model):
    plain = run("look", TEXT, "--model", model, "--token", 2)[1].decode()
    western = run("look", TEXT, "--model", model, "--token", 2, encoding="cp1252")[1].decode("cp1252")
    american = run("look", TEXT, "--model", model, "--token", 2, encoding="ascii")[1].decode("ascii")
    assert "·" in plain
    assert "▸" in plain
    assert "·" in western
    assert "▸" not in western
    assert "> own token" in western
    assert "> own token - * another token" in american


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("form", ["--json", "--csv"])
@pytest.mark.parametrize("view", VIEWS[:-1])
def test_json_and_csv_are_the_same_utf_8_whatever_the_encoding(run, model, view, form):
    command = ("look", TEXT, "--model", model, *of(view), "--token", 2, form)
    code, out, _ = run(*command)
    assert code == 0
    assert run(*command, encoding="cp1252") == run(*command, encoding="ascii") == (0, out, b"")
    if form == "--json":
        assert json.loads(out.decode())["text"] == TEXT
    else:
        assert len(list(csv.reader(io.StringIO(out.decode(), newline="")))) > 1


@pytest.mark.slow(cases=9)
@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("form", ["", "--json", "--csv"])
def test_a_token_that_a_terminal_would_obey_never_reaches_it(run, model, everything, view, form):
    if (view, form) == ("why", "--csv"):
        pytest.skip("a table of why is refused")
    many = everything if view in ("heads", "hubs", "why") else []
    code, out, _ = run("look", TEXT, "--model", model, *of(view), *many, *filter(None, [form]))
    assert code == 0
    assert not obeyed(out.decode()) - {"\u202e"} if form else not obeyed(out.decode())


@pytest.mark.slow
def test_brackets_and_colons_in_a_token_are_no_markup(run, model, everything):
    shown = run("look", TEXT, "--model", model, "--token", "[/b]", "--why", 1, *everything)[1].decode()
    assert "[/b]" in shown
    assert ":x:" in shown


def test_a_cell_of_a_csv_is_no_formula(run, model, everything):
    out = run("look", TEXT, "--model", model, *everything, "--metric", "dot", "--csv")[1].decode()
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    assert "'=SUM(A1)" in {row["token"] for row in rows}
    assert not [row for row in rows if row["token"].startswith(("=", "+", "-", "@"))]
    assert min(float(row["distance"]) for row in rows) < 0  # a number is none


@pytest.mark.long
@pytest.mark.parametrize(
    "command",
    [
        ["models", "--verify", "MODEL"],
        ["map", "-o", "OUT.svg", "--model", "MODEL", "--method", "pca", "--size", "50"],
        ["survey", "TEXTS", "-o", "OUT", "--model", "MODEL"],
        pytest.param(["report", "SURVEY", "-o", "OUT"], marks=pytest.mark.slow),
        ["claims", "MODEL", "--survey", "SURVEY", "-o", "OUT"],
        ["capacity", "MODEL", "--texts", "TEXTS", "-o", "OUT", "--site", "z", "--keep", "0.5"],
        ["lens", "TEXTS", "-o", "OUT.safetensors", "--model", "MODEL"],
        ["recovery", "TEXTS", "--model", "MODEL", "--offset", "0", "--no-heads"],
        ["look", "--help"],
        ["look", "--nosuch"],
    ],
    ids=lambda command: command[0] + command[-1].removeprefix("-") * (command[0] == "look"),
)
def test_every_command_is_written_in_ascii(run, model, texts, survey, tmp_path, command):
    places = {"MODEL": model, "TEXTS": texts, "SURVEY": survey, "OUT": tmp_path / "out"}
    places |= {f"OUT{end}": tmp_path / f"out{end}" for end in (".svg", ".safetensors")}
    code, out, err = run(*(places.get(word, word) for word in command), encoding="ascii")
    assert code == (2 if "--nosuch" in command else 0), err
    assert out.isascii()
    assert err.isascii()
    assert b"Traceback" not in err


def ended(*arguments):
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return left.value.code


ANSWERS = [["look", "--help"], ["--version"], ["models", "--json"], ["look", "--json"], ["look"], ["look", "--csv"]]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("arguments", ANSWERS, ids=" ".join)
def test_an_output_that_is_full_is_a_sentence(model, monkeypatch, capfd, arguments):
    of_model = ["--model", model] if arguments[0] == "look" else []
    with open("/dev/full", "w") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        code = ended(*arguments, *of_model)
    assert code == 1
    assert capfd.readouterr().err == "headscope: standard output cannot be written: No space left on device.\n"


@pytest.mark.parametrize("arguments", ANSWERS, ids=" ".join)
def test_a_reader_that_left_is_no_error(model, monkeypatch, capfd, arguments):
    of_model = ["--model", model] if arguments[0] == "look" else []
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w") as left, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", left)
        code = ended(*arguments, *of_model)
    assert (code, capfd.readouterr().err) == (141, "")


@pytest.mark.parametrize("arguments", ANSWERS, ids=" ".join)
def test_an_output_that_is_closed_is_a_sentence_where_there_is_something_to_say(model, monkeypatch, capfd, arguments):
    of_model = ["--model", model] if arguments[0] == "look" else []
    for name in ("stdin", "stdout"):
        monkeypatch.setattr(sys, name, None)
    assert ended(*arguments, *of_model) == 1
    assert capfd.readouterr().err == "headscope: standard output cannot be written: it is closed.\n"
    monkeypatch.setattr(sys, "stderr", None)
    assert ended(*arguments, *of_model) == 1


def test_a_mistake_is_the_same_where_standard_output_is_closed(monkeypatch, capfd):
    monkeypatch.setattr(sys, "stdout", None)
    assert ended("look", "--nosuch") == 2
    assert capfd.readouterr().err.startswith("headscope: no such option: --nosuch")


def test_what_a_server_says_is_done_without(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with streams.standard_streams() as out:
        streams.not_needed()
        streams.say("headscope is at http://127.0.0.1:1")
        assert out.fault is None
    with streams.standard_streams() as out:
        streams.say("the answer")
        assert str(out.fault) == "[Errno 9] it is closed"


@pytest.mark.slow
def test_what_was_written_is_kept_when_the_last_line_cannot_be_said(model, texts, tmp_path, monkeypatch, capfd):
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w") as left, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", left)
        assert ended("lens", texts, "-o", tmp_path / "lens", "--model", model) == 141
    assert (tmp_path / "lens").stat().st_size > 1000


@pytest.mark.slow(cases=2)
@pytest.mark.parametrize(
    ("redirected", "code", "said"),
    [
        (">/dev/full", 1, b"headscope: standard output cannot be written: No space left on device.\n"),
        (">&-", 1, b"headscope: standard output cannot be written: it is closed.\n"),
        ("| :", 141, b""),
        ("<&- >&- 2>&-", 1, b""),
        ("--nosuch 2>/dev/full", 2, b""),
        ("--nosuch 2>&-", 2, b""),
    ],
)
def test_a_process_ends_so_too(redirected, code, said):
    line = f"exec 3>&2; set -o pipefail; {sys.executable} -m headscope look --help {redirected}"
    if redirected == "| :":  # the reader is gone before anything is written
        line = f"set -o pipefail; (sleep 1; exec {sys.executable} -m headscope look --help) {redirected}"
    # What could not be written stays in a buffer, and is tried once more when Python ends.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    ran = subprocess.run(["bash", "-c", line], capture_output=True, check=False, env=buffered)
    assert (ran.returncode, ran.stderr) == (code, said)
