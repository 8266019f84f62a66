"""Who measures the pieces of a study: this process, or workers of a cluster; the same task, and the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from headscope.corpus.run import KeptRows
from headscope.errors import InputError, cut
from headscope.scope import Scope, a_scope
from headscope.show.progress import Progress, Tick

T = TypeVar("T", bound=Hashable)
T_contra = TypeVar("T_contra", bound=Hashable, contravariant=True)
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
Kind = Callable[["Scope"], "Scope"]  # a function or a class at a module's head: it is pickled where it is sent


class Task(Protocol[T_contra, R_co]):
    """What is asked of a model, in pieces none of which needs to know of another; it is pickled where it is sent."""

    def measuring(self, scope: Scope, tick: Tick) -> Callable[[T_contra], R_co]:
        """Make ready what all pieces need, and return what measures one; `tick` is told of its work as it is done."""
        ...


class Hands(Protocol):
    """Whoever measures."""

    @property
    def scope(self) -> Scope:
        """The model that is measured, open in this process."""
        ...

    def reading_as(self, kind: Kind) -> Hands:
        """The same, of the model as another scope reads it."""
        ...

    @property
    def at_once(self) -> int:
        """How many pieces are measured at a time: it is worth while to make no fewer."""
        ...

    def measure(self, task: Task[T, R], pieces: Mapping[T, int], tick: Tick, done: Callable[[T, R], None]) -> None:
        """Have every piece measured: `done` gets each with what was found, in whatever order they are ready.

        `pieces`: with each the work of it, which `tick` is told of. HeadscopeError where that is not to be had.
        """
        ...


@dataclass(frozen=True)
class Here:
    """This process, with a model that is open: one piece after another, in order.

    >>> class Doubled:
    ...     def measuring(self, scope, tick):
    ...         return lambda piece: 2 * piece
    >>> Here(None).measure(Doubled(), {1: 1, 2: 1}, print, lambda piece, found: print(piece, found))
    1 2
    2 4
    """

    scope: Scope

    def reading_as(self, kind: Kind) -> Here:
        """As `Hands.reading_as`."""
        return Here(kind(self.scope))

    @property
    def at_once(self) -> int:
        """One."""
        return 1

    def measure(self, task: Task[T, R], pieces: Mapping[T, int], tick: Tick, done: Callable[[T, R], None]) -> None:
        """As `Hands.measure`."""
        if not pieces:
            return
        measured = task.measuring(self.scope, tick)
        for piece in pieces:
            done(piece, measured(piece))


def hands_of(given: Hands | None, scope: Scope) -> Hands:
    """Who measures: who is given, or this process; InputError for what measures nothing."""
    if given is not None and not hasattr(given, "measure"):
        raise InputError(f"hands measure pieces, as headscope.studies.hands.Here(scope) does, not {cut(repr(given))}.")
    return given or Here(a_scope(scope))


def gathered(hands: Hands, task: Task[T, R], pieces: Mapping[T, int], tick: Tick) -> dict[T, R]:
    """What was found of every piece, in the order of the pieces, whoever was ready first."""
    found: dict[T, R] = {}
    hands.measure(task, pieces, tick, found.__setitem__)
    return {piece: found[piece] for piece in pieces}


class OfShard(NamedTuple):
    """A shard, as a piece."""

    number: int

    def __str__(self) -> str:
        return f"shard {self.number}"


def by_shard(
    hands: Hands, task: Task[OfShard, list[R]], kept: KeptRows[R], works: Sequence[int], progress: Progress, doing: str
) -> list[R]:
    """The rows of all shards, in order; those of shards that are not there are measured, and kept as they are ready.

    `works`: of every shard, what there is to do; `progress` is told of it, as `doing`.
    """

    def keep(piece: OfShard, rows: list[R]) -> None:
        with kept.writing(piece.number) as sink:
            sink.extend(rows)

    left = {OfShard(number): work for number, work in enumerate(works) if not kept.has(number)}
    progress.step(doing, sum(works), sum(works) - sum(left.values()))
    hands.measure(task, left, progress.advance, keep)
    return [row for number in range(len(works)) for row in kept.read(number)]
