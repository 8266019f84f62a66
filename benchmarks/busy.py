"""What a user waits for where other programs compute, beside what it takes on a quiet machine.

A warm click, a text, the first table, the first atlas, a warm one and the search of a small survey (240 positions in
one layer), in torch and compiled, and a click of the page over HTTP: quiet, with one core taken by two endless loops,
and beside 1 and 2 loops a core that may run anywhere.
All in one run, in turn; every figure is a median, and stands beside its ratio to the quiet one. `fair` is the ratio
that work of as many threads as there are cores comes to where each runs its fair share of the time. On a machine where
something else computes, "quiet" is not quiet, and the ratios say less.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count

from benchmarks.models import TEXT
from benchmarks.survey import problem
from benchmarks.timing import machine
from headscope import Scope
from headscope.cores.count import usable
from headscope.neighbors import backend_in_use, warm_up

ROUNDS, CLICKS, POSITIONS = 3, 5, 240
_LOOP = "while True: pass"


def run(model: str = "demo") -> dict[str, object]:
    """Median seconds of every task under every condition, and the ratios to the quiet machine."""
    backends = ["torch", "numba"] if backend_in_use() == "numba" else ["torch"]
    seen: dict[str, dict[str, list[float]]] = {}
    with ExitStack() as stack:
        asked = {backend: stack.enter_context(_worker(backend, model)) for backend in backends}
        asked["page"] = stack.enter_context(_page(model))
        for _ in range(ROUNDS):
            for name, (loops, pinned) in _conditions().items():
                with _beside(loops, pinned):
                    for who, ask in asked.items():
                        for task, seconds in ask().items():
                            seen.setdefault(f"{task}, {who}", {}).setdefault(name, []).append(seconds)
    medians = {
        task: {name: statistics.median(took) for name, took in conditions.items()} for task, conditions in seen.items()
    }
    return {
        "machine": machine() | {"usable cores": usable(), "model": model},
        "fair": {name: fair(usable(), loops, pinned) for name, (loops, pinned) in _conditions().items()},
        "ratios": {task: {name: took[name] / took["quiet"] for name in took} for task, took in medians.items()},
        "times": medians,
    }


def fair(cores: int, loops: int, pinned: bool) -> float:
    """How many times as long work of a thread a core takes, at its fair share of every core.

    >>> fair(2, 2, True), fair(2, 2, False), fair(2, 0, False)
    (1.5, 2.0, 1.0)
    """
    return cores / (cores - 1 + 1 / (loops + 1)) if pinned else (cores + loops) / cores


def _conditions() -> dict[str, tuple[int, bool]]:
    """How many endless loops there are, and whether they have one core together."""
    cores = usable()
    return {
        "quiet": (0, False),
        "one core taken by two": (2, True),
        "beside 1 a core": (cores, False),
        "beside 2 a core": (2 * cores, False),
    }


@contextmanager
def _beside(loops: int, pinned: bool) -> Iterator[None]:
    running = [subprocess.Popen([sys.executable, "-S", "-c", _LOOP]) for _ in range(loops)]
    try:
        for loop in running if pinned else []:
            os.sched_setaffinity(loop.pid, {max(os.sched_getaffinity(0))})
        time.sleep(0.3)  # until they are loops
        yield
    finally:
        for loop in running:
            loop.kill()
            loop.wait()


@contextmanager
def _worker(backend: str, model: str) -> Iterator[Callable[[], dict[str, float]]]:
    """A process with the model opened, that does every task once when it is asked; it waits for that asleep."""
    command = [sys.executable, "-m", "benchmarks.busy", backend, model]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    given, told = process.stdin, process.stdout

    def ask() -> dict[str, float]:
        given.write("\n")
        given.flush()
        answer: dict[str, float] = json.loads(told.readline())
        return answer

    try:
        told.readline()  # it is ready
        yield ask
    finally:
        process.kill()
        process.wait()


@contextmanager
def _page(model: str) -> Iterator[Callable[[], dict[str, float]]]:
    import httpx

    command = [sys.executable, "-m", "headscope", "serve", "--model", model, "--port", "0", "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    numbers = count(3)
    try:
        assert process.stdout is not None
        address = next(found[0] for line in process.stdout if (found := re.search(r"http://\S+", line)))
        with httpx.Client(base_url=address, timeout=300) as client:

            def click() -> None:
                # Another number of neighbours each time: an answer that is kept would need no search.
                asked = {"html": True, "text": TEXT, "token": 3, "layer": 1, "k": next(numbers)}
                client.post("api/v1/nearest", json=asked).raise_for_status()

            def ask() -> dict[str, float]:
                return {"click over HTTP": _median(click)}

            click()
            time.sleep(3)  # the compiled search is loaded meanwhile
            yield ask
    finally:
        process.terminate()
        process.wait()


def _median(task: Callable[[], object], times: int = CLICKS) -> float:
    return statistics.median(_seconds(task) for _ in range(times))


def _seconds(task: Callable[[], object]) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def _serve_tasks(backend: str, model: str) -> None:
    """In a process of its own: do every task once for each line that comes, and answer with its seconds."""
    if backend == "torch":
        sys.modules["numba"] = None  # type: ignore[assignment]  # as if it were not installed
    scope = Scope.from_pretrained(model)
    warm_up(wait=True)
    tasks = _Tasks(scope)
    tasks.all()  # what is done once in a process is not counted
    print("ready", flush=True)
    for _ in sys.stdin:
        print(json.dumps(tasks.all()), flush=True)


class _Tasks:
    """The tasks of one opened model; `scope` keeps its encodings, and others are made for what is done first."""

    def __init__(self, scope: Scope) -> None:
        self._scope, self._numbers = scope, count()
        self._reading = scope.read(TEXT)
        self._layer = scope.card.layers // 2
        self._reading.nearest(3, self._layer)
        many = problem(scope, self._layer, self._layer)
        few = slice(0, POSITIONS)
        self._many = replace(many, queries=many.queries[few], own=many.own[few], place_of=many.place_of[few])

    def all(self) -> dict[str, float]:
        """Every task once, in seconds."""
        click = _median(lambda: self._reading.nearest(3, self._layer))
        opened = self._scope.bench.opened
        fresh = Scope.from_model(opened.model, opened.names.tokenizer).read(TEXT)  # nothing is encoded there
        return {
            "warm click": click,
            "read": _seconds(lambda: self._scope.read(f"{TEXT} {next(self._numbers)}")),
            "first table": _seconds(lambda: fresh.nearest(3, self._layer)),
            "first atlas": _seconds(lambda: fresh.atlas(3)),
            "warm atlas": _seconds(lambda: fresh.atlas(4)),
            "a survey's search": _seconds(lambda: self._many.search("auto", "cosine")),
        }


if __name__ == "__main__":
    _serve_tasks(*sys.argv[1:])
