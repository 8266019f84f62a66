"""Where commands write: only regular files and directories, whole or not at all, under any name."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from aside import Program

from headscope.keep import files
from headscope.studies.probes import LinearLens

ODD = os.fsdecode(b"caf\xe9 \x1b[31m=1")  # a name that is no UTF-8, and that a terminal would obey


def lens(model, texts, output):
    return ["lens", texts, "-o", output, "--model", model, "--sample", "20"]


def drawn(model, output):
    return ["map", "-o", output, "--model", model, "--method", "pca", "--size", "50"]


def test_no_lens_takes_the_place_of_a_device(run, model, texts, tmp_path):
    device = tmp_path / "link"
    device.symlink_to("/dev/null")
    for place in ("/dev/null", device):
        code, _, err = run(*lens(model, texts, place))
        assert (code, b"is a device" in err) == (2, True)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert device.is_symlink()


def test_a_pipe_is_not_waited_for(run, model, texts, tmp_path):
    os.mkfifo(tmp_path / "pipe.svg")
    for command in (lens(model, texts, tmp_path / "pipe.svg"), drawn(model, tmp_path / "pipe.svg")):
        code, _, err = run(*command)
        assert (code, b"is a named pipe" in err) == (2, True)


@pytest.mark.slow
def test_a_lens_and_a_map_go_through_a_link_and_keep_the_files_mode(run, model, texts, tmp_path):
    for kind, command in (("lens", lens(model, texts, tmp_path / "lens")), ("svg", drawn(model, tmp_path / "map.svg"))):
        file, link = tmp_path / f"file.{kind}", Path(command[command.index("-o") + 1])
        file.write_text("before")
        file.chmod(0o600)
        link.symlink_to(file)
        assert run(*command)[0] == 0
        assert link.is_symlink()
        assert file.stat().st_size > 1000
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not list(tmp_path.glob(".*"))


def test_a_lens_whose_place_fills_up_meanwhile_is_kept_elsewhere(run, model, texts, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path / "cache"))
    write = files.write_bytes

    def full(path, what):
        if path.parent == tmp_path:
            raise OSError(28, "No space left on device")
        write(path, what)

    monkeypatch.setattr("headscope.keep.files.write_bytes", full)
    code, out, err = run(*lens(model, texts, tmp_path / "lens"))
    assert (code, out) == (2, b"")
    assert b"No space left on device" in err
    (kept,) = (tmp_path / "cache" / "lenses").iterdir()
    assert str(kept) in err.decode()
    assert LinearLens.load(kept).origin.count == 20
    assert not (tmp_path / "lens").exists()


@pytest.fixture
def odd(model, texts, tmp_path):
    """A directory of such a name, with a model and texts in it."""
    place = tmp_path / ODD
    place.mkdir()
    (place / "model").symlink_to(model)
    (place / "texts.txt").symlink_to(texts)
    return place


def all_end_well(run, commands, encoding):
    for command in commands:
        code, out, err = run(*command, encoding=encoding)
        assert code == 0, (command, err)
        assert b"\x1b" not in out + err
        assert b"Traceback" not in err


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_paths_that_are_no_utf_8_are_read_and_written(run, odd, encoding):
    look = ["look", "the sea", "--model", odd / "model"]
    made = [lens(odd / "model", odd / "texts.txt", odd / "lens"), drawn(odd / "model", odd / "map.json")]
    all_end_well(run, [[*look, "--json"], look, *made], encoding)
    json.loads((odd / "map.json").read_text("utf-8"))


@pytest.mark.long
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_studies_of_what_lies_there_are_made(run, odd, tmp_path, encoding):
    model, texts = odd / "model", odd / "texts.txt"
    survey = ["survey", texts, "-o", tmp_path / "done", "--model", model, "--reference", "layer"]
    claims = ["claims", model, "--texts", texts, "-o", tmp_path / "claims"]
    report = ["report", tmp_path / "done", "-o", tmp_path / "report"]
    capacity = ["capacity", model, "--texts", texts, "-o", tmp_path / "c", "--site", "z"]
    all_end_well(run, [survey, survey, report, claims, claims, capacity], encoding)
    for name in ("claims/claims.json", "done/manifest.json"):
        json.loads((tmp_path / name).read_text("utf-8"))


@pytest.mark.long
def test_tables_are_not_kept_under_a_name_that_is_no_utf_8(run, model, texts, survey, tmp_path):
    for command in (
        ["survey", texts, "-o", tmp_path / ODD, "--model", model],
        ["report", survey, "-o", tmp_path / ODD],
        ["report", tmp_path / ODD, "-o", tmp_path / "out"],
        ["claims", model, "--survey", tmp_path / ODD],
        ["capacity", model, "--texts", texts, "-o", tmp_path / ODD],
    ):
        code, out, err = run(*command)
        assert (code, out, b"not UTF-8" in err, err.count(b"\n")) == (2, b"", True, 1)
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_a_page_that_cannot_be_written_leaves_the_earlier_one(run, survey, tmp_path, monkeypatch):
    out = tmp_path / "report"
    assert run("report", survey, "-o", out)[0] == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    written = files._put

    def full(what, beside):
        if len(list(beside.parent.glob(".unfinished-*"))) > 3:
            raise OSError(28, "No space left on device")
        written(what, beside)

    monkeypatch.setattr(files, "_put", full)
    code, _, err = run("report", survey, "-o", out)
    assert (code, b"No space left on device" in err) == (2, True)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


NO_HOME = (
    "import os, pwd, sys\n"
    "os.environ.pop('HOME', None)\n"
    "def nobody(uid): raise KeyError(uid)\n"
    "pwd.getpwuid = nobody  # as in a container, for a user of any number\n"
    "from headscope.commands.cli import main\nmain(sys.argv[1:])"
)


@pytest.mark.long
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(["look", "the sea", "--csv"], 0, "", marks=pytest.mark.slow),
        (["look", "the sea", "--reference", "isolated"], 2, "set HEADSCOPE_CACHE"),
        pytest.param(
            ["map", "-o", "m.svg", "--size", "60", "--perplexity", "5"], 0, "not kept", marks=pytest.mark.slow
        ),
        (["look", "the sea", "--space", "fitted", "--lens", "~/lens"], 2, "'~/lens'"),
    ],
)
def test_without_a_home_only_what_needs_one_is_refused(model, tmp_path, arguments, code, said):
    gone = ("HEADSCOPE_CACHE", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in gone}
    if "--csv" in arguments:  # this one with all that is imported, too
        command = [sys.executable, "-c", NO_HOME, *arguments, "--model", model]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
        ended, err = done.returncode, done.stderr
    else:
        ran = Program(
            NO_HOME, *arguments, "--model", model, folder=tmp_path / "said", environment=environment, cwd=tmp_path
        )
        ended, err = ran.wait(), ran.err
    assert ended == code, err
    assert said in err
    assert "Traceback" not in err


@pytest.mark.long
def test_a_cache_that_cannot_be_written_hinders_only_what_needs_it(run, model, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for cache in (tmp_path / "file", tmp_path / ("x" * 300)):
        monkeypatch.setenv("HEADSCOPE_CACHE", str(cache))
        assert run("look", "the sea", "--model", model)[0] == 0
        assert run("map", "-o", tmp_path / "m.svg", "--size", 60, "--perplexity", 5, "--model", model)[0] == 0
        code, out, err = run("look", "the sea", "--model", model, "--reference", "isolated")
        assert (code, out) == (1, b"")
        assert b"HEADSCOPE_CACHE" in err
        assert err.count(b"\n") == 1
