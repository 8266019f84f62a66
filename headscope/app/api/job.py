"""Who waits for a piece of work: it goes on while one does."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from headscope.question.stopping import stop_point, while_wanted

T = TypeVar("T")


class Job:
    """A piece of work, and who waits for it; at first the one who asked for it.

    A visitor who has a name waits once, however often he asks; those without one are counted. Once nobody waits, the
    work ends at its next stop point, and cannot be joined any more. With a `patience` they wait from afar: who is not
    heard of for so many seconds counts as gone.
    """

    def __init__(self, who: str | None = None, patience: float = math.inf) -> None:
        self._patience = patience
        self._heard: dict[object, float] = {who or object(): time.monotonic()}  # who waits, and when he was heard last
        self._lock = threading.Lock()

    @property
    def wanted(self) -> bool:
        """Whether anybody waits for it."""
        with self._lock:
            self._forget()
            return bool(self._heard)

    def join(self, who: str | None = None) -> bool:
        """One more waits for it; False where it has ended, or is about to."""
        with self._lock:
            self._forget()
            if not self._heard:
                return False
            self._heard[who or object()] = time.monotonic()
            return True

    def hear(self, who: str | None = None) -> None:
        """One of those who wait has asked after it."""
        with self._lock:
            self._heard |= dict.fromkeys(self._called(who), time.monotonic())

    def leave(self, who: str | None = None) -> None:
        """One of those who waited does not any more."""
        with self._lock:
            for one in self._called(who)[:1]:
                del self._heard[one]

    def end(self) -> None:
        """Nobody is to get it."""
        with self._lock:
            self._heard.clear()

    def run(self, work: Callable[[], T]) -> T:
        """What the work comes to; Stopped where nobody waits for it any more."""
        with while_wanted(lambda: self.wanted):
            stop_point()
            return work()

    def _called(self, who: str | None) -> list[object]:
        """Those who wait under a name: one, or none; without a name, any number."""
        return [one for one in self._heard if (not isinstance(one, str) if who is None else one == who)]

    def _forget(self) -> None:
        long_ago = time.monotonic() - self._patience
        self._heard = {who: when for who, when in self._heard.items() if when >= long_ago}
