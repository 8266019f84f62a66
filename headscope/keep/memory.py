"""What was used last, within a budget of bytes that everything which is kept has in common."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar

from headscope.keep.allocator import give_back

_TURNED = 2**26  # bytes to come and go before the allocator is asked for what is free: that takes milliseconds
K = TypeVar("K")
T = TypeVar("T")
M = TypeVar("M")


@dataclass
class Spare:
    """Room that nobody needs; `full` once there was none for something."""

    full: bool = False


_spare: ContextVar[Spare | None] = ContextVar("headscope_spare", default=None)


@contextmanager
def spare_room() -> Iterator[Spare]:
    """Inside, what is kept only takes room that is free, and is the first to go: nobody has used it yet.

    >>> recent = Recent[str](budget=3, size=len)
    >>> recent.put("used", "12")
    >>> with spare_room() as room:
    ...     recent.put("soon", "3"); recent.put("later", "4")
    >>> room.full, recent.get("later")
    (True, None)
    >>> recent.put("now", "5"); recent.items()
    [('used', '12'), ('now', '5')]
    """
    room = Spare()
    token = _spare.set(room)
    try:
        yield room
    finally:
        _spare.reset(token)


class _Key(NamedTuple):
    of: object  # whose it is
    key: Hashable


class Memory:
    """So many bytes for whatever is kept, in any number of caches.

    Beyond them, what was used least recently goes, wherever it is kept and weighed by nothing else; the newest entry
    stays. Safe across threads.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._held = 0
        self._turned = 0  # bytes that came or went since the allocator gave back what it had
        self._entries: OrderedDict[_Key, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()  # held for a moment
        self._left: deque[object] = deque()  # whose entries nobody can ask for any more

    def __repr__(self) -> str:
        return f"{sized(self.nbytes)} of {sized(self.budget)} are kept"

    @property
    def nbytes(self) -> int:
        """The sizes of all that is kept."""
        with self._lock:
            self._sweep()
            return self._held

    def get(self, key: _Key) -> Any:
        """An entry, which counts as used now; None where there is none."""
        with self._lock:
            if key not in self._entries:
                return None
            if _spare.get() is None:
                self._entries.move_to_end(key)
            return self._entries[key][0]

    def put(self, key: _Key, entry: Any, size: int, most: int | None) -> None:
        """Keep an entry; of those whose it is no more than `most` bytes."""
        room = _spare.get()
        with self._lock:
            self._sweep()
            known = self._entries.get(key)
            more = size - (known[1] if known else 0)
            if room is not None and more > 0 and self._held + more > self.budget:
                room.full = True
                return
            self._held += more
            self._entries[key] = entry, size
            if room is None:
                self._entries.move_to_end(key)
            elif known is None:
                self._entries.move_to_end(key, last=False)
            self._forget(most, key.of)
            self._turned += more
            turned, self._turned = self._turned, 0 if self._turned >= _TURNED else self._turned
        if turned >= _TURNED:
            give_back()

    def __contains__(self, key: _Key) -> bool:
        return key in self._entries

    def entries(self, of: object) -> list[tuple[Hashable, Any, int]]:
        """Key, entry and size of all that is somebody's, the least recently used first; none counts as used for it."""
        with self._lock:
            return [(key.key, entry, size) for key, (entry, size) in self._entries.items() if key.of is of]

    def forget(self, of: object, most: int) -> None:
        """Forget what is somebody's beyond `most` bytes."""
        with self._lock:
            self._forget(most, of)

    def forget_large(self, of: object, least: int) -> None:
        """Forget what is somebody's and has `least` bytes or more."""
        with self._lock:
            for key in [key for key, (_, size) in self._entries.items() if key.of is of and size >= least]:
                self._drop(key)

    def drop(self, key: _Key) -> None:
        """Forget an entry, if it is there."""
        with self._lock:
            if key in self._entries:
                self._drop(key)

    def left(self, of: object) -> None:
        """Nobody can ask for what is `of` somebody any more; may be called at any moment, by the garbage collector."""
        self._left.append(of)

    def _forget(self, most: int | None, of: object) -> None:
        """Forget what is over a budget; only for who holds the lock."""
        while self._held > self.budget and len(self._entries) > 1:
            self._drop(next(iter(self._entries)))
        if most is None:
            return
        own = [key for key in self._entries if key.of is of]
        held = sum(self._entries[key][1] for key in own)
        for key in own[:-1]:
            if held <= most:
                break
            held -= self._drop(key)

    def _sweep(self) -> None:
        """Forget what nobody can ask for; only for who holds the lock."""
        while self._left:
            of = self._left.popleft()
            for key in [key for key in self._entries if key.of is of]:
                self._drop(key)

    def _drop(self, key: _Key) -> int:
        size = self._entries.pop(key)[1]
        self._held, self._turned = self._held - size, self._turned + size
        return size


class Recent(Generic[T]):
    """A mapping that forgets what was used least recently once sizes exceed `budget`; the newest entry stays.

    A budget that is a `Memory` is one that others have part in; a number is one of its own. `size` tells how much an
    entry counts, whenever it is put: its bytes, if nothing else is said. Safe across threads. A look-up never waits
    for an entry that is being made, and one thread makes entries at a time.

    >>> recent = Recent[str](budget=10, size=len)
    >>> recent.put("a", "12345678"); recent.put("b", "1234")
    >>> recent.get("a"), recent.get("b"), recent.nbytes
    (None, '1234', 4)
    >>> recent.made("a", lambda: "56")
    '56'
    """

    def __init__(self, budget: int | Memory, size: Callable[[T], int] = attrgetter("nbytes")) -> None:
        self._memory = budget if isinstance(budget, Memory) else Memory(budget)
        self._size, self._own = size, object()
        self._most: int | None = None
        self._making = threading.RLock()  # held while an entry is made, for which others may have to be made
        weakref.finalize(self, self._memory.left, self._own).atexit = False

    def get(self, key: Hashable) -> T | None:
        """The entry of `key`; None where there is none."""
        found: T | None = self._memory.get(_Key(self._own, key))
        return found

    def put(self, key: Hashable, entry: T) -> None:
        """Keep `entry`, in the place of another of this key."""
        self._memory.put(_Key(self._own, key), entry, self._size(entry), self._most)

    @contextmanager
    def within(self, budget: int) -> Iterator[None]:
        """Keep no more than `budget` here, where that is less, until the block ends."""
        before = self._most
        self._most = budget if before is None else min(before, budget)
        self._memory.forget(self._own, self._most)
        try:
            yield
        finally:
            self._most = before

    def drop(self, key: Hashable) -> None:
        """Forget the entry of `key`, if it is there."""
        self._memory.drop(_Key(self._own, key))

    def forget_large(self, least: int) -> None:
        """Forget every entry of `least` bytes or more: before work that has no use for them, and takes room of its own.

        >>> recent = Recent[str](budget=10, size=len)
        >>> recent.put("a", "12345678"); recent.put("b", "1")
        >>> recent.forget_large(2); recent.items()
        [('b', '1')]
        """
        self._memory.forget_large(self._own, least)

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

    def made_together(self: Recent[Any], keys: Mapping[Hashable, K], make: Callable[[list[K]], Sequence[M]]) -> list[M]:
        """The entries of several keys; those that are not there are made of what their keys stand for, all at once.

        >>> recent = Recent[str](budget=10, size=len)
        >>> recent.put("a", "1"); recent.made_together({"a": 1, "b": 2}, lambda new: [str(n) for n in new])
        ['1', '2']
        """
        found: dict[Hashable, M | None] = {key: self.get(key) for key in keys}
        if any(entry is None for entry in found.values()):
            with self._making:
                found |= {key: self.get(key) for key, entry in found.items() if entry is None}
                new = [key for key, entry in found.items() if entry is None]
                for key, entry in zip(new, make([keys[key] for key in new]) if new else (), strict=True):
                    found[key] = entry
                    self.put(key, entry)
        return [entry for entry in found.values() if entry is not None]

    @property
    def nbytes(self) -> int:
        """The sizes of all entries here."""
        return sum(size for _, _, size in self._memory.entries(self._own))

    def items(self) -> list[tuple[Hashable, T]]:
        """All entries with their keys, the least recently used first; none of them counts as used for it."""
        return [(key, entry) for key, entry, _ in self._memory.entries(self._own)]

    def __contains__(self, key: Hashable) -> bool:
        return _Key(self._own, key) in self._memory


def sized(nbytes: int) -> str:
    """So many bytes, in words.

    >>> sized(3 * 2**30 // 2), sized(7 * 2**20), sized(9)
    ('1.5 GiB', '7 MiB', '0 MiB')
    """
    return f"{nbytes / 2**30:.1f} GiB" if nbytes >= 2**30 else f"{nbytes / 2**20:.0f} MiB"
