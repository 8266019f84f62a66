"""A cache with a budget in bytes: what was used least recently goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Protocol, TypeVar


class Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


T = TypeVar("T", bound=Sized)


class ByteCache:
    """Keeps what `get` builds, up to `budget` bytes in all; the newest entry stays even if it alone is larger.

    >>> cache = ByteCache(budget=10)
    >>> cache.get("a", lambda: memoryview(b"12345678")).nbytes
    8
    >>> cache.get("b", lambda: memoryview(b"1234")).nbytes, cache.nbytes  # "a" had to go
    (4, 4)
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._entries: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.RLock()
        self._held = 0

    def get(self, key: Hashable, build: Callable[[], T]) -> T:
        """The entry of `key`, built first if it is not there; one thread builds at a time."""
        with self._lock:
            found: T | None = self.peek(key)
            if found is not None:
                return found
            built = build()
            self._entries[key] = built
            self._held += built.nbytes
            while self._held > self.budget and len(self._entries) > 1:
                self._held -= self._entries.popitem(last=False)[1].nbytes
            return built

    def peek(self, key: Hashable) -> Any:
        """The entry of `key`; None where there is none."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key]

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._held
