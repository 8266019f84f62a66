"""A folder below TMPDIR for one run alone; what a killed run has left there goes when another one begins."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from headscope.keep.lock import LOCK


class Scratch:
    """A new, empty `folder`, which goes with this; its name begins with `prefix`.

    The system's lock in it tells that its run is alive, however that ends: a signal leaves no time to tidy up.
    """

    def __init__(self, prefix: str) -> None:
        _sweep(prefix)
        place = self._made(prefix)
        while place is None:  # one that swept had its lock first, and took it away
            place = self._made(prefix)
        self.folder = place / "work"
        self.folder.mkdir()
        weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)

    def _made(self, prefix: str) -> Path | None:
        place = Path(tempfile.mkdtemp(prefix=prefix))
        self._lock = FileLock(place / LOCK)
        with suppress(FileNotFoundError):
            self._lock.acquire()
        return place if (place / LOCK).exists() else None


def _sweep(prefix: str) -> None:
    """Remove what runs of this user have left that are no more."""
    me = getattr(os, "getuid", lambda: 0)()  # where there are no users, all files are said to be of 0
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError, Timeout):
            if left.is_symlink() or left.stat().st_uid != me or not (left / LOCK).exists():
                continue
            with FileLock(left / LOCK, timeout=0):
                shutil.rmtree(left, ignore_errors=True)
