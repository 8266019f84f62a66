"""The claims on random weights of roberta-base's size, 80 texts, both arithmetics: processor time and memory by stage.

One thread, so that seconds of the processor are those of the work, whatever else the machine does.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.memory import begin_peak, peak
from benchmarks.models import TEXT, roberta_base
from benchmarks.timing import machine
from headscope import Scope
from headscope.show.progress import Progress
from headscope.studies.claims.run import ClaimsAsked, settle

TEXTS = 80
Stage = dict[str, Any]


class _Staged(Progress):
    """Notes what each stage took, when the next begins; of the maps each distance, and each untrained twin."""

    def __init__(self) -> None:
        super().__init__()
        self.stages: list[Stage] = []
        self._last, self._since = "starting", time.process_time()
        begin_peak()

    def step(self, doing: str, total: int | None = None, done: int = 0) -> None:
        self.note(doing)
        super().step(doing, total, done)

    def say(self, doing: str) -> None:
        self.note(doing)
        super().say(doing)

    def advance(self, by: int) -> None:
        super().advance(by)
        if self.doing == "fitting linear maps":
            self.note(f"{self.doing}, after {self.done} of {self.total}")

    def note(self, following: str) -> None:
        """End a stage."""
        stage = {"stage": self._last, "seconds": time.process_time() - self._since, "peak_bytes": peak()}
        self.stages.append(stage)
        print(f"{stage['seconds']:8.1f} s  {peak() / 1e9:5.2f} GB  {self._last}", file=sys.stderr, flush=True)
        self._last, self._since = following, time.process_time()
        begin_peak()


def run() -> dict[str, object]:
    """Seconds of the processor, and the peak of resident bytes in each stage and in all."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "texts.txt"
        texts.write_text("\n".join(_texts()), "utf-8")
        scope, progress = Scope.from_model(*roberta_base()), _Staged()
        begun = time.process_time()
        found = settle(scope, ClaimsAsked(texts=(texts,)), Path(folder) / "out", progress)
        progress.note("")
        seconds = time.process_time() - begun
    return {"machine": machine(), "texts": found.texts["texts"], "tokens": found.texts["tokens"]} | {
        "seconds": seconds,
        "peak_bytes": max(stage["peak_bytes"] for stage in progress.stages),
        "stages": progress.stages,
    }


def _texts() -> list[str]:
    """Texts of 8 to 24 words: half of them those of TEXT, half made up, the more seldom the higher their number."""
    draw, words = random.Random(0), TEXT.replace(",", "").split()

    def word() -> str:
        return draw.choice(words) if draw.random() < 0.5 else f"word{int(draw.paretovariate(0.35)) % 40_000}"

    return [" ".join(word() for _ in range(draw.randint(8, 24))) for _ in range(TEXTS)]
