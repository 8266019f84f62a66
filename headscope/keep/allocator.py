"""Memory that was freed, given back to the system: an allocator keeps it for itself, and it counts as the program's."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Give back what is free in any thread's arena; nothing where the system's allocator offers no such thing."""
    trim = _trim()
    if trim is not None:
        trim(0)


def let_go() -> None:
    """Free what nobody can reach any more, such as a dropped model, whose modules know each other, and give it back.

    The interpreter looks for such circles when many objects have come, and a model is few and large ones.
    """
    gc.collect()
    give_back()


@cache
def _trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    return found
