"""Where long work may be ended: between two of its steps it asks whether whoever asked for it still wants it.

Steps are few enough to be asked at for nothing (a layer of a run, a tile of a search, a stretch of the vocabulary), and
none lies where something is half written: what a cache, a file or a model holds is as it was before, or whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Stopped(BaseException):
    """Nobody wants the work any more.

    No `Exception`, as little as a keyboard's interrupt: who catches a failure on the way must not take this for one.
    """


# A context variable, not a global: work in other threads goes on.
_wanted: ContextVar[Callable[[], bool] | None] = ContextVar("headscope_wanted", default=None)


@contextmanager
def while_wanted(wanted: Callable[[], bool]) -> Iterator[None]:
    """Inside, a stop point ends the work once `wanted()` is false; so do the `wanted` of those around it.

    >>> with while_wanted(lambda: False):
    ...     stop_point()
    Traceback (most recent call last):
    headscope.question.stopping.Stopped
    """
    outer = _wanted.get()
    token = _wanted.set(wanted if outer is None else lambda: outer() and wanted())
    try:
        yield
    finally:
        _wanted.reset(token)


def stop_point() -> None:
    """Raise Stopped where the work that comes here is not wanted any more."""
    wanted = _wanted.get()
    if wanted is not None and not wanted():
        raise Stopped
