"""The user's cache: where headscope keeps what was expensive, and how much of a folder stays."""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path

from headscope.errors import InputError


def cache_directory() -> Path:
    """Where headscope keeps what was expensive: HEADSCOPE_CACHE, else `headscope` in the user's own cache directory.

    Raises InputError where neither is known.
    """
    try:
        return _cache_directory()
    except RuntimeError:  # HOME is not set, and the system knows no home of this user
        raise InputError(
            "there is no home directory to keep this in: set HEADSCOPE_CACHE to a directory that can be written."
        ) from None


def _cache_directory() -> Path:
    own = os.environ.get("HEADSCOPE_CACHE")
    if own:
        return Path(own).expanduser().absolute()
    if os.environ.get("XDG_CACHE_HOME"):
        base = Path(os.environ["XDG_CACHE_HOME"])
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path.home() / ".cache"
    return base.absolute() / "headscope"


def lend_to_matplotlib(environment: MutableMapping[str, str]) -> None:
    """Before it is loaded: where the home directory takes no files, its list of fonts is kept in HEADSCOPE_CACHE.

    With neither, it says itself that it has no place, and how it is given one.
    """
    own = environment.get("HEADSCOPE_CACHE")
    homes = ("XDG_CONFIG_HOME", ".config"), ("XDG_CACHE_HOME", ".cache")
    usual = [environment.get(name) or f"{environment.get('HOME', '')}/{folder}" for name, folder in homes]
    if own and "MPLCONFIGDIR" not in environment and not all(map(_takes_files, map(Path, usual))):
        with suppress(RuntimeError):  # ~ of nobody
            environment["MPLCONFIGDIR"] = str(Path(own).expanduser().absolute() / "matplotlib")


def _takes_files(directory: Path) -> bool:
    """Whether a directory can be written, or made."""
    there = next((one for one in (directory, *directory.parents) if one.exists()), directory)
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def touch(path: Path) -> None:
    """Mark a file as used now, where that can be."""
    with suppress(OSError):
        os.utime(path)


def keep_within(directory: Path, budget: int) -> None:
    """Remove the files of a directory that were used the longest ago, until the rest has `budget` bytes at most."""
    kept = []
    for path in directory.iterdir():
        with suppress(OSError):  # another process removes files too
            found = path.stat()
            kept.append((found.st_mtime_ns, found.st_size, path))
    total = 0
    for _, size, path in sorted(kept, reverse=True):
        total += size
        if total > budget:
            with suppress(OSError):
                path.unlink()
