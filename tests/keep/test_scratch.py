"""A folder of one run, and what becomes of it however the run ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from headscope.keep.scratch import Scratch

PREFIX = "headscope-try-"
_STAYS = f"""
import time
from headscope.keep.scratch import Scratch

mine = Scratch({PREFIX!r})
(mine.folder / "shard").write_bytes(b"much")
print(mine.folder, flush=True)
time.sleep(600)
"""


@pytest.fixture
def below(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_it_goes_with_its_run(below):
    mine = Scratch(PREFIX)
    assert mine.folder.is_dir()
    assert not list(mine.folder.iterdir())
    del mine
    assert not list(below.iterdir())


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_what_a_killed_run_leaves_goes_when_another_begins_and_a_living_ones_stays(below, sent):
    with _running() as (one, gone), _running() as (_, alive):
        one.send_signal(sent)
        one.wait()
        assert Path(gone).is_dir()
        foreign = below / f"{PREFIX}of-something-else"
        foreign.mkdir()
        mine = Scratch(PREFIX)
        assert {str(path / "work") for path in below.iterdir()} == {alive, str(mine.folder), str(foreign / "work")}
        assert (Path(alive) / "shard").read_bytes() == b"much"


@contextmanager
def _running() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A run at work, and where."""
    with subprocess.Popen([sys.executable, "-c", _STAYS], stdout=subprocess.PIPE, text=True) as run:
        try:
            assert run.stdout is not None
            yield run, run.stdout.readline().strip()
        finally:
            run.kill()
