"""How much of the server's work each visitor has had lately: nobody keeps it from the others."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from starlette.requests import Request

T = TypeVar("T")
_MINUTE = 60.0


class TooMuch(Exception):
    """A visitor asks for more than one may have at a time."""


class Visitors:
    """Gives every visitor `seconds` of work in a minute, and `at_once` requests at a time; None: as much as they like.

    A visitor is an address: the one that uvicorn tells, which is a proxy's word where the proxy is on this machine.
    """

    def __init__(self, seconds: float | None, at_once: int | None) -> None:
        self._seconds, self._at_once = seconds, at_once
        self._spent: deque[tuple[float, str, float]] = deque()  # when, who, how long; of the last minute
        self._inside: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def admitted(self, request: Request | None) -> Iterator[None]:
        """Let one request in while the block runs; TooMuch where its visitor has had enough for now."""
        who = _who(request)
        if who is None or self._seconds is None or self._at_once is None:
            yield
            return
        if self._inside[who] >= self._at_once:
            raise TooMuch(f"this server works on {self._at_once} requests of a visitor at a time: wait for answers.")
        if self.spent(who) >= self._seconds:
            raise TooMuch(
                f"this server works for {self._seconds:g} seconds a minute for each visitor, and you have had them: "
                "wait a little."
            )
        self._inside[who] += 1
        try:
            yield
        finally:
            self._inside[who] -= 1
            self._inside += Counter()  # forgets who is not there any more

    def timed(self, request: Request | None, job: Callable[[], T]) -> Callable[[], T]:
        """The same job, its time counted as its visitor's."""
        who = _who(request)
        if who is None or self._seconds is None:
            return job

        def run() -> T:
            begin = time.monotonic()
            try:
                return job()
            finally:
                with self._lock:
                    self._spent.append((time.monotonic(), who, time.monotonic() - begin))

        return run

    def spent(self, who: str) -> float:
        """Seconds of work that a visitor had in the last minute."""
        with self._lock:
            while self._spent and self._spent[0][0] < time.monotonic() - _MINUTE:
                self._spent.popleft()
            return sum(seconds for _, one, seconds in self._spent if one == who)


def _who(request: Request | None) -> str | None:
    return request.client.host if request is not None and request.client is not None else None
