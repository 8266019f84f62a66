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
            if key in self._entries:
                self._entries.move_to_end(key)
                found: T = self._entries[key]
                return found
            built = build()
            self._entries[key] = built
            self._held += built.nbytes
            while self._held > self.budget and len(self._entries) > 1:
                self._held -= self._entries.popitem(last=False)[1].nbytes
            return built

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._held
