"""One look at a model for all that one question asks of it.

A look reads numbers from all over a model's memory: at 125 million parameters it takes 4 ms, as long as a small answer.
A question that goes through many hands has one, as long as it is young: what changes the model after it changes it
after the question was asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_YOUNG = 0.1  # seconds


@dataclass(frozen=True)
class Looks:
    """When one question had each model looked at, by who remembers it, and found it to be what it was."""

    _at: dict[object, float] = field(default_factory=dict)

    def are_young(self, model: object) -> bool:
        """Whether the model was looked at a moment ago."""
        return time.monotonic() - self._at.get(model, float("-inf")) < _YOUNG

    def note(self, model: object, began: float) -> None:
        """Take note of a look that began at a time of `time.monotonic`."""
        self._at[model] = began


class _Here(threading.local):
    looks: Looks | None = None  # of the question that this thread works on


_here = _Here()


@contextmanager
def one_look(looks: Looks) -> Iterator[None]:
    """Inside, on this thread, what is asked of a model is asked by the question that has these looks."""
    before, _here.looks = _here.looks, looks
    try:
        yield
    finally:
        _here.looks = before


def looks_here() -> Looks:
    """Those of the question that is worked on here; else such as know of none, and are forgotten."""
    return Looks() if _here.looks is None else _here.looks
