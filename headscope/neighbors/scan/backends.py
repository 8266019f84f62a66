"""Which scan does the work: compiled with numba once that is loaded, pure torch everywhere and until then."""

import importlib.util
import logging
import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Literal, Protocol

import torch
from torch import Tensor

from headscope.cores import beside
from headscope.errors import clause
from headscope.neighbors.batch import Batch, batches, pair_distances
from headscope.neighbors.coarse import WIDTH
from headscope.neighbors.scan import torch_tiles
from headscope.neighbors.settle import Exact, Findings
from headscope.neighbors.shared import Numbers, Shared, Stock
from headscope.neighbors.table import Place, Source, Table
from headscope.question.choices import Metric
from headscope.question.stopping import stop_point

Backend = Literal["auto", "torch", "numba"]
log = logging.getLogger(__name__)
_STEP = 0.05  # seconds between two looks at whether the program has ended
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


@dataclass(frozen=True)
class Compiled:
    """The engines that are compiled."""

    held: Engine  # for rows that are held
    shared: Engine  # for those that are made when asked for

    def of(self, source: Source) -> Engine:
        """A source's engine."""
        return self.held if isinstance(source, Table) else self.shared


_TORCH = Engine(torch_tiles.scan, pair_distances)
_lock = threading.Lock()
_compiled: Future[Compiled] | None = None
_at_once = threading.Event()  # somebody wants it loaded now


def backend_in_use() -> Literal["torch", "numba"]:
    """What `backend="auto"` runs on a CPU once it is warm: "numba" where it is installed."""
    return "torch" if importlib.util.find_spec("numba") is None else "numba"


def warm_up(*, wait: bool = False, after: float = 0.0) -> None:
    """Load the compiled search in the background, so that "auto" may use it; nothing to do without numba.

    Searches run in torch meanwhile. `wait` returns when it is loaded, or cannot be. `after` so many seconds, unless it
    is wanted before: a program that has ended by then never loads it.
    """
    if backend_in_use() == "numba":
        loading = _loading(after)
        if wait:
            loading.exception()


def choose(backend: Backend, source: Source, scores: int) -> Engine:
    """The engine to use for so many scores (queries · heads · tokens) of a source.

    "auto" takes numba on a CPU once it is loaded, and starts to load it where the work is large; it never
    waits for it. All give the same ids and ranks. Raises ValueError for a backend that cannot run there.
    """
    if backend not in ("auto", "torch", "numba"):
        raise ValueError(f"backend is {backend!r}; it is auto, torch or numba")
    able = backend != "torch" and source.device.type == "cpu" and backend_in_use() == "numba"
    if backend == "numba":
        if not able:
            raise ValueError("the numba backend needs tensors on a CPU, and numba: pip install headscope[fast]")
        return _loading().result().of(source)
    if able and scores >= _WORTH_COMPILING:
        warm_up()
    if able and _compiled is not None and _compiled.done() and _compiled.exception() is None:
        return _compiled.result().of(source)
    return _TORCH


def _loading(after: float = 0.0) -> Future[Compiled]:
    global _compiled
    if not after:
        _at_once.set()
    with _lock:
        if _compiled is None:
            _compiled = Future()
            # No program stays for a search that it will not ask for.
            beside.start(partial(_load_into, _compiled, after), "headscope-warm-up")
        return _compiled


def _after_fork() -> None:
    """What was being loaded when the process forked stays half done in the child, where nobody goes on with it."""
    global _lock, _compiled
    _lock = threading.Lock()
    if _compiled is not None and not _compiled.done():
        _compiled = None
        if "numba" in sys.modules:
            _compiled = Future()
            _compiled.set_exception(RuntimeError("this process forked from one that was loading it"))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _load_into(loading: Future[Compiled], after: float) -> None:
    try:
        begin = monotonic() + after
        while monotonic() < begin and not _at_once.wait(_STEP):
            stop_point()
        loading.set_result(_load())
    except BaseException as error:
        loading.set_exception(error)


def _load() -> Compiled:
    try:
        from headscope.neighbors.scan import numba_exact, numba_shared, sieve
        from headscope.neighbors.scan.numba_jit import stops_between_passes

        compiled = Compiled(Engine(sieve.scan, numba_exact.pair_distances), Engine(numba_shared.scan, pair_distances))
        # Here everything is compiled, or read from numba's cache, and not in somebody's first search.
        with stops_between_passes():
            for rows, queries in ((torch.eye(4), 1), (torch.eye(WIDTH), sieve.QUERIES)):
                _try(compiled.held, Table.pack(rows[None], torch.zeros(1, rows.shape[1])), queries)
            stock, eye, none = Stock(torch.eye(4), torch.ones(4)), torch.eye(4)[None], torch.zeros(1, 4)
            _try(compiled.shared, Shared.of(stock, eye, none, Numbers.of(stock, eye, none)), 1)
    except Exception as error:
        log.warning(
            "the compiled search cannot be loaded, so torch does the work, which is slower: %s.%s",
            clause(error),
            _kept(),
        )
        log.debug("this is how it failed", exc_info=True)
        raise
    return compiled


def _kept() -> str:
    """What to do where numba was loaded, and what it keeps on disk may be damaged."""
    kernel = sys.modules.get("headscope.neighbors.scan.numba_kernel")
    place = None if kernel is None else kernel.scan_head.stats.cache_path
    return "" if place is None else f" If that goes on, remove what numba keeps in {place}."


def _try(engine: Engine, source: Source, count: int) -> None:
    """A search of so many queries, for nothing."""
    own = torch.zeros(count, 1, dtype=torch.int64)
    for batch in batches(source, [Place.none], torch.ones(count, 1, source.shape[2]), own, own[:, 0], count):
        asked = engine.distances(batch, "cosine", *batch.target_pairs).view(count, 1)
        engine.scan(batch, ["cosine"], 1, source.finite, {"cosine": asked})
