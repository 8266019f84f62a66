"""A pool of workers, each a Ray actor: numbers of pieces go out, and what is found of each comes back.

That is little where it is much work: of a shard that is kept where all machines see it only that it is there.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from headscope.corpus.fleet.cluster import Cluster, Share
from headscope.corpus.fleet.handing import TRIES, Handing
from headscope.corpus.fleet.worker import Failure, Order, PieceResult, Worker, WorkerReport
from headscope.errors import HeadscopeError, cut

T = TypeVar("T", bound=Hashable)
R = TypeVar("R")

_GLANCE = 1.0  # seconds that one waits for the next answer, before it is seen how many workers there are
# A worker reads what is on its machine or what all machines share: of a model on the Hub, what is in the cache.
_ENVIRONMENT = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


@dataclass
class _WorkerPlace(Generic[T]):
    """One worker, or where the next takes its place: what it is asked, and over which piece."""

    actor: Any
    asked: Any = None  # the reference of its answer; None: it has nothing to do
    host: str | None = None  # None: it is not open yet
    piece: T | None = None
    in_a_row: int = 0  # how many were lost here before they were open


class Staff:
    """The processes of workers on a cluster: begun when they are asked for, and again to be had for other work.

    What one of them has open stays so until it is told to open something else.
    """

    def __init__(self, cluster: Cluster, share: Share) -> None:
        self.ray = cluster.ray
        self._kind = self.ray.remote(num_cpus=share.cpus, num_gpus=share.gpus, max_restarts=0)(Worker)
        self._given = _ENVIRONMENT, share.cpus, os.getcwd()
        self._free: list[Any] = []

    def hire(self) -> Any:
        """One that is free, or a new one; Ray begins it where there is room, and when there is."""
        return self._free.pop() if self._free else self._kind.remote(*self._given)

    def give_back(self, actor: Any) -> None:
        """It has done all that it was asked."""
        self._free.append(actor)

    def end(self, actor: Any) -> None:
        """End one, whatever it does."""
        self.ray.kill(actor)

    def end_all(self) -> None:
        """End all that are free."""
        while self._free:
            self.end(self._free.pop())


class Pool(Generic[T, R]):
    """Workers on a cluster. `said`: told how many are at work, of how many, whenever that changes.

    Those that there is no room for yet begin when there is. One that fails in whatever is no sentence of headscope's
    own is ended, for its device may be lost, and another takes its place.
    """

    def __init__(self, staff: Staff, workers: int, order: Order[T, R], said: Callable[[int, int], None]) -> None:
        self._staff, self._ray, self._workers, self._said = staff, staff.ray, workers, said
        self._order = self._ray.put(pickle.dumps(order))
        self._at_work = -1
        self.losses: list[str] = []  # a sentence for every worker that was lost

    def run(self, handing: Handing[T], done: Callable[[T, R], None]) -> None:
        """Have every piece measured; `done` gets each with what was found. HeadscopeError where that fails."""
        places = [self._begun(_WorkerPlace[T](None)) for _ in range(self._workers)]
        try:
            while not handing.over:
                self._count(places)
                for place in places:
                    if place.host is not None and place.asked is None and (handed := handing.next()) is not None:
                        place.piece = handed[0]
                        place.asked = place.actor.measure.remote(*handed)
                asked = {place.asked: place for place in places if place.asked is not None}
                ready, _ = self._ray.wait(list(asked), num_returns=1, timeout=_GLANCE)
                for reference in ready:
                    self._take(asked[reference], self._answer(reference), handing, done)
                    if asked[reference].actor is None:
                        places.remove(asked[reference])
        finally:
            for place in places:
                if place.host is not None and place.asked is None:
                    self._staff.give_back(place.actor)
                else:  # it is at work, or not open yet: it may never be, where there is no room
                    self._end(place)

    def _take(
        self,
        place: _WorkerPlace[T],
        answer: WorkerReport | PieceResult[R] | Failure,
        handing: Handing[T],
        done: Callable[[T, R], None],
    ) -> None:
        """What a worker has answered; a place whose actor is None then is closed."""
        place.asked = None
        if isinstance(answer, WorkerReport) and answer.fault is None:
            place.host, place.in_a_row = f"{answer.host}, process {answer.pid}", 0
            return
        if isinstance(answer, PieceResult) and answer.fault is None:
            piece = self._laid_down(place)
            if answer.found is not None:
                handing.done(piece)
                done(piece, answer.found)
            else:
                handing.elsewhere(piece)
            return
        fault = answer if isinstance(answer, Failure) else answer.fault
        assert fault is not None
        if place.piece is None:
            self._not_opened(place, fault, answer.host if isinstance(answer, WorkerReport) else "its machine")
        elif fault.kind == "broken":
            self._lost(place, fault, handing)
        else:
            raise fault.error()

    def _not_opened(self, place: _WorkerPlace[T], fault: Failure, host: str) -> None:
        """A worker that never began: a sentence of headscope's own would be said again, so nobody follows it."""
        place.in_a_row += 1
        if fault.kind == "broken" and place.in_a_row < TRIES:
            self._begun(place)
            return
        self.losses.append(f"a worker on {host} could not begin: {fault.told}")
        self._workers -= 1
        self._end(place)
        place.actor = None
        if not self._workers:
            raise fault.error() if fault.kind != "broken" else HeadscopeError(f"no worker could begin: {fault.told}.")

    def _lost(self, place: _WorkerPlace[T], fault: Failure, handing: Handing[T]) -> None:
        piece = self._laid_down(place)
        why = f"the worker on {place.host} was lost over {piece}: {fault.told}"
        place.host = None  # whatever follows, it is not to be had again
        handing.lost(piece, why)
        self.losses.append(why)
        if handing.hopeless:
            raise HeadscopeError(
                f"{why}. So were those before it, and no piece was finished between them. What is finished stays: give "
                "the same command again when it is mended."
            )
        self._begun(place)

    def _begun(self, place: _WorkerPlace[T]) -> _WorkerPlace[T]:
        """Another worker at a place."""
        self._end(place)
        place.actor, place.host = self._staff.hire(), None
        place.asked = place.actor.open.remote(self._order)
        return place

    def _laid_down(self, place: _WorkerPlace[T]) -> T:
        piece, place.piece = place.piece, None
        assert piece is not None
        return piece

    def _end(self, place: _WorkerPlace[T]) -> None:
        if place.actor is not None:
            self._staff.end(place.actor)

    def _answer(self, reference: Any) -> WorkerReport | PieceResult[R] | Failure:
        try:
            answer: WorkerReport | PieceResult[R] = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            return Failure("broken", _told(error))
        return answer

    def _count(self, places: Sequence[_WorkerPlace[T]]) -> None:
        at_work = sum(place.host is not None for place in places)
        if at_work != self._at_work:
            self._at_work = at_work
            self._said(at_work, len(places))


def _told(error: Exception) -> str:
    """What Ray says of a worker that is gone, without what it is called by there."""
    first, *lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    own = [line.strip() for line in lines if not line.startswith(("\t", " "))]
    # Of an error that was raised in the worker the last line is its own, and the others are where it was.
    said = own[-1:] if "ray::" in first else own
    return cut(" ".join(said) or first, 300).rstrip(". ")
