"""What was used last, within a budget; and memory that is no longer used, given back."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, Generic, TypeVar

T = TypeVar("T")
M = TypeVar("M")


class Recent(Generic[T]):
    """A mapping that forgets what was used least recently once its sizes exceed `budget`; the newest entry stays.

    `size` tells how much an entry counts, when it comes: its bytes, if nothing else is said. Safe across threads. A
    look-up never waits for an entry that is being made, and one thread makes entries at a time.

    >>> recent = Recent[str](budget=10, size=len)
    >>> recent.put("a", "12345678"); recent.put("b", "1234")
    >>> recent.get("a"), recent.get("b"), recent.nbytes
    (None, '1234', 4)
    >>> recent.made("a", lambda: "56")
    '56'
    """

    def __init__(self, budget: int, size: Callable[[T], int] = attrgetter("nbytes")) -> None:
        self._budget, self._size, self._held = budget, size, 0
        self._entries: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._lock = threading.Lock()  # held for a moment
        self._making = threading.RLock()  # held while an entry is made, for which others may have to be made

    def get(self, key: Hashable) -> T | None:
        """The entry of `key`; None where there is none."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key][0]

    def put(self, key: Hashable, entry: T) -> None:
        """Keep `entry`, in the place of another of this key."""
        size = self._size(entry)
        with self._lock:
            self._held += size - self._entries.pop(key, (None, 0))[1]
            self._entries[key] = (entry, size)
            self._forget()

    @contextmanager
    def within(self, budget: int) -> Iterator[None]:
        """Keep no more than `budget`, where that is less, until the block ends."""
        before = self._budget
        with self._lock:
            self._budget = min(before, budget)
            self._forget()
        try:
            yield
        finally:
            self._budget = before

    def made(self: Recent[Any], key: Hashable, make: Callable[[], M]) -> M:
        """The entry of `key`, made first where there is none."""
        found: M | None = self.get(key)
        if found is not None:
            return found
        with self._making:
            found = self.get(key)  # by the thread that this one waited for
            if found is None:
                found = make()
                self.put(key, found)
            return found

    def _forget(self) -> None:
        """Forget what is over the budget; only for who holds the lock."""
        while self._held > self._budget and len(self._entries) > 1:
            self._held -= self._entries.popitem(last=False)[1][1]

    @property
    def nbytes(self) -> int:
        """The sizes of all entries."""
        return self._held

    def items(self) -> list[tuple[Hashable, T]]:
        """All entries with their keys, the least recently used first; none of them counts as used for it."""
        with self._lock:
            return [(key, entry) for key, (entry, _) in self._entries.items()]

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries


def give_back() -> None:
    """Give freed memory back to the system, where the C library would keep it (glibc).

    It keeps what lies between blocks that are still used: after many texts were read that is hundreds of megabytes,
    and no use for large tensors, which are mapped by themselves. It takes milliseconds.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have none
        if trim is not None:
            trim(0)
