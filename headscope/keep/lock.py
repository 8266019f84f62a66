"""Who works on what in a directory: one at a time, and what a killed one leaves is in nobody's way.

A lock is the operating system's, on a file: it ends with its process, however that ends, and the file that stays says
nothing. Where a file system has no such locks (some network ones), filelock makes do with a file that is there or not;
what is published is whole there too, since no two runs write into one folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from headscope.errors import InputError
from headscope.keep.files import UNFINISHED, remove, told

LOCK = ".lock"
AT_WORK = ".at-work"  # a folder for each part that is being made, with its lock
FOREVER = -1.0


@contextmanager
def held(directory: Path, patience: float = 0.0) -> Iterator[None]:
    """Be the one run that works in a directory, until the block ends; InputError where another one does.

    It is waited for so many seconds, or `FOREVER`.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(directory / LOCK)
        lock.acquire(timeout=patience)
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


@contextmanager
def making(directory: Path, part: str, patience: float = 0.0) -> Iterator[Path | None]:
    """Be the one that makes a part of what is in `directory`, until the block ends: a folder to begin it in, empty.

    None: another one makes it. That is waited for so many seconds, or `FOREVER`. Raises InputError where the directory
    is not there, or cannot be written.
    """
    folder = directory / AT_WORK / part
    with told(directory):
        for place in (folder.parent, folder):  # not `directory`: where that is gone, its work is not for another place
            place.mkdir(exist_ok=True)
        lock = FileLock(folder / LOCK)
        mine = _taken(lock, patience)
    if not mine:
        yield None
        return
    try:
        with told(directory):
            for left in folder.glob(f"{UNFINISHED}*"):  # of one that was killed
                remove(left)
        yield folder
    finally:
        lock.release()


def forget_work(directory: Path) -> None:
    """Remove the folders of parts that nobody makes now."""
    at_work = directory / AT_WORK
    for folder in list(at_work.iterdir()) if at_work.is_dir() else ():
        with making(directory, folder.name) as mine:
            if mine is not None:
                with suppress(OSError):  # a system may keep a file that is locked
                    (mine / LOCK).unlink()
                    mine.rmdir()
    with suppress(OSError):  # where somebody is at work, it is not empty
        at_work.rmdir()


def _taken(lock: FileLock, patience: float) -> bool:
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        return False
    return True
