"""What goes on beside a program neither keeps it from ending nor takes its exit code from it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

# Each operation waits for the interpreter below C++.
COMPUTES = """
    import threading, time
    import torch
    from headscope.cores import beside
    from headscope.question.stopping import stop_point

    def work():
        many = torch.zeros(20_000)
        began.set()
        while True:
            many.add_(1)
            stop_point()

    began = threading.Event()
    beside.start(work, "work")
    began.wait()
    time.sleep(0.05)
    print("done", flush=True)
"""
LOADS = """
    import time
    from headscope.neighbors.scan import backends

    backends.warm_up()
    time.sleep({seconds})
    print("done", flush=True)
"""


def ended(program: str, **environment: str) -> tuple[int, str, str]:
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return ran.returncode, ran.stdout, ran.stderr


@pytest.mark.slow
def test_what_computes_without_end_is_ended_with_the_program() -> None:
    assert ended(COMPUTES) == (0, "done\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.2, 0.6, 1.0, 1.4])
def test_a_program_may_end_while_the_compiled_search_is_loaded(seconds: float) -> None:
    pytest.importorskip("numba")
    assert ended(LOADS.format(seconds=seconds)) == (0, "done\n", "")


@pytest.mark.slow
def test_nor_is_the_compiling_of_the_first_time_waited_for(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    assert ended(LOADS.format(seconds=4), NUMBA_CACHE_DIR=str(tmp_path)) == (0, "done\n", "")
    kept = {path.name.split("-")[0] for path in tmp_path.rglob("*.nbc")}
    assert not any("scan_head" in name for name in kept)  # it takes the longest by far
