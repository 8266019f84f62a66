"""What goes on beside a program neither keeps it from ending nor takes its exit code from it."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

# Each operation waits for the interpreter below C++.
PROGRAM = """
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


@pytest.mark.slow
def test_what_computes_without_end_is_ended_with_the_program() -> None:
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")
