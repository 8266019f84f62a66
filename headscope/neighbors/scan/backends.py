"""Which scan does the work: compiled with numba once that is loaded, pure torch everywhere and until then."""

import importlib.util
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from headscope.neighbors.batch import Batch, batches, pair_distances
from headscope.neighbors.scan import torch_tiles
from headscope.neighbors.settle import Exact, Findings
from headscope.neighbors.table import Place, Source, Table
from headscope.question.choices import METRICS, Metric

Backend = Literal["auto", "torch", "numba"]
log = logging.getLogger(__name__)
_WORTH_COMPILING = 2**26  # scores: loading numba takes a second, and compiling, once a machine, many


class Scan(Protocol):
    def __call__(
        self, batch: Batch, metrics: Sequence[Metric], k: int, allowed: Tensor, marks: dict[Metric, Tensor]
    ) -> dict[Metric, Findings]: ...


@dataclass(frozen=True)
class Engine:
    """The two things a backend does: find what may be near in float32, and settle it in float64."""

    scan: Scan
    distances: Exact


_TORCH = Engine(torch_tiles.scan, pair_distances)
_lock = threading.Lock()
_compiled: Future[Engine] | None = None


def backend_in_use() -> Literal["torch", "numba"]:
    """What `backend="auto"` runs on a CPU once it is warm: "numba" where it is installed."""
    return "torch" if importlib.util.find_spec("numba") is None else "numba"


def warm_up(*, wait: bool = False) -> None:
    """Load the compiled search in the background, so that "auto" may use it; nothing to do without numba.

    Searches run in torch meanwhile. `wait` returns when it is loaded, or cannot be.
    """
    if backend_in_use() == "numba":
        loading = _loading()
        if wait:
            loading.exception()


def choose(backend: Backend, source: Source, scores: int) -> Engine:
    """The engine to use for so many scores (queries · heads · tokens) of a source.

    "auto" takes numba on a CPU once it is loaded, and starts to load it where the work is large; it never
    waits for it. Rows that are not held are searched by torch's products, whatever is asked for. All give the same ids
    and ranks. Raises ValueError for a backend that cannot run there.
    """
    if backend not in ("auto", "torch", "numba"):
        raise ValueError(f"backend is {backend!r}; it is auto, torch or numba")
    able = backend != "torch" and source.device.type == "cpu" and backend_in_use() == "numba"
    if backend == "numba":
        if not able:
            raise ValueError("the numba backend needs tensors on a CPU, and numba: pip install headscope[fast]")
        return _loading().result() if isinstance(source, Table) else _TORCH
    able = able and isinstance(source, Table)
    if able and scores >= _WORTH_COMPILING:
        warm_up()
    if able and _compiled is not None and _compiled.done() and _compiled.exception() is None:
        return _compiled.result()
    return _TORCH


def _loading() -> Future[Engine]:
    global _compiled
    with _lock:
        if _compiled is None:
            loader = ThreadPoolExecutor(1, "headscope-warm-up")
            _compiled = loader.submit(_load)
            loader.shutdown(wait=False)
        return _compiled


def _load() -> Engine:
    try:
        from headscope.neighbors.scan import numba_exact, numba_tiles

        engine = Engine(numba_tiles.scan, numba_exact.pair_distances)
        # Here everything is compiled, or read from numba's cache, and not in somebody's first search.
        table, own = Table.pack(torch.eye(4)[None], torch.zeros(1, 4)), torch.zeros(1, 1, dtype=torch.int64)
        for batch in batches(table, [Place.none], torch.ones(1, 1, 4), own, own[0], 1):
            asked = engine.distances(batch, METRICS[0], *batch.target_pairs).view(1, 1)
            engine.scan(batch, METRICS[:1], 1, table.finite, {METRICS[0]: asked})
    except Exception:
        log.warning("the compiled search cannot be loaded, so torch does the work", exc_info=True)
        raise
    return engine
