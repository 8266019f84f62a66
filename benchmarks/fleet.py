"""Shards a minute of one process, and of 1 and 2 workers of a Ray cluster on this machine, each on one thread.

The pace is that from the first shard that is finished to the last: a model is opened once, and what that takes is told
beside it. Every round measures all ways, each in a fresh directory; the processor time of the run itself, which hands
out the shards, is told as well. Needs the extra ray.
"""

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.corpus import EWT, drawn
from benchmarks.timing import machine
from headscope import Scope
from headscope.corpus.fleet.asked import Fleet
from headscope.corpus.fleet.cluster import Share, connected
from headscope.corpus.fleet.handing import Handing
from headscope.corpus.fleet.pool import Pool, Staff
from headscope.neighbors import warm_up
from headscope.question.model_choice import ModelChoice
from headscope.studies.fleet import SameModel
from headscope.studies.survey.fleet import SurveyOrder
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.plan import ShardTask
from headscope.studies.survey.run import Survey

ROUNDS, SAMPLE, SHARD_POSITIONS = 3, 120, 200
CHOICE = ModelChoice("demo", device="cpu")
SHARE = Share(1, 0.0)


def run() -> dict[str, object]:
    """Paces, and their ratios to one process's: 1 and 2 are what nothing would cost."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of the workers, too
    torch.set_num_threads(1)
    warm_up(wait=True)
    scope = Scope.from_choice(CHOICE)
    rounds: list[dict[str, dict[str, float]]] = []
    with tempfile.TemporaryDirectory() as directory, connected(Fleet(2, 1, 0)) as cluster:
        place = Path(directory)
        path = EWT if EWT.is_file() else drawn(place / "drawn.txt")
        options = SurveyOptions(sample=SAMPLE, shard_positions=SHARD_POSITIONS)
        for number in range(ROUNDS):

            def prepared(way: str, number: int = number) -> tuple[Survey, list[ShardTask]]:
                survey = Survey.prepare(scope, [path], place / f"{number}-{way}", options)
                survey.begin()
                return survey, survey.left()

            def here(told: Callable[[ShardTask], None]) -> None:
                survey, tasks = prepared("process")
                for task in tasks:
                    survey.measure_shard(task, 0.0)
                    told(task)

            def there(workers: int, told: Callable[[ShardTask], None]) -> None:
                survey, tasks = prepared(str(workers))
                order = SurveyOrder.of(survey, SameModel.of(scope, CHOICE, None, SHARE))
                staff = Staff(cluster, SHARE)
                pool = Pool[ShardTask, bool](staff, workers, order, lambda at_work, of: None)
                pool.run(Handing(tasks, fruitless=3), lambda task, there: told(task))
                staff.end_all()

            ways = {"one process": here, **{f"{n} workers": lambda told, n=n: there(n, told) for n in (1, 2)}}
            rounds.append({name: _pace(way) for name, way in ways.items()})
    return {"machine": machine(), "texts": path.name, "rounds": rounds, "ratios": _ratios(rounds)}


def _pace(way: Callable[[Callable[[ShardTask], None]], None]) -> dict[str, float]:
    finished: list[float] = []
    start, cpu_start = time.perf_counter(), time.process_time()
    way(lambda task: finished.append(time.perf_counter()))
    cpu = time.process_time() - cpu_start
    return {
        "shards": float(len(finished)),
        "seconds_to_the_first": finished[0] - start,
        "shards_a_minute": 60 * (len(finished) - 1) / (finished[-1] - finished[0]),
        "cpu_seconds_of_the_run": cpu,
    }


def _ratios(rounds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    paces = {name: [one[name]["shards_a_minute"] for one in rounds] for name in rounds[0]}
    return {
        name: statistics.median(pace / alone for pace, alone in zip(found, paces["one process"], strict=True))
        for name, found in paces.items()
    }
