"""One position, one layer, all heads: warm and cold, against the experiment's click and one read of the table."""

import time
from typing import Any

import torch

from benchmarks.experiment import Experiment
from benchmarks.models import TEXT, on_both
from benchmarks.timing import interleaved
from headscope import Scope

POSITION = 3


def run() -> dict[str, object]:
    """Seconds of every term and the ratios, for both models."""
    return on_both(_measure)


def _measure(scope: Scope) -> dict[str, Any]:
    reading = scope.read(TEXT)
    layer = len(reading.z) // 2
    cold = {
        "first click, vocabulary not encoded": _once(lambda: reading.nearest(POSITION, layer, reference="input")),
        "encode one more layer": _once(lambda: reading.nearest(POSITION, layer, reference="layer")),
        "first click in space output": _once(lambda: reading.nearest(POSITION, layer, "output", "layer")),
        "first click at another position": _once(lambda: reading.nearest(POSITION + 1, layer, reference="input")),
    }
    vocabulary, spot = scope.bench.vocabulary, reading.spots[POSITION]
    table = vocabulary.encoded("value", "input", 0, spot).table
    vocabulary.encoded("value", "layer", layer, spot)  # the tables of a layer that a reader stays on
    vocabulary.encoded("output", "layer", layer, spot)
    experiment = Experiment(scope, reading)
    embeddings, matrix = experiment.embeddings, torch.randn(2, table.bias.numel(), experiment.embeddings.shape[1])[0].T
    times = interleaved(
        {
            "warm click": lambda: reading.nearest(POSITION, layer, reference="input"),
            "warm click, reference layer": lambda: reading.nearest(POSITION, layer, reference="layer"),
            "warm click, no table": lambda: reading.nearest(POSITION, layer - 1, reference="layer"),
            "warm click, space output": lambda: reading.nearest(POSITION, layer, "output", "layer"),
            "read": table.rows.sum,
            "experiment": lambda: experiment.click(POSITION, 0),
            "embedding and one projection": lambda: (
                torch.nn.functional.layer_norm(embeddings + 1, embeddings.shape[1:]) @ matrix
            ),
        }
    )
    return {
        "ratios": {
            "experiment / warm click": times["experiment"].ratio(times["warm click"]),
            "warm click, no table / with one": times["warm click, no table"].ratio(
                times["warm click, reference layer"]
            ),
            "warm click / read": times["warm click"].ratio(times["read"]),
            "warm click in output / in value, reference layer": times["warm click, space output"].ratio(
                times["warm click, reference layer"]
            ),
            "encode one more layer / embedding and one projection": cold["encode one more layer"]
            / times["embedding and one projection"].median,
            "first click / embedding and one projection": cold["first click, vocabulary not encoded"]
            / times["embedding and one projection"].median,
        },
        "times": {name: timing.to_dict() for name, timing in times.items()},
        "once_s": cold,
    }


def _once(task: Any) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start
