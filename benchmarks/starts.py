"""An atlas in a program's first start ever, in its second, and later, against the products that it needs; and memory.

Each start is a process of its own, with a cache that no other uses. HEADSCOPE_BENCHMARK_MODEL may name a directory with
a model to measure as well.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from benchmarks.memory import resident
from benchmarks.timing import interleaved, machine

_MODELS = ("roberta-base size", "Gemma 3 270M size")
_POSITION = 3
_TOKENS = 1024  # multiplied at a time


def run() -> dict[str, object]:
    """Seconds by the clock and of all processors, of every start; ratios within one."""
    given = os.environ.get("HEADSCOPE_BENCHMARK_MODEL")
    found: dict[str, object] = {"machine": machine()}
    for name in (*_MODELS, *([given] if given else [])):
        with tempfile.TemporaryDirectory() as cache:
            found[name] = {start: _started(name, cache) for start in ("first start ever", "second start")}
    return found


def _started(name: str, cache: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.starts", name]
    done = subprocess.run(command, capture_output=True, check=True, env=os.environ | {"HEADSCOPE_CACHE": cache})
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def _measure(name: str) -> dict[str, Any]:
    import torch

    from benchmarks.models import TEXT, gemma3_270m, roberta_base
    from headscope import Scope
    from headscope.cores.pool import spread
    from headscope.neighbors import warm_up
    from headscope.question.question import Question

    made = {_MODELS[0]: roberta_base, _MODELS[1]: gemma3_270m}
    scope = Scope.from_model(*made[name]()) if name in made else Scope.from_pretrained(name)
    reading = scope.read(TEXT)
    vocabulary, asked = scope.bench.vocabulary, Question(None, "value", None, "cosine", True, "all", k=1)
    before, rows = resident(), []
    start, cpu = time.perf_counter(), time.process_time()
    reading.ask_atlas(asked, _POSITION, lambda atlas: rows.append(time.perf_counter() - start))
    once, once_cpu = time.perf_counter() - start, time.process_time() - cpu
    held = resident() - before
    warm_up(wait=True)  # a later one is searched by compiled code, where that is installed

    encoded = vocabulary.encoded("value", "layer", 0, reading.spots[_POSITION], 0)
    vectors, width = encoded.source.stock.vectors, encoded.source.bias.numel()  # type: ignore[attr-defined]
    layers, heads = len(reading.z), reading.z.shape[2]
    moved = 0 if encoded.place.shift is None else len(encoded.source.bias)
    queries = torch.randn(layers * (heads + moved), vectors.shape[1])
    matrix = torch.randn(vectors.shape[1], width)

    def products(right: torch.Tensor, dtype: torch.dtype) -> Callable[[], object]:
        return lambda: spread(lambda chunk: chunk.to(dtype) @ right.to(dtype), vectors.split(_TOKENS))

    times = interleaved(
        {
            "atlas": lambda: reading.ask_atlas(asked, _POSITION + 1),
            "its products": products(queries.T, torch.float32),
            "a layer's rows, float32": products(matrix, torch.float32),
            "a layer's rows, float64": products(matrix, torch.float64),
        },
        rounds=5,
    )
    rows_of_all = layers * times["a layer's rows, float64"].median + times["its products"].median
    return {
        "ratios": {
            "atlas / its products": times["atlas"].ratio(times["its products"]),
            "atlas / its products, processors": times["atlas"].cpu_ratio(times["its products"]),
            "first atlas / its products": once / times["its products"].median,
            "first atlas / a later one": once / times["atlas"].median,
            "first atlas / rows of all layers in float64, and its products": once / rows_of_all,
        },
        "times": {task: timing.to_dict() for task, timing in times.items()},
        "first_atlas_s": once,
        "first_atlas_cpu_s": once_cpu,
        "its_first_row_s": rows[0],
        "above_the_model_bytes": held,
        "kept_bytes": vocabulary.nbytes,
    }


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1])))
