"""Programs of their own that start at once: forked from one that has imported what takes seconds.

For what is about a process (one that is killed, one that is watched from outside) and not about how Python starts:
that, `python -m headscope` does. Environment variables that libraries read when they are imported are those of the
tests.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    [
        *("torch", "torch._dynamo", "transformers.modeling_utils", "transformers.models.auto.modeling_auto"),
        *("headscope.app.server", "headscope.commands.cli", "headscope.commands.look", "headscope.studies.survey.run"),
        *("numba", "pandas", "headscope.studies.survey.statistics"),
    ]
)

HEADSCOPE = "import sys; from headscope.commands.cli import main; main(sys.argv[1:])"


class Program:
    """Python code that runs in a process of its own, as subprocess.Popen has it; what it prints is kept in files."""

    def __init__(
        self,
        code: str,
        *arguments: object,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        number = len(list(folder.glob("*.out")))
        self._said = folder / f"{number}.out", folder / f"{number}.err"
        for file in self._said:
            file.touch()
        self._process: ForkServerProcess = _FORKS.Process(
            target=_run,
            args=(code, [*map(str, arguments)], dict(environment or os.environ), cwd or Path.cwd(), self._said),
            daemon=True,  # ends with the tests
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def out(self) -> str:
        return self._said[0].read_text("utf-8")

    @property
    def err(self) -> str:
        return self._said[1].read_text("utf-8")

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, seconds: float = 300) -> int:
        self._process.join(seconds)
        code = self._process.exitcode
        assert code is not None, f"it has not ended within {seconds} s, and says: {self.out}{self.err}"
        return code

    def kill(self) -> None:
        """SIGKILL: it has no time to put anything in order."""
        self._process.kill()

    def until(self, there: Callable[[], object], seconds: float = 300) -> None:
        """Wait until something is there, or the program has ended."""
        end = time.monotonic() + seconds
        while not there() and self.poll() is None:
            assert time.monotonic() < end, f"it is not there within {seconds} s; the program says: {self.out}{self.err}"
            time.sleep(0.005)


def _run(code: str, arguments: list[str], environment: dict[str, str], cwd: Path, said: tuple[Path, Path]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for number, file in enumerate(said, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_APPEND), number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
    sys.argv = ["-c", *arguments]
    exec(compile(code, "<program>", "exec"), {"__name__": "__main__"})
