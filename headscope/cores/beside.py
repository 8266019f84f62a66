"""Work beside a program that keeps it from nothing: not from going on, and hardly from ending."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from weakref import WeakSet

from headscope.question.stopping import Stopped, while_wanted

_begun: WeakSet[threading.Thread] = WeakSet()
_ending = threading.Event()
_PATIENCE = 10.0  # seconds that the program's end waits for what does not come to a stop point, as a silent network


def start(work: Callable[[], object], name: str) -> threading.Thread:
    """Begin work on a thread of that name; when the program ends, the work ends at its next stop point.

    A daemon alone would not do. Python lets it die where it next asks for the interpreter, and below C++ or Rust, as in
    any operation of torch, that aborts the whole program after its own work was done (exit code 134; CPython's
    issue 87135). So the program's end waits until it is gone.

    >>> start(lambda: None, "an example").join()
    """
    thread = threading.Thread(target=_carried, args=(work,), name=name, daemon=True)
    _begun.add(thread)
    thread.start()
    return thread


def _carried(work: Callable[[], object]) -> None:
    with suppress(Stopped), while_wanted(lambda: not _ending.is_set()):
        work()


@atexit.register
def _end() -> None:
    _ending.set()
    last = monotonic() + _PATIENCE
    for thread in list(_begun):
        thread.join(max(0.0, last - monotonic()))
