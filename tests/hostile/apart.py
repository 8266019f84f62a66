"""A process beside the tests, in which examples are tried one after another: what hangs or grows there is ended."""

from __future__ import annotations

import multiprocessing
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.hostile import laws

_LOOK = 0.2  # seconds between two looks at what an example uses


class Apart:
    """Tries examples with `attempt` in a process of its own, which has all that this one has.

    Called with an example, it raises AssertionError with whatever was raised there, and where the process hangs, grows
    beyond bounds or dies; another takes its place then.
    """

    def __init__(
        self, attempt: Callable[[Any], object], seconds: float = laws.SECONDS, megabytes: int = laws.MEGABYTES
    ) -> None:
        self._attempt, self._seconds, self._megabytes = attempt, seconds, megabytes
        self._process: Any = None
        self._line: Connection | None = None

    def __call__(self, example: object) -> None:
        if self._line is None:
            self._begin()
        assert self._line is not None
        self._line.send(example)
        broken = self._answer()
        if broken is not None:
            raise AssertionError(f"{str(example)[:2000]}: {broken}")

    def end(self) -> None:
        """End the process, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._process = self._line = None

    def _begin(self) -> None:
        fork = multiprocessing.get_context("fork")
        self._line, theirs = fork.Pipe()
        self._process = fork.Process(target=self._serve, args=(theirs,), daemon=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # other threads do not come along: see _serve
            self._process.start()
        theirs.close()

    def _answer(self) -> str | None:
        """What went wrong, in words; None: nothing."""
        assert self._line is not None
        end, least = time.monotonic() + self._seconds + 5, _resident(self._process.pid)
        while not self._line.poll(_LOOK):
            grown = _resident(self._process.pid) - least
            if time.monotonic() > end or grown > 2 * self._megabytes:
                self.end()
                return f"it did not end: {self._seconds:.0f} s are over, or it has {grown:,} MiB more than before"
        try:
            told: str | None = self._line.recv()
            return told
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            self.end()
            return f"the process died ({code})"

    def _serve(self, line: Connection) -> None:
        while True:
            try:
                example = line.recv()
            except EOFError:
                return
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the highest memory is this example's own
            told = None
            try:
                with laws.in_time(self._seconds), laws.in_memory(self._megabytes):
                    self._attempt(example)
            except BaseException as broken:  # told to whoever asked
                told = "".join(traceback.format_exception(broken))
            line.send(told)


def _resident(process: int) -> int:
    """MiB of a process in memory."""
    try:
        pages = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()
    except OSError:  # it has ended
        return 0
    return int(pages[1]) // 256 if len(pages) > 1 else 0


@contextmanager
def apart(attempt: Callable[[Any], object], seconds: float = laws.SECONDS) -> Iterator[Apart]:
    """An `Apart` that is ended with the block."""
    made = Apart(attempt, seconds)
    try:
        yield made
    finally:
        made.end()
