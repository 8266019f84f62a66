"""A thread on which torch computes alone: no operation, products included, asks another thread for help.

torch's own setting would not do: `torch.set_num_threads` changes what every thread that begins later gets, and so the
threads of whoever uses headscope. OpenMP's number, and MKL's local one, are the calling thread's own.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

from headscope.cores.count import usable

_here = threading.local()
_beginning = threading.Lock()


@contextmanager
def alone() -> Iterator[None]:
    """Inside, torch computes with one thread on the calling thread; outside and elsewhere nothing changes."""
    if torch.get_num_threads() == 1 or _openmp() is None:
        yield
        return
    _here.before = torch.get_num_threads(), keep_alone()
    try:
        yield
    finally:
        before, _here.before = _here.before, None
        _set(*before)


@contextmanager
def together() -> Iterator[None]:
    """Inside of `alone`, torch's own threads again: for calls that are few, and large enough to wait for each other."""
    before = getattr(_here, "before", None)
    if before is None:
        yield
        return
    _here.before = None
    _set(*before)
    try:
        yield
    finally:
        _here.before = before
        _set(1, 1)


@contextmanager
def yielding() -> Iterator[None]:
    """Inside, torch and the pool leave one core alone, where there are several: for work that nobody waits for."""
    with alone():
        before = getattr(_here, "before", None)
        if before is not None:
            _here.before = max(1, min(usable(), before[0]) - 1), before[1]
        try:
            yield
        finally:
            _here.before = before


def own_threads() -> int:
    """How many threads torch uses on the calling thread, outside of `alone`."""
    before = getattr(_here, "before", None)
    return torch.get_num_threads() if before is None else int(before[0])


def keep_alone() -> int:
    """Let torch compute with one thread on the calling thread from now on; returns MKL's local number of before."""
    with _beginning:
        everywhere = torch.get_num_threads()  # also lets torch set the thread up, which it does once
        if _openmp() is not None:
            return _set(1, 1)
        # Without OpenMP in reach, by torch's own setting; a thread that begins in between keeps it.
        torch.set_num_threads(1)
        back = threading.Thread(target=torch.set_num_threads, args=(everywhere,))
        back.start()
        back.join()
        return 0


def _set(threads: int, local: int) -> int:
    library = _openmp()
    assert library is not None
    library.omp_set_num_threads(threads)
    if not hasattr(library, "MKL_Set_Num_Threads_Local"):
        return 0
    before: int = library.MKL_Set_Num_Threads_Local(local)  # 0: none, OpenMP's counts
    return before


@cache
def _openmp() -> ctypes.CDLL | None:
    """The OpenMP that torch computes with, and MKL, where their functions can be called."""
    if os.name == "nt":  # there, a name is looked for in the file alone
        return None
    library = ctypes.CDLL(torch._C.__file__)  # and here in whatever it was linked with
    return library if hasattr(library, "omp_set_num_threads") else None
