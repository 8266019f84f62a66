"""One job at a time; the others wait in a bounded line, and leave it when their client does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from starlette.requests import Request

T = TypeVar("T")


class LineFull(Exception):
    """As many requests wait as may."""


class ClientGone(Exception):
    """The client left before its job was done."""


class Line:
    """A model's device runs one job; `waiting` more may stand in line."""

    def __init__(self, waiting: int) -> None:
        self._most = waiting + 1
        self._inside = 0
        self._lock = threading.Lock()
        self._worker: ThreadPoolExecutor | None = None

    @property
    def waiting(self) -> int:
        """How many stand in line behind the running job."""
        return max(0, self._inside - 1)

    async def run(self, job: Callable[[], T], request: Request | None = None) -> T:
        """The job's result, when its turn has come; LineFull or ClientGone where it does not come to that."""
        with self._lock:
            if self._inside >= self._most:
                raise LineFull
            self._inside += 1
            if self._worker is None:
                self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="headscope")
            turn = self._worker.submit(job)
        # A job that already runs cannot be stopped: it counts until it is done, its client there or not.
        turn.add_done_callback(self._leave)
        result: asyncio.Future[T] = asyncio.wrap_future(turn)
        if request is None:
            return await result
        left: asyncio.Future[None] = asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait((result, left), return_when=asyncio.FIRST_COMPLETED)
            if result.done():
                return result.result()
            raise ClientGone
        finally:
            left.cancel()
            if not result.done():
                result.cancel()

    def _leave(self, _: Future[T]) -> None:
        with self._lock:
            self._inside -= 1

    def close(self) -> None:
        """Send everybody away who waits; who comes later finds it open again."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.shutdown(wait=False, cancel_futures=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
