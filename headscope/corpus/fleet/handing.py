"""Which piece of work is handed to whom: each is done once, whoever is lost on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

TRIES = 3  # so often a piece is handed out, until it is given up
PATIENCE = 10.0  # seconds: how long who has nothing else to do waits for another run that does a piece


class Handing(Generic[T]):
    """Pieces of work, handed out in order; those of whoever is lost are handed out again, first.

    A piece that `TRIES` were lost over is given up, and the others go on. `fruitless`: so many may be lost in a row
    without one piece done between; then all of it is hopeless.

    >>> handing = Handing(["a", "b"], fruitless=6)
    >>> handing.next(), handing.next(), handing.next()
    (('a', 0.0), ('b', 0.0), None)
    >>> handing.lost("a", "the machine is gone")
    >>> handing.done("b")
    >>> handing.next(), handing.over
    (('a', 0.0), False)
    >>> handing.done("a")
    >>> handing.over
    True
    """

    def __init__(self, pieces: Iterable[T], fruitless: int) -> None:
        self._waiting, self._elsewhere, self._out = deque(pieces), deque[T](), set[T]()
        self._lost: dict[T, list[str]] = {}
        self._fruitless, self._in_a_row = fruitless, 0
        self.given_up: dict[T, str] = {}  # with what was said of the last loss

    def next(self) -> tuple[T, float] | None:
        """A piece, and how many seconds to wait where another run does it; None: there is none to hand out now."""
        waiting, patience = (self._waiting, 0.0) if self._waiting else (self._elsewhere, PATIENCE)
        if not waiting:
            return None
        piece = waiting.popleft()
        self._out.add(piece)
        return piece, patience

    def done(self, piece: T) -> None:
        """It is there."""
        self._out.remove(piece)
        self._in_a_row = 0

    def elsewhere(self, piece: T) -> None:
        """Another run does it; it is asked for again when nothing else is left."""
        self._out.remove(piece)
        self._elsewhere.append(piece)

    def lost(self, piece: T, why: str) -> None:
        """Whoever had it will not bring it."""
        self._out.remove(piece)
        self._in_a_row += 1
        said = self._lost.setdefault(piece, [])
        said.append(why)
        if len(said) < TRIES:
            self._waiting.appendleft(piece)
        else:
            self.given_up[piece] = why

    @property
    def over(self) -> bool:
        """Whether every piece is done or given up."""
        return not (self._waiting or self._elsewhere or self._out)

    @property
    def hopeless(self) -> bool:
        """Whether so many were lost in a row that more would be."""
        return self._in_a_row >= self._fruitless
