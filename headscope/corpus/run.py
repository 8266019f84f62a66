"""The loop of every study: measure the shards that are not there, keep each whole, and tell how far it is.

A study brings the measure. Since a shard is kept as a whole or not at all, and is measured alike whatever ran before, a
run may be killed at any time, and goes on from there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from headscope.errors import InputError
from headscope.keep.checksums import intact, write_sealed
from headscope.keep.lock import FOREVER

T = TypeVar("T")
S_co = TypeVar("S_co", covariant=True)
S = TypeVar("S")
R = TypeVar("R")


class Shards(Protocol[S_co]):
    """Texts in shards."""

    def __len__(self) -> int: ...

    def read(self, wanted: set[int]) -> Iterator[tuple[int, S_co]]:
        """The wanted ones with their numbers, in order, one at a time."""
        ...


class SharedShards(Protocol[S_co]):
    """What was measured of shards, of each all or nothing, by runs here or on other machines at one time."""

    def has(self, shard: int) -> bool:
        """Whether it is there, and is what was written."""
        ...

    def making(self, shard: int, patience: float) -> AbstractContextManager[AbstractContextManager[S_co] | None]:
        """Be the one that measures it, until the block ends; None: it is there, or another one does.

        The inner block is where a measure puts what it finds: it is there once that ends without an error. Another one
        is waited for so many seconds, or `FOREVER`.
        """
        ...


@dataclass(frozen=True)
class Part:
    """Part `number` of `of`, from 1: every so-manieth shard. Parts are disjoint, and together all there is.

    >>> [list(Part(n, 3).of_shards(7)) for n in (1, 2, 3)]
    [[0, 3, 6], [1, 4], [2, 5]]
    """

    number: int = 1
    of: int = 1

    @classmethod
    def spelled(cls, given: str) -> Part:
        """What `I/N` means; InputError for anything else.

        >>> Part.spelled("2/8")
        Part(number=2, of=8)
        """
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", given, re.ASCII)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise InputError(f"the part is {given!r}; it is I/N with I from 1 to N, as in 2/8.")
        return cls(int(found[1]), int(found[2]))

    def of_shards(self, count: int) -> range:
        """The numbers of its shards, of so many."""
        return range(self.number - 1, count, self.of)


WHOLE = Part()


def missing(shards: Shards[object], kept: SharedShards[object], part: Part = WHOLE) -> set[int]:
    """The shards of a part that are not measured."""
    return {shard for shard in part.of_shards(len(shards)) if not kept.has(shard)}


class InTurn(Generic[S]):
    """Shards one at a time. Those of rising numbers are read in one pass; a smaller number begins a new one."""

    def __init__(self, shards: Shards[S]) -> None:
        self._shards = shards
        self._reading: Iterator[tuple[int, S]] = iter(())
        self._next: int | None = None

    def shard(self, number: int) -> S:
        """The one with a number."""
        if self._next is None or number < self._next:
            self._reading = self._shards.read(set(range(number, len(self._shards))))
        self._next = None  # until it is found: what failed on the way is read anew
        found = next(shard for index, shard in self._reading if index == number)
        self._next = number + 1
        return found


def run_shared(shards: Shards[S], kept: SharedShards[T], measure: Callable[[S, T], None], part: Part = WHOLE) -> None:
    """Measure every shard of a part that is not there, and that no other run measures; then wait for those.

    What another one that was killed has left undone is measured as well: all of the part is there at the end.
    """
    for patience in (0.0, FOREVER):
        wanted = missing(shards, kept, part)
        for number, shard in shards.read(wanted) if wanted else ():
            with kept.making(number, patience) as writing:
                if writing is not None:
                    with writing as sink:
                        measure(shard, sink)


class KeptRows(Protocol[R]):
    """What was measured of shards, as rows of one kind."""

    def has(self, shard: int) -> bool: ...

    def writing(self, shard: int) -> AbstractContextManager[list[R]]: ...

    def read(self, shard: int) -> list[R]: ...


@dataclass(frozen=True)
class RowFiles(Generic[R]):
    """Rows in one file a shard, sealed with what the file is: `path` and `about` of each, and how it is written."""

    path: Callable[[int], Path]
    about: Callable[[int], str]
    write: Callable[[Path, list[R]], object]
    load: Callable[[Path], list[R]]

    def has(self, shard: int) -> bool:
        """Whether it is there, and is what was written."""
        return intact(self.path(shard), self.about(shard))

    @contextmanager
    def writing(self, shard: int) -> Iterator[list[R]]:
        """Take its rows; InputError where the disk does not."""
        rows: list[R] = []
        yield rows
        write_sealed(self.path(shard), self.about(shard), lambda beside: self.write(beside, rows))

    def read(self, shard: int) -> list[R]:
        """Its rows."""
        return self.load(self.path(shard))


class RowsInMemory(Generic[R]):
    """The same for who names no directory: nothing outlives the run."""

    def __init__(self) -> None:
        self._rows: dict[int, list[R]] = {}

    def has(self, shard: int) -> bool:
        """Whether it was measured."""
        return shard in self._rows

    @contextmanager
    def writing(self, shard: int) -> Iterator[list[R]]:
        """Take its rows."""
        rows: list[R] = []
        yield rows
        self._rows[shard] = rows

    def read(self, shard: int) -> list[R]:
        """Its rows."""
        return self._rows[shard]
