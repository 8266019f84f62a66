"""The search at roberta-base size, against one large product (B), one read of the rows, and faiss.

B is the time of the search's multiply-adds at the speed of a square float32 product in the same round.
`survey` is 256 queries over 4 places; `click` is one query, against one sum over the rows. Own ranks and
15 neighbours everywhere; `targets` ranks 29 or 299 tokens of each query beside its own, against its own alone,
by processor time and 512 queries over 25 places; faiss, where it is installed, gets the encodings free and computes
no ranks.
"""

import importlib.util
from collections.abc import Callable

from benchmarks.tables import Problem, faiss_search
from benchmarks.timing import interleaved, machine, square_product
from headscope.neighbors import Backend, backend_in_use, warm_up
from headscope.question.choices import METRICS


def run() -> dict[str, object]:
    """Seconds of every task and the ratios that matter."""
    warm_up(wait=True)
    survey, click, ranked = Problem.random(256, 4), Problem.random(1, 1), Problem.random(512, 25)
    product, unit = square_product()
    backends: list[Backend] = ["torch"]
    if backend_in_use() == "numba":
        backends.append("numba")
    tasks: dict[str, Callable[[], object]] = {"product": product, "read": survey.table.rows.sum}
    for backend in backends:
        tasks[f"survey, one metric, {backend}"] = lambda b=backend: survey.search(b, "cosine")  # type: ignore[misc]
        tasks[f"survey, three metrics, {backend}"] = lambda b=backend: survey.search(b, *METRICS)  # type: ignore[misc]
        for count in (1, 30, 300):
            tasks[f"targets {count}, {backend}"] = lambda b=backend, n=count: ranked.search(b, "cosine", others=n - 1)  # type: ignore[misc]
        tasks[f"click, {backend}"] = lambda b=backend: click.search(b, "cosine")  # type: ignore[misc]
    if importlib.util.find_spec("faiss") is not None:
        tasks["survey, faiss"] = faiss_search(survey)
    times = interleaved(tasks)
    ratios = {}
    for name, timing in times.items():
        if name.startswith("survey"):
            ratios[f"{name} / B"] = timing.ratio(times["product"]) * unit / survey.multiply_adds
        if name.startswith("targets"):
            ratios[f"{name} / 1"] = timing.cpu_ratio(times[f"targets 1,{name.partition(',')[2]}"])
        if name.startswith("click"):
            ratios[f"{name} / read"] = timing.ratio(times["read"])
    return {
        "machine": machine(),
        "ratios": ratios,
        "times": {name: timing.to_dict() for name, timing in times.items()},
    }
