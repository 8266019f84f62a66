"""Timing on a machine that others use too: interleaved, as medians with their spread."""

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from headscope.neighbors import backend_in_use

_PAUSE = 0.05  # seconds


@dataclass(frozen=True)
class Timing:
    """Seconds of every round of one task, by the clock and of all processors together."""

    seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def ratio(self, other: "Timing") -> float:
        """Median of the rounds' ratios: both tasks of a round met the same machine."""
        return statistics.median(a / b for a, b in zip(self.seconds, other.seconds, strict=True))

    def cpu_ratio(self, other: "Timing") -> float:
        """The same of processor time, which other programs lengthen less."""
        return statistics.median(a / b for a, b in zip(self.cpu_seconds, other.cpu_seconds, strict=True))

    def to_dict(self) -> dict[str, float]:
        spread = {"median_s": self.median, "min_s": min(self.seconds), "max_s": max(self.seconds)}
        return spread | {"cpu_median_s": statistics.median(self.cpu_seconds)}


def interleaved(tasks: Mapping[str, Callable[[], object]], rounds: int = 7) -> dict[str, Timing]:
    """Time every task once in each round, after one round that is not counted.

    A pause before each: the threads of the task before may still be spinning.

    >>> sorted(interleaved({"nothing": lambda: None, "less": lambda: None}, rounds=2))
    ['less', 'nothing']
    """
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
    for _ in range(rounds + 1):
        for name, task in tasks.items():
            time.sleep(_PAUSE)
            start, cpu_start = time.perf_counter(), time.process_time()
            task()
            spent[name].append((time.perf_counter() - start, time.process_time() - cpu_start))
    counted = {name: list(zip(*rounds[1:], strict=True)) for name, rounds in spent.items()}
    return {name: Timing(*both) for name, both in counted.items()}


def square_product(size: int = 2048) -> tuple[Callable[[], object], int]:
    """One large square float32 product, and its multiply-adds: the machine's own speed."""
    left, right = torch.randn(2, size, size)
    return lambda: left @ right, size**3


def machine() -> dict[str, object]:
    """Where the figures were taken."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": len(models) or None,
        "load": Path("/proc/loadavg").read_text("utf-8").split()[:3] if Path("/proc/loadavg").exists() else None,
        "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "backend": backend_in_use(),
        "python": platform.python_version(),
    }
