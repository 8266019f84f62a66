"""One job at a time; the others wait in a bounded line, and leave it when those who wait for them do."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import Request

from headscope.app.api.jobs import ClientGone, Job, LineFull, ServerEnds
from headscope.cores.one_thread import yielding
from headscope.question.stopping import Stopped, while_wanted

_SOON = 0.02  # seconds after which work aside looks again whether it may go on
T = TypeVar("T")


@dataclass(eq=False)
class _Place:
    """A place in the line; others who ask with the same key share it."""

    key: Hashable | None
    job: Job
    turn: Future[Any]


class Line:
    """A model's device runs one job; `waiting` more may stand in line."""

    def __init__(self, waiting: int) -> None:
        self._most = waiting + 1
        self._inside: list[_Place] = []
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._jobs_aside: set[Job] = set()  # this and the next are the event loop's alone
        self._ends = self._over = False

    @property
    def waiting(self) -> int:
        """How many stand in line behind the running job."""
        return max(0, len(self._inside) - 1)

    async def run(self, work: Callable[[], T], request: Request | None = None, key: Hashable | None = None) -> T:
        """What the work comes to when its turn has come; LineFull, ClientGone or ServerEnds where it does not.

        Who asks with the `key` of work that stands in the line already, or runs, waits for the same. It goes on while
        one of them waits; then it leaves the line, or ends at its next stop point.
        """
        if self._over:
            raise ServerEnds
        place = self._shared(key) or self._enter(work, key)
        result: asyncio.Future[T] = asyncio.wrap_future(place.turn)
        result.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen, though all have left
        try:
            await unless_left(result, request)
            return result.result()
        except Stopped:
            raise (ServerEnds if self._over else ClientGone) from None
        finally:
            place.job.leave()
            if not place.job.wanted:
                place.turn.cancel()

    async def aside(self, work: Callable[[], T], request: Request | None = None) -> T:
        """What the work comes to in the time that nobody asks for; ClientGone where the request's client leaves.

        Whoever comes is let past: it ends at its next stop point, and is begun again when the line is empty. It leaves
        a core to others. Once these were sent away, all are.
        """
        if self._ends:
            raise ClientGone
        job = Job()
        self._jobs_aside.add(job)
        begun = asyncio.ensure_future(self._aside(job, work))
        try:
            await unless_left(begun, request)
            return begun.result()
        finally:
            job.end()
            self._jobs_aside.discard(job)
            begun.cancel()

    def end_aside(self) -> None:
        """Send away those whose work is done aside, and who comes with more; only on the event loop."""
        self._ends = True
        for job in self._jobs_aside:
            job.end()

    def end(self) -> None:
        """Send everybody away, and who comes with more; only on the event loop."""
        self.end_aside()
        self._over = True
        with self._lock:
            inside = list(self._inside)
        for place in inside:
            place.job.end()

    async def _aside(self, job: Job, work: Callable[[], T]) -> T:
        def alone() -> T:
            with while_wanted(lambda: not self._inside), yielding():
                return job.run(work)

        while True:
            if self._inside and job.wanted:
                await asyncio.sleep(_SOON)
                continue
            try:
                return await asyncio.wrap_future(self._worker().submit(alone))
            except Stopped:
                if not job.wanted:
                    raise ClientGone from None

    def _shared(self, key: Hashable | None) -> _Place | None:
        with self._lock:
            same = (place for place in self._inside if key is not None and place.key == key)
            return next((place for place in same if place.job.join()), None)

    def _enter(self, work: Callable[[], T], key: Hashable | None) -> _Place:
        with self._lock:
            if len(self._inside) >= self._most:
                raise LineFull
            job = Job()
            place = _Place(key, job, self._worker().submit(job.run, work))
            self._inside.append(place)
        # A job that runs counts until it has come to a stop point, whether anybody waits or not.
        place.turn.add_done_callback(lambda _: self._leave(place))
        return place

    def _worker(self) -> ThreadPoolExecutor:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="headscope")
        return self._thread

    def _leave(self, place: _Place) -> None:
        with self._lock:
            self._inside.remove(place)

    def close(self) -> None:
        """Send everybody away; who comes later finds it open again."""
        self.end()
        self._ends = self._over = False
        with self._lock:
            worker, self._thread = self._thread, None
        if worker is not None:
            worker.shutdown(wait=False, cancel_futures=True)


async def unless_left(awaited: asyncio.Future[Any], request: Request | None, timeout: float | None = None) -> None:
    """Wait until it is done, or the time is over; ClientGone where the request's client leaves before."""
    left = None if request is None else asyncio.ensure_future(_left(request))
    try:
        both = (awaited,) if left is None else (awaited, left)
        await asyncio.wait(both, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if left is not None and left.done() and not awaited.done():
            raise ClientGone
    finally:
        if left is not None:
            left.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
