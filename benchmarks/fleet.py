"""Shards a minute of workers of a Ray cluster on this machine, beside as many plain processes without one.

Each measures on one thread, the same shards by the same code, so what a worker's pace lacks of a plain process's is
what handing out costs; what two processes lack of twice one's is two that share a machine. Every round has all ways,
each in a fresh directory. A pace is of the time in which all were at work: from when each had finished a shard until
the last ones began. A model is opened once, and what that takes is told beside it. Needs the extra ray.
"""

import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from benchmarks.corpus import EWT, drawn
from benchmarks.timing import machine
from headscope import Scope
from headscope.corpus.fleet.asked import Fleet
from headscope.corpus.fleet.cluster import Cluster, Share, connected
from headscope.corpus.fleet.handing import Handing
from headscope.corpus.fleet.pool import Pool, Staff
from headscope.corpus.run import Part
from headscope.neighbors import warm_up
from headscope.question.model_choice import ModelChoice
from headscope.studies.fleet import SameModel
from headscope.studies.survey.fleet import MeasuringShards, SurveyOrder
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.plan import ShardTask
from headscope.studies.survey.run import Survey

ROUNDS, SAMPLE, SHARD_POSITIONS = 3, 24, 20  # 14 shards of two to four seconds; a round takes four minutes
OPTIONS = SurveyOptions(sample=SAMPLE, shard_positions=SHARD_POSITIONS, references=("layer",))
CHOICE = ModelChoice("demo", device="cpu")
SHARE = Share(1, 0.0)


@dataclass(frozen=True)
class Spent:
    """One shard: by which process, from when to when (of a clock that all have), and its processor time."""

    process: int
    begun: float
    ended: float
    cpu: float


@dataclass(frozen=True)
class TimedShards:
    """What a worker has open, with a clock."""

    measuring: MeasuringShards

    def measure(self, piece: ShardTask, patience: float) -> Spent:
        begun, cpu = time.monotonic(), time.process_time()
        self.measuring.measure(piece, patience)
        return Spent(os.getpid(), begun, time.monotonic(), time.process_time() - cpu)


@dataclass(frozen=True)
class TimedOrder:
    """The order of a survey, so that what is found of a shard is what it took."""

    order: SurveyOrder

    def open(self) -> TimedShards:
        return TimedShards(self.order.open())


@dataclass(frozen=True)
class Taken:
    """All shards of one way, in the order in which they were finished, and what they are of a mean shard.

    `beside`: processor time of all processes but those that measured, from the first shard's end to the last one's.
    """

    spent: Sequence[Spent]
    works: Sequence[float]
    to_the_first: float
    beside: float

    def told(self) -> dict[str, float]:
        """Its figures."""
        by_process: dict[int, list[Spent]] = {}
        for one in sorted(self.spent, key=lambda one: one.begun):
            by_process.setdefault(one.process, []).append(one)
        at_once, last = len(by_process), len(self.spent) - len(by_process)
        window = self.spent[last].ended - self.spent[at_once - 1].ended
        gaps = [after.begun - before.ended for of in by_process.values() for before, after in pairwise(of)]
        return {
            "shards": float(len(self.spent)),
            "seconds_to_the_first": self.to_the_first,
            "shards_a_minute": 60 * sum(self.works[at_once : last + 1]) / window,
            "cpu_seconds_a_shard": statistics.mean(one.cpu for one in self.spent),
            "seconds_between_two_shards": statistics.median(gaps),
            "cpu_seconds_of_others_a_shard": self.beside / (len(self.spent) - 1),
        }


Tell = Callable[[ShardTask, Spent], None]


def run() -> dict[str, object]:
    """Figures of every way and round, and what they come to."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of the workers, too
    torch.set_num_threads(1)
    warm_up(wait=True)
    scope = Scope.from_choice(CHOICE)
    rounds: list[dict[str, dict[str, float]]] = []
    with tempfile.TemporaryDirectory() as directory, connected(Fleet(2, 1, 0)) as cluster:
        place = Path(directory)
        path = EWT if EWT.is_file() else drawn(place / "drawn.txt")
        for number in range(ROUNDS):
            found = {}
            for name, way in _ways(cluster).items():
                survey = Survey.prepare(scope, [path], place / f"{number}-{name}", OPTIONS)
                survey.begin()
                order = TimedOrder(SurveyOrder.of(survey, SameModel.of(scope, CHOICE, None, SHARE)))
                found[name] = _taken(survey.left(), partial(way, order)).told()
            rounds.append(found)
    return {"machine": machine(), "texts": path.name, "rounds": rounds, **_come_to(rounds)}


def _ways(cluster: Cluster) -> dict[str, Callable[[TimedOrder, list[ShardTask], Tell], None]]:
    apart: dict[str, Callable[[TimedOrder, list[ShardTask], Tell], None]] = {
        f"{n} process{'es' * (n > 1)}": partial(_by_processes, n) for n in (1, 2)
    }
    return apart | {f"{n} worker{'s' * (n > 1)}": partial(_by_workers, cluster, n) for n in (1, 2)}


def _by_workers(cluster: Cluster, workers: int, order: TimedOrder, tasks: list[ShardTask], tell: Tell) -> None:
    staff = Staff(cluster, SHARE)
    pool = Pool[ShardTask, Spent](staff, workers, order, lambda at_work, of: None)
    pool.run(Handing(tasks, fruitless=3), tell)
    staff.end_all()


def _by_processes(count: int, order: TimedOrder, tasks: list[ShardTask], tell: Tell) -> None:
    context = multiprocessing.get_context("spawn")
    told = context.SimpleQueue()
    parts = [[tasks[n] for n in Part(number, count).of_shards(len(tasks))] for number in range(1, count + 1)]
    processes = [context.Process(target=_process, args=(order, part, told), daemon=True) for part in parts]
    for process in processes:
        process.start()
    for _ in tasks:
        tell(*told.get())
    for process in processes:
        process.join()


def _process(order: TimedOrder, tasks: Sequence[ShardTask], told: Any) -> None:
    opened = order.open()
    for task in tasks:
        told.put((task, opened.measure(task, 0.0)))


def _taken(tasks: list[ShardTask], way: Callable[[list[ShardTask], Tell], None]) -> Taken:
    spent: list[Spent] = []
    works: list[float] = []
    cpu: list[dict[int, float]] = []
    mean, start = statistics.mean(task.work for task in tasks), time.monotonic()

    def tell(task: ShardTask, one: Spent) -> None:
        spent.append(one)
        works.append(task.work / mean)
        if len(spent) in (1, len(tasks)):
            cpu.append(_cpu_seconds())

    way(tasks, tell)
    measured = {one.process for one in spent}
    beside = sum(of - cpu[0].get(process, 0.0) for process, of in cpu[1].items() if process not in measured)
    return Taken(spent, works, spent[0].ended - start, beside)


def _cpu_seconds() -> dict[int, float]:
    """What this process, and all that it has begun, have spent so far."""
    found: dict[int, tuple[int, float]] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text("utf-8").rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        found[int(place.name)] = int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def mine(process: int) -> bool:
        return process == os.getpid() or (process in found and mine(found[process][0]))

    return {process: spent for process, (_, spent) in found.items() if mine(process)}


def _come_to(rounds: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, Any]:
    """Medians of the rounds; ratios of paces, and of processor time a shard, within a round."""

    def ratio(name: str, of: str, to: str) -> float:
        return statistics.median(one[of][name] / one[to][name] for one in rounds)

    first = next(iter(rounds[0]))
    return {
        "shards a minute": {of: statistics.median(one[of]["shards_a_minute"] for one in rounds) for of in rounds[0]},
        "pace to that of one process": {of: ratio("shards_a_minute", of, first) for of in rounds[0]},
        "processor time a shard to that of one process": {
            of: ratio("cpu_seconds_a_shard", of, first) for of in rounds[0]
        },
        "overhead of workers against as many processes": {
            "1": 1 - ratio("shards_a_minute", "1 worker", "1 process"),
            "2": 1 - ratio("shards_a_minute", "2 workers", "2 processes"),
        },
    }
