"""Peak memory above the loaded model, of a survey-like run and of a long text, each in a process of its own."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.timing import machine

NAMES = ("roberta-base size", "demo")
LONG = "a text of 512 tokens, roberta-base size"


def run() -> dict[str, object]:
    """Bytes resident of both models; the process also holds the compiled search, which is loaded before."""
    found = {}
    for name in (*NAMES, LONG):
        done = subprocess.run([sys.executable, "-m", "benchmarks.memory", name], capture_output=True, check=True)
        found[name] = json.loads(done.stdout)
    return {"machine": machine(), **found}


def _measure(name: str) -> dict[str, Any]:
    from benchmarks.models import TEXT, roberta_base
    from benchmarks.survey import problem
    from headscope import Scope
    from headscope.neighbors import warm_up
    from headscope.question.choices import METRICS

    warm_up(wait=True)
    scope = Scope.from_model(*roberta_base()) if name == NAMES[0] else Scope.from_pretrained("demo")
    scope.read(TEXT)
    before = resident()
    watched = _Peak()
    asked = problem(scope, 0, 0)
    encoded = watched.highest
    asked.search("auto", *METRICS)
    table = asked.table.nbytes
    above = watched.stop() - before
    return {
        "packed_vocabulary": table,
        "above_the_model": above,
        "of_it_while_encoding": encoded - before,
        "ratio": above / table,
    }


def _measure_long_text() -> dict[str, Any]:
    from benchmarks.models import TEXT, roberta_base
    from headscope import Scope

    scope = Scope.from_model(*roberta_base())
    scope.read(TEXT)
    before = resident()
    watched = _Peak()
    reading = scope.read(" ".join(["time"] * 510))
    reading.pattern_of(5)
    above = watched.stop() - before
    heads = sum(part.nbytes for part in (reading.q, reading.k, reading.v, reading.z))
    one, layers = 4 * scope.card.heads * len(reading.tokens) ** 2, scope.card.layers
    return {
        "tokens": len(reading.tokens),
        "above_the_model": above,
        "q_k_v_z": heads,
        "one_layers_pattern": one,
        "all_patterns": one * layers,
        "bound": 2 * heads + 8 * one,
        "ratio": above / (2 * heads + 8 * one),
    }


def resident() -> int:
    """Bytes resident now."""
    return _status("VmRSS")


def begin_peak() -> None:
    """Have `peak` count from now on."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")


def peak() -> int:
    """The most bytes that were resident at a time, as the system counts it."""
    return _status("VmHWM")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise OSError("resident memory is read from /proc, which this system has not")


class _Peak:
    """The highest resident memory since it was made, looked at every 2 ms."""

    def __init__(self) -> None:
        self.highest, self._going = resident(), True
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while self._going:
            self.highest = max(self.highest, resident())
            time.sleep(0.002)

    def stop(self) -> int:
        self._going = False
        self._thread.join()
        return max(self.highest, resident())


if __name__ == "__main__":
    print(json.dumps(_measure_long_text() if sys.argv[1] == LONG else _measure(sys.argv[1])))
