"""What was used last, within a budget."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """A mapping that forgets what was used least recently once its sizes exceed `budget`.

    Safe across threads. Its lock is never held while an entry is made: a look-up never waits for work.

    >>> recent = Recent[str](budget=10)
    >>> recent.put("a", "first", 8); recent.put("b", "second", 4)
    >>> recent.get("a"), recent.get("b")
    (None, 'second')
    """

    def __init__(self, budget: int) -> None:
        self._budget, self._held = budget, 0
        self._entries: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> T | None:
        """The entry of `key`; None where there is none."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key][0]

    def put(self, key: Hashable, entry: T, size: int) -> None:
        """Keep `entry`; the newest stays even if it alone exceeds the budget."""
        with self._lock:
            self._held += size - self._entries.pop(key, (None, 0))[1]
            self._entries[key] = (entry, size)
            while self._held > self._budget and len(self._entries) > 1:
                self._held -= self._entries.popitem(last=False)[1][1]

    def values(self) -> list[T]:
        """All entries, the least recently used first."""
        with self._lock:
            return [entry for entry, _ in self._entries.values()]

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries
