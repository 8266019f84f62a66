"""One run at a time in a directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from headscope.errors import InputError

LOCK = ".lock"


@contextmanager
def held(directory: Path) -> Iterator[None]:
    """Be the one run that works in a directory, until the block ends; InputError where another one does.

    The lock is the operating system's, on the file `.lock`: it ends with its process, however that ends, and the file
    that stays says nothing. Where a file system has no such locks (some network ones), filelock makes do with a file
    that is there or not; whole shards are safe there too, since no two runs write into one folder.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(directory / LOCK)
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(
            f"another run is at work in {directory}: wait until it has ended, and run the same command again, which "
            "goes on with what is there; or name another directory."
        ) from None
    except OSError as error:
        raise InputError(
            f"{directory} cannot be written ({error.strerror or error}): name another directory."
        ) from error
    try:
        yield
    finally:
        lock.release()


def refuse_at_work(directory: Path) -> None:
    """Raise InputError where a run is at work in a directory."""
    if (directory / LOCK).exists():
        with held(directory):
            pass
