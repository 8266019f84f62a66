"""A directory on an object store that many write to: files and folders in it are whole or not there.

There are no locks on a store, and none are needed: an object is whole or not there by itself, and a folder is there
once its marker is, the file that is written last. Every publication of a folder lies under a name of its own
(`shards/00003/1a2b3c4d/…`), so two that publish at one time touch nothing of each other's; the first one stands.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from headscope.keep.files import told, unfinished
from headscope.keep.remote import RemoteFile, RemotePath

_AT_ONCE = 8  # files that are sent or fetched


@dataclass(frozen=True)
class Publication:
    """A folder that is there: its name in the directory, and its files by their names."""

    folder: str
    files: Mapping[str, RemoteFile]


@dataclass
class PublishedDirectory:
    """A directory at an address; `marker` is the file whose presence says that a folder is there.

    What folders there are is asked once, and again by `look`.
    """

    root: RemotePath
    marker: str
    _seen: dict[str, list[Publication]] = field(default_factory=dict)
    _looked: set[str] = field(default_factory=set)

    def at(self, name: str) -> RemotePath:
        """The address of a file in it."""
        return self.root / name

    def put_first(self, name: str, what: Path) -> None:
        """Publish a file, unless there is one."""
        if self.at(name).file() is None:
            self.at(name).write(what)

    def fetch(self, name: str, place: Path) -> bool:
        """Copy a file to `place`; False where there is none."""
        found = self.at(name).file()
        if found is not None:
            _fetch(found, place)
        return found is not None

    def look(self, below: str) -> None:
        """Ask anew which folders there are below a part of the directory."""
        self._seen = {name: found for name, found in self._seen.items() if not _is_below(name, below)}
        for name, one in self._publications(below):
            self._seen.setdefault(name, []).append(one)
        for found in self._seen.values():
            found.sort(key=lambda one: (str(one.files[self.marker].stamp), one.files[self.marker].url))
        self._looked.add(below)

    def published(self, folder: str) -> Publication | None:
        """The first publication of a folder; None where there is none."""
        below = folder.rpartition("/")[0]
        if not any(_is_below(folder, looked) for looked in self._looked):
            self.look(below)
        return next(iter(self._seen.get(folder, ())), None)

    def folders(self, below: str) -> list[str]:
        """The names of the folders that are there, in order."""
        self.look(below)
        return sorted(name for name, found in self._seen.items() if found and _is_below(name, below))

    def publish(self, folder: str, here: Path) -> None:
        """Publish a folder that is whole, unless there is one: its marker last."""
        self.look(folder)
        if self.published(folder) is not None:
            return
        place = self.at(f"{folder}/{secrets.token_hex(8)}")
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            files = [path for path in sorted(here.iterdir()) if path.name != self.marker]
            list(pool.map(lambda path: (place / path.name).write(path), files))
        (place / self.marker).write((here / self.marker).read_bytes())
        self.look(folder)

    def take(self, one: Publication, place: Path, names: Collection[str] | None = None) -> None:
        """Copy a published folder, or those of its files, to `place`, all or none; what is there is replaced."""
        wanted = one.files if names is None else names
        with told(place.parent):
            place.parent.mkdir(parents=True, exist_ok=True)
            beside = unfinished(place.parent)
            beside.mkdir()
            try:
                with ThreadPoolExecutor(_AT_ONCE) as pool:
                    list(pool.map(lambda name: _fetch(one.files[name], beside / name), wanted))
                shutil.rmtree(place, ignore_errors=True)
                beside.rename(place)
            except BaseException:
                shutil.rmtree(beside, ignore_errors=True)
                raise

    def withdraw(self, one: Publication) -> None:
        """Let a publication be none any more: its marker goes."""
        RemotePath(one.files[self.marker].url).remove()
        self._seen[one.folder] = [other for other in self._seen.get(one.folder, ()) if other is not one]

    def _publications(self, below: str) -> Iterator[tuple[str, Publication]]:
        """Every publication, in no order."""
        together: dict[str, dict[str, RemoteFile]] = {}
        for file in self.at(below).files():
            place, _, name = file.url.rpartition("/")
            together.setdefault(place, {})[name] = file
        start = len(self.root.url) + 1
        for place, files in together.items():
            if self.marker in files:
                folder = place[start:].rpartition("/")[0]
                yield folder, Publication(folder, files)


def _fetch(file: RemoteFile, place: Path) -> None:
    with file.open() as source, told(place.parent), place.open("wb") as out:
        shutil.copyfileobj(source, out, 2**22)


def _is_below(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}/")
