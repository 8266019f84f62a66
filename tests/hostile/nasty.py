"""What may be wrong with a file: what stands in its place never ends, or leads nowhere; its bytes are others."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made, _inside(path.parent):
        made.bind(path.name)  # a whole path may be too long for one


class _inside:
    def __init__(self, directory: Path) -> None:
        self._directory, self._before = directory, Path.cwd()

    def __enter__(self) -> None:
        os.chdir(self._directory)

    def __exit__(self, *_: object) -> None:
        os.chdir(self._before)


def _endless(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(5 * 2**30)  # takes no room


def _closed(path: Path) -> None:
    path.write_bytes(b"{}")
    path.chmod(0)


NASTY: dict[str, Callable[[Path], object]] = {
    "pipe": _pipe,
    "socket": _socket,
    "endless device": lambda path: path.symlink_to("/dev/zero"),
    "empty device": lambda path: path.symlink_to("/dev/null"),
    "circle": lambda path: path.symlink_to(path.name),
    "nowhere": lambda path: path.symlink_to("nowhere/at/all"),
    "folder": lambda path: path.mkdir(),
    "a folder of its own": lambda path: path.symlink_to("."),
    "endless file": _endless,
    "empty": lambda path: path.write_bytes(b""),
}
if hasattr(os, "geteuid") and os.geteuid() != 0:  # nothing is closed to root
    NASTY["closed"] = _closed


def replace(path: Path, kind: str) -> None:
    """Put something nasty in the place of a file or folder, there or not."""
    remove(path)
    if path.parent.is_dir():  # it may be gone, or something nasty itself
        NASTY[kind](path)


def remove(path: Path) -> None:
    """Remove a file or folder, there or not."""
    if not os.path.lexists(path):
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@dataclass(frozen=True)
class AnyChange:
    """One thing that is wrong in a directory: a file is gone or something nasty, its bytes are others, or it ends."""

    how: str
    file: str
    at: Any = None
    value: Any = None

    def make(self, directory: Path) -> None:
        path = directory / self.file
        if self.how == "nasty":
            replace(path, self.value)
        elif self.how == "gone":
            remove(path)
        elif not path.is_file() or path.is_symlink() or path.stat().st_size > 2**25:
            return  # an earlier change has been here
        elif self.how == "bytes":
            whole = bytearray(path.read_bytes())
            for place, byte in zip(self.at, self.value, strict=True):
                whole[place % max(1, len(whole)) : place % max(1, len(whole)) + 1] = bytes([byte])
            path.write_bytes(whole)
        elif self.how == "cut":
            os.truncate(path, self.at % (path.stat().st_size + 1))
        else:
            self._change(path, directory)

    def _change(self, path: Path, directory: Path) -> None:
        """What only files of one kind can have."""
        raise NotImplementedError(self.how)
