"""Studies on a fleet of workers: the model that each opens, and the run that hands out the pieces."""

from __future__ import annotations

import socket
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import torch

from headscope.corpus.fleet.cluster import Cluster, Share
from headscope.corpus.fleet.handing import TRIES, Handing
from headscope.corpus.fleet.pool import Pool, Staff
from headscope.corpus.fleet.worker import Order
from headscope.errors import HeadscopeError, InputError
from headscope.model.card import Card
from headscope.model.opening.default import DEMO, DEMO_NAME
from headscope.model.surroundings import settled
from headscope.neighbors import warm_up
from headscope.question.model_choice import ModelChoice
from headscope.scope import CACHE_BYTES, Scope
from headscope.show.progress import Say, Tick
from headscope.studies.hands import Kind, Task
from headscope.studies.survey.made import Made

T = TypeVar("T", bound=Hashable)
R = TypeVar("R")

_NAMED = 8  # pieces that a sentence names


_OPEN: list[tuple[SameModel, Scope]] = []  # of a worker's process: what it opened last


@dataclass(frozen=True)
class SameModel:
    """The model that was opened where the command was given, to be opened by every worker.

    `weights_sha256` and `by`: what it is, and what it is measured with, and so every worker must; `threads`: how many
    torch computes with; `read_as`: the scope that reads it, where that is another one.
    """

    choice: ModelChoice
    memory: str | None
    weights_sha256: str
    by: Made
    threads: int
    read_as: Kind | None = None

    @classmethod
    def of(cls, scope: Scope, choice: ModelChoice, memory: str | None, share: Share) -> SameModel:
        """That of a scope which was opened by `choice`."""
        card = scope.card
        return cls(_same_choice(choice, card, share), memory, card.weights_sha256, Made.by(scope), share.cpus)

    def open(self) -> Scope:
        """A scope of this process, opened once; InputError where it is another model here, or computes otherwise."""
        plain = replace(self, read_as=None)
        if not _OPEN or _OPEN[0][0] != plain:
            _OPEN.clear()  # one model at a time
            _OPEN.append((plain, plain._opened()))
        scope = _OPEN[0][1]
        return scope if self.read_as is None else self.read_as(scope)

    def _opened(self) -> Scope:
        torch.set_num_threads(self.threads)
        scope = Scope.from_choice(self.choice, cache_bytes=self.memory or CACHE_BYTES)
        here = Made.by(scope)
        if scope.card.weights_sha256 != self.weights_sha256:
            raise InputError(
                f"{self.choice.name or scope.card.name} has other weights on {socket.gethostname()} than where the "
                "command was given: put the same files there."
            )
        if here.computes != self.by.computes:
            raise InputError(
                f"{socket.gethostname()} computes {here.computes}, and the command was given for {self.by.computes}: "
                "numbers of two kinds would be mixed. Name a --dtype that all machines have."
            )
        warm_up(wait=True)
        return scope


@dataclass(frozen=True)
class Workers:
    """Those of a cluster, as hands; `losses`: what became of workers that were lost, in sentences."""

    scope: Scope
    cluster: Cluster
    share: Share
    staff: Staff
    model: SameModel
    say: Say
    losses: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def of(
        cls, cluster: Cluster, scope: Scope, choice: ModelChoice, say: Say, memory: str | None = None
    ) -> Iterator[Workers]:
        """Workers with the model that was opened by `choice`, each with a budget of `memory`, until the block ends.

        Inside it this process has as many threads as each of them: what it makes of their numbers is then what one
        process would.
        """
        before = torch.get_num_threads()
        share = cluster.share_of(before, choice.device == "auto" or choice.device.startswith("cuda"))
        torch.set_num_threads(share.cpus)
        staff = Staff(cluster, share)
        try:
            yield cls(scope, cluster, share, staff, SameModel.of(scope, choice, memory, share), say)
        finally:
            staff.end_all()
            torch.set_num_threads(before)

    def reading_as(self, kind: Kind) -> Workers:
        """As `Hands.reading_as`."""
        return replace(self, scope=kind(self.scope), model=replace(self.model, read_as=kind))

    @property
    def at_once(self) -> int:
        """As many as there is room for, where no more are asked for."""
        room = self.cluster.room(self.share)
        return min(self.cluster.fleet.workers or room, room)

    def measure(self, task: Task[T, R], pieces: Mapping[T, int], tick: Tick, done: Callable[[T, R], None]) -> None:
        """As `Hands.measure`."""
        if not pieces:
            return

        def ready(piece: T, found: R) -> None:
            done(piece, found)
            tick(pieces[piece])

        self.hand_out(TaskOrder(self.model, task), list(pieces), ready)

    def hand_out(self, order: Order[T, R], pieces: list[T], done: Callable[[T, R], None]) -> None:
        """Have pieces measured by what an order opens; `done` gets each with what was found, as it is ready.

        HeadscopeError, naming them, where pieces were given up: so many workers were lost over each.
        """
        room = self.cluster.room(self.share)
        workers = min(self.cluster.fleet.workers or room, len(pieces))
        self.say(f"beginning {workers} worker{'s' * (workers > 1)}")
        if room < workers:
            self.say(f"the cluster has room for {room} of {workers} workers (each takes {self.share})")
        handing = Handing(pieces, fruitless=TRIES * workers)

        def at_work(count: int, of: int) -> None:
            if count:
                self.say(f"measuring on {count} of {of} workers")

        pool = Pool[T, R](self.staff, workers, order, at_work)
        try:
            pool.run(handing, done)
        finally:
            self.losses.extend(pool.losses)
        if handing.given_up:
            raise HeadscopeError(_given_up(handing.given_up))


@dataclass(frozen=True)
class TaskOrder(Generic[T, R]):
    """What a worker opens of a task. All must have the same versions: what is found is not told apart by them."""

    model: SameModel
    task: Task[T, R]

    def open(self) -> MeasuringTask[T, R]:
        """The task, with a model of this process; InputError where it is not the same."""
        scope = self.model.open()
        here, there = Made.by(scope).versions, self.model.by.versions
        other = [f"{name} {version} ({there[name]} there)" for name, version in here.items() if version != there[name]]
        if other:
            raise InputError(
                f"{socket.gethostname()} has other versions than where the command was given: {', '.join(other)}. "
                "Install the same."
            )
        return MeasuringTask.of(self.task, scope)


@dataclass(frozen=True)
class MeasuringTask(Generic[T, R]):
    """A task that a worker has open."""

    measured: Callable[[T], R]

    @classmethod
    @settled
    def of(cls, task: Task[T, R], scope: Scope) -> MeasuringTask[T, R]:
        """Make ready what all pieces need."""
        return cls(task.measuring(scope, lambda work: None))

    @settled
    def measure(self, piece: T, patience: float) -> R:
        """What is found of a piece; no other run has it."""
        return self.measured(piece)


def _given_up(pieces: dict[T, str]) -> str:
    named = ", ".join(map(str, list(pieces)[:_NAMED])) + (f" and {len(pieces) - _NAMED} more" * (len(pieces) > _NAMED))
    last = list(pieces.values())[-1]
    return (
        f"given up: {named}; {TRIES} workers were lost over each, at last: {last}. Give the same command again when it "
        "is mended: what is kept of all others is not measured again."
    )


def _same_choice(choice: ModelChoice, card: Card, share: Share) -> ModelChoice:
    """What workers open on their devices: what was opened here, whatever its name means elsewhere or later."""
    device = choice.device
    if device == "auto" or (share.gpus and device.startswith("cuda")):  # a worker sees its own GPUs alone
        device = "cuda" if share.gpus else "cpu"
    name, revision = choice.name, choice.revision
    if choice.adapter is None and name is None:
        name = DEMO if card.name == DEMO_NAME and card.revision is None else card.name
    if choice.adapter is None and card.revision is not None:
        revision = card.revision
    return replace(choice, name=name, revision=revision, device=device)
