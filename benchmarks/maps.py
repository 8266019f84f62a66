"""A map of 5,000 vocabulary tokens: t-SNE, which nothing has kept, PCA, and placing another text into either."""

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.models import TEXT, scopes
from benchmarks.timing import machine
from headscope import Scope
from headscope.reading.map import Map

SIZE, LAYER, HEAD = 5000, 3, 5
OTHER = "A river bank is not where the money is, and nobody knows why"
T = TypeVar("T")


def run() -> dict[str, object]:
    """Seconds of every term, on the clock and of all threads together, and the trustworthiness, for both models."""
    with tempfile.TemporaryDirectory() as directory:
        os.environ["HEADSCOPE_CACHE"] = directory
        return {"machine": machine(), **{name: _measure(scope) for name, scope in scopes().items()}}


def _measure(scope: Scope) -> dict[str, Any]:
    reading, other = scope.read(TEXT), scope.read(OTHER)
    _map(reading.map, "pca", 200)  # the libraries and the vocabulary's encodings are there
    times: dict[str, dict[str, Any]] = {}
    found: dict[str, Map] = {}
    for method in ("pca", "tsne"):
        found[method], times[method] = _timed(partial(_map, reading.map, method, SIZE))
        _, times[f"{method}, another text placed"] = _timed(partial(found[method].place, other))
    return {
        "tokens": SIZE,
        "width": found["tsne"].space.shape[1],
        "trustworthiness": {method: one.trustworthiness for method, one in found.items()},
        "times": times,
    }


def _map(make: Callable[..., Map], method: Any, size: int) -> Map:
    return make(LAYER, HEAD, method=method, size=size, progress=lambda done, total: None)


def _timed(task: Callable[[], T]) -> tuple[T, dict[str, Any]]:
    """What a task gives, and what it took; once, for t-SNE takes its time."""
    load, cpu, start = Path("/proc/loadavg"), time.process_time(), time.perf_counter()
    result = task()
    spent = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
    return result, spent | {"load": load.read_text("utf-8").split()[0] if load.exists() else None}
