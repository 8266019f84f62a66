"""Which scan does the work: compiled with numba where it can be imported, pure torch everywhere."""

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from headscope.neighbors import torch_tiles
from headscope.neighbors.batch import Batch, pair_distances
from headscope.neighbors.metrics import Metric
from headscope.neighbors.settle import Exact, Findings

Backend = Literal["auto", "torch", "numba"]
_WORTH_COMPILING = 2**26  # scores: loading numba takes a second, and compiling, once a machine, many


class Scan(Protocol):
    def __call__(
        self, batch: Batch, metrics: Sequence[Metric], k: int, allowed: Tensor, marks: dict[Metric, Tensor]
    ) -> dict[Metric, Findings]: ...


def backend_in_use() -> Literal["torch", "numba"]:
    """What `backend="auto"` runs on a CPU when there is work enough: "numba" where it is installed."""
    return "torch" if importlib.util.find_spec("numba") is None else "numba"


@dataclass(frozen=True)
class Engine:
    """The two things a backend does: find what may be near in float32, and settle it in float64."""

    scan: Scan
    distances: Exact


def choose(backend: Backend, device: torch.device, scores: int) -> Engine:
    """The engine to use for so many scores (queries · heads · tokens) on a device.

    "auto" takes numba on a CPU where it is installed and the work is large, or the kernel is loaded
    already. All give the same ids and ranks. Raises ValueError for a backend that cannot run there.
    """
    if backend not in ("auto", "torch", "numba"):
        raise ValueError(f"backend is {backend!r}; it is auto, torch or numba")
    able = device.type == "cpu" and backend_in_use() == "numba"
    if backend == "numba" and not able:
        raise ValueError("the numba backend needs tensors on a CPU, and numba: pip install headscope[fast]")
    loaded = "headscope.neighbors.numba_tiles" in sys.modules
    if backend == "numba" or (backend == "auto" and able and (loaded or scores >= _WORTH_COMPILING)):
        from headscope.neighbors import numba_exact, numba_tiles

        return Engine(numba_tiles.scan, numba_exact.pair_distances)
    return Engine(torch_tiles.scan, pair_distances)
