"""Long work: who waits for it, how far it is, and what it came to."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from starlette.requests import Request

from headscope.app.api.answers import BeingMadeRecord, JobRecord, State
from headscope.errors import HeadscopeError
from headscope.question.stopping import Stopped, stop_point, while_wanted

T = TypeVar("T")
log = logging.getLogger(__name__)
VISITOR = "Headscope-Visitor"  # a header: a name that a page makes up for itself, so that it counts once


class LineFull(Exception):
    """As many requests wait as may."""


class ClientGone(Exception):
    """The client left before its job was done."""


class ServerEnds(ClientGone):
    """The server sent the client away before its job was done: it is to end."""


class BeingMade(Exception):
    """The question has to wait for a job, which `told` names."""

    def __init__(self, told: BeingMadeRecord) -> None:
        super().__init__(told["error"])
        self.told = told


class Job:
    """A piece of work, and who waits for it; at first the one who asked for it.

    A visitor who has a name waits once, however often he asks; those without one are counted. Once nobody waits, the
    work ends at its next stop point, and cannot be joined any more. With a `patience` they wait from afar: who is not
    heard of for so many seconds counts as gone.
    """

    def __init__(self, who: str | None = None, patience: float = math.inf, state: State = "waiting") -> None:
        self.state: State = state
        self.done = self.total = 0
        self.step: str | None = None  # what is being done, where no number tells
        self.problem: HeadscopeError | str | None = None  # why it failed
        self.task: asyncio.Task[None] | None = None
        self._began = 0.0, 0  # when, and how much was done then
        self._patience = patience
        self._heard: dict[object, float] = {who or object(): time.monotonic()}  # who waits, and when he was heard last
        self._lock = threading.Lock()

    @property
    def wanted(self) -> bool:
        """Whether anybody waits for it."""
        with self._lock:
            self._forget()
            return bool(self._heard)

    @property
    def goes_on(self) -> bool:
        """Whether it has neither come to its end nor been left by all who waited."""
        return self.state in ("waiting", "working")

    def join(self, who: str | None = None) -> bool:
        """One more waits for it; False where it has ended, or is about to."""
        with self._lock:
            self._forget()
            if not (self._heard and self.goes_on):
                return False
            self._heard[who or object()] = time.monotonic()
            return True

    def hear(self, who: str | None = None) -> None:
        """One of those who wait has asked after it."""
        with self._lock:
            self._heard |= dict.fromkeys(self._called(who), time.monotonic())

    def leave(self, who: str | None = None) -> None:
        """One of those who waited does not any more; where nobody does, it ends."""
        with self._lock:
            for name in self._called(who)[:1]:
                del self._heard[name]
        if not self.wanted and self.goes_on:
            self.state = "stopped"

    def end(self) -> None:
        """Nobody is to get it."""
        with self._lock:
            self._heard.clear()

    def close(self) -> None:
        """End it on the event loop, whoever waits."""
        if self.task is not None:
            self.task.cancel()

    def run(self, work: Callable[[], T]) -> T:
        """What the work comes to; Stopped where nobody waits for it any more."""
        with while_wanted(lambda: self.wanted):
            stop_point()
            return work()

    def start(self, making: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin on the event loop; does not wait for it. What it comes to is told by `state`."""

        async def carried() -> None:
            with self.carried():
                await making

        self.task = asyncio.get_running_loop().create_task(carried())
        return self.task

    @contextmanager
    def carried(self) -> Iterator[None]:
        """While the block works; `state` says what it came to, and `problem` why not."""
        try:
            yield
            self.state = "ready"
        except (ClientGone, Stopped):
            self.state = "stopped"
        except LineFull:
            self._fail("the server is making as much as it takes: ask again later.")
        except HeadscopeError as error:
            self._fail(error)
        except Exception as error:
            log.exception("work in the background failed")
            self._fail(f"headscope failed ({type(error).__name__}); its log says where.")

    def tell(self, done: int = 0, total: int = 0, step: str | None = None) -> None:
        """So much is done of so much; what is told first may have been there before."""
        if self.state == "waiting":
            self.state = "working"
        if not self.total:
            self._began = time.monotonic(), done
        self.done, self.total, self.step = done, total, step

    def seconds_left(self) -> float | None:
        """An estimate, once a first step has been taken since this work began."""
        when, had = self._began
        if self.state != "working" or self.done <= had:
            return None
        return round((self.total - self.done) * (time.monotonic() - when) / (self.done - had), 1)

    def record(self) -> JobRecord:
        """For JSON."""
        return {
            "state": self.state,
            "done": self.done,
            "total": self.total,
            "step": self.step,
            "seconds_left": self.seconds_left(),
            "problem": None if self.problem is None else str(self.problem),
        }

    def _fail(self, problem: HeadscopeError | str) -> None:
        self.state, self.problem = "failed", problem

    def _called(self, who: str | None) -> list[object]:
        """Those who wait under a name: one, or none; without a name, any number."""
        return [name for name in self._heard if (not isinstance(name, str) if who is None else name == who)]

    def _forget(self) -> None:
        long_ago = time.monotonic() - self._patience
        self._heard = {who: when for who, when in self._heard.items() if when >= long_ago}


def visitor(request: Request | None) -> str | None:
    """The name of who asks; None where he has none."""
    return None if request is None else request.headers.get(VISITOR, "")[:64] or None
