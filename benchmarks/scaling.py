"""How the cost of a search grows with the vocabulary, the width of a head, the queries and the threads.

Each row changes one thing about 64 queries at one place of a 50,265 × 12 × 64 table, one metric.
"""

from collections.abc import Callable

import torch

from benchmarks.tables import Problem
from benchmarks.timing import Timing, interleaved, machine, square_product
from headscope.neighbors import warm_up


def run() -> dict[str, object]:
    """Seconds, and × B, of every variation."""
    warm_up(wait=True)
    rows = []
    for tokens in (12_500, 25_000, 50_265, 100_000):
        rows.append({"tokens": tokens, **_measure(Problem.random(64, 1, tokens=tokens))})
    for d_head in (32, 64, 128):
        rows.append({"d_head": d_head, **_measure(Problem.random(64, 1, d_head=d_head))})
    for queries in (1, 8, 64, 256):
        rows.append({"queries": queries, **_measure(Problem.random(queries, 1))})
    for places in (1, 4, 16):
        rows.append({"places": places, **_measure(Problem.random(64, places))})
    threads = torch.get_num_threads()
    try:
        for count in sorted({1, threads}):
            torch.set_num_threads(count)
            rows.append({"threads": count, **_measure(Problem.random(64, 1))})
    finally:
        torch.set_num_threads(threads)
    return {"machine": machine(), "rows": rows}


def _measure(problem: Problem) -> dict[str, float]:
    product, unit = square_product()
    tasks: dict[str, Callable[[], object]] = {
        "product": product,
        "search": lambda: problem.search("auto", "cosine"),
    }
    times: dict[str, Timing] = interleaved(tasks, rounds=3)
    in_b = times["search"].ratio(times["product"]) * unit / problem.multiply_adds
    return {**times["search"].to_dict(), "in_b": in_b}
