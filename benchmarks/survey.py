"""Many positions, grouped by their place in the text: positions per second, × B, and against faiss.

B is the time of the search's multiply-adds at the speed of a square float32 product in the same round. The
positions are those of 64 texts, short ones more than long ones. faiss, where it is installed (extra:
bench), gets the encodings free, for one place, and computes no ranks.
"""

import importlib.util
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.models import TEXT, on_both
from benchmarks.tables import Problem, faiss_search
from benchmarks.timing import interleaved, square_product
from headscope import Scope
from headscope.neighbors import Backend, backend_in_use
from headscope.question.choices import METRICS

TEXTS = 64
LENGTHS = (8, 12, 16, 24)  # tokens of a text, in turn


def run() -> dict[str, object]:
    """Seconds of every task and the ratios that matter."""
    return on_both(_measure)


def problem(scope: Scope, layer: int, projection: int) -> Problem:
    """Every position of a corpus in the table of `projection`, at its own place."""
    reading = scope.read(TEXT)
    lengths = [min(LENGTHS[n % len(LENGTHS)], len(reading.tokens)) for n in range(TEXTS)]
    place_of = torch.tensor([p for length in lengths for p in range(length)])
    vocabulary, spots = scope.bench.vocabulary, reading.spots[: max(lengths)]
    encoded = [vocabulary.encoded("value", "layer", projection, spot) for spot in spots]
    # Other texts' outputs differ: a little noise, so that no two queries are the same.
    z = reading.z[layer, place_of]
    z = z + 0.3 * z.std() * torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
    own = torch.tensor([token.id for token in reading.tokens])[place_of]
    return Problem(encoded[0].table, [one.place for one in encoded], z, own, place_of)


def _measure(scope: Scope) -> dict[str, Any]:
    last = scope.card.layers - 1
    problems = {"input": problem(scope, 0, 0), "layer": problem(scope, last, last)}
    backends: list[Backend] = ["torch", "numba"] if backend_in_use() == "numba" else ["torch"]
    product, unit = square_product()
    tasks: dict[str, Callable[[], object]] = {"product": product}
    for reference, asked in problems.items():
        tasks[f"{reference}, one metric, {backends[-1]}"] = lambda a=asked: a.search(backends[-1], "cosine")  # type: ignore[misc]
    tasks["input, one metric, torch"] = lambda: problems["input"].search("torch", "cosine")
    tasks[f"input, three metrics, {backends[-1]}"] = lambda: problems["input"].search(backends[-1], *METRICS)
    if importlib.util.find_spec("faiss") is not None:
        tasks["faiss"] = faiss_search(problems["input"])
    times = interleaved(tasks, rounds=3)
    positions = len(problems["input"].own)
    ratios = {
        f"{name} / B": timing.ratio(times["product"]) * unit / problems["input"].multiply_adds
        for name, timing in times.items()
        if name != "product"
    }
    if "faiss" in times:
        ratios["faiss / input, one metric"] = times["faiss"].ratio(times[f"input, one metric, {backends[-1]}"])
    return {
        "positions": positions,
        "ratios": ratios,
        "positions_per_s": {name: positions / timing.median for name, timing in times.items() if name != "product"},
        "times": {name: timing.to_dict() for name, timing in times.items()},
    }
