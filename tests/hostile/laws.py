"""The laws that no input may break, whatever it is: requests, directories, texts, command lines.

Each is a function or a context that raises AssertionError with what broke it. tests/hostile/test_planted.py breaks
each on purpose.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings

from headscope.neighbors import warm_up
from tests.app.browsers import PATIENCE

SECONDS = 10 * PATIENCE  # PATIENCE: this machine may have other work
MEGABYTES = 1024
# What only a program's own innards would say.
_TRACE = re.compile(r"Traceback \(most recent call last\)|\n\s+File \"[^\"]+\", line \d+|\bat 0x[0-9a-f]{6,}")
_RUNS = {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pickle.find_class"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CHANGES = {"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}


def of_so_many(examples: int) -> settings:
    """Hypothesis makes the same examples every time, and looks for no smaller one: what hangs would hang again."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def answers_in_order(status: int) -> None:
    """An answer is never a server's failure, but for "come back later"."""
    assert status < 500 or status == 503, f"the status is {status}"


def tells_no_trace(text: str) -> None:
    """No traceback and no object's address is told."""
    found = _TRACE.search(text)
    assert found is None, f"a traceback was told: {text[max(0, found.start() - 200) : found.end() + 200]!r}"


def is_a_sentence(text: str) -> None:
    """What is refused is refused in a sentence of bearable length."""
    tells_no_trace(text)
    assert text.endswith("."), f"no sentence: {text[:300]!r}"
    assert len(text) < 1500, f"a sentence of {len(text):,} letters: {text[:300]!r}"


def tells_no_path(text: str, secret: Iterable[str | Path], given: Iterable[str] = ()) -> None:
    """No path of the host stands in an answer, but one that the user gave."""
    for one in sorted(given, key=len, reverse=True):
        text = text.replace(one, "")
    for path in secret:
        assert str(path) not in text, f"{path} was told: {text[:500]!r}"


@contextmanager
def in_time(seconds: float = SECONDS) -> Iterator[None]:
    """What is asked ends within some seconds of this process, and whatever else the machine does it ends."""
    start, begun = time.monotonic(), time.process_time()
    yield
    spent, waited = time.process_time() - begun, time.monotonic() - start
    assert spent <= seconds, f"it took {spent:.1f} s of the processor, more than {seconds:.0f}"
    assert waited <= 10 * seconds, f"it took {waited:.1f} s, more than {10 * seconds:.0f}"


@contextmanager
def in_memory(megabytes: int = MEGABYTES) -> Iterator[None]:
    """The process does not grow by more than that."""
    before = _resident()
    yield
    grown = (_resident() - before) / 2**20
    assert grown <= megabytes, f"the process grew by {grown:.0f} MiB, more than {megabytes}"


def _resident() -> int:
    """Bytes of this process in memory, at their highest since it began."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


@dataclass
class _Watch:
    """What this process did while it was watched."""

    allowed: tuple[Path, ...]
    ran: list[str] = field(default_factory=list)
    wrote: list[str] = field(default_factory=list)

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _RUNS:
            self.ran.append(f"{event} {arguments!r}"[:300])
        elif event in _CHANGES or (event == "open" and arguments[2] & _WRITING):
            self._changed(arguments[0], arguments[1] if event in ("os.remove", "os.rmdir") else -1)

    def _changed(self, path: Any, folder: int) -> None:
        if isinstance(path, int):  # a file that is open already
            return
        beside = os.readlink(f"/proc/self/fd/{folder}") if folder >= 0 else ""  # a tree is removed from inside
        where = Path(os.path.abspath(os.path.join(beside, os.fsdecode(path))))
        # Python keeps the bytecode of what it imports, and /dev holds no files.
        # /dev holds no files; Python keeps the bytecode of what it imports, and hypothesis what failed.
        harmless = where.parts[1] == "dev" or {"__pycache__", ".hypothesis"} & set(where.parts)
        if not harmless and not any(where.is_relative_to(one) for one in self.allowed):
            self.wrote.append(str(where))


_watches: list[_Watch] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    for watch in list(_watches):
        watch.note(event, arguments)


sys.addaudithook(_hook)


@contextmanager
def nothing_run(*allowed: Path, canary: Path | None = None) -> Iterator[None]:
    """No program, shell or pickle is run, and nothing is written outside the `allowed` directories, by any thread.

    Python's own audit events tell it; `canary` is a file that a payload would leave.
    """
    importlib.import_module("matplotlib.figure")  # makes its own folders when it is first loaded
    warm_up(wait=True)  # a scope loads the compiled search meanwhile, whose own files numba unpickles
    watch = _Watch(tuple(path.resolve() for path in allowed))
    _watches.append(watch)
    try:
        yield
    finally:
        _watches.remove(watch)
    assert not watch.ran, f"something was run: {watch.ran[:3]}"
    assert not watch.wrote, f"something was written: {watch.wrote[:3]}"
    assert canary is None or not canary.exists(), f"a payload was run: it left {canary}"
