"""A directory that belongs to one question: claimed for it, and never another's."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headscope.errors import InputError
from headscope.keep.files import UNFINISHED, remove, told, write_bytes
from headscope.keep.lock import AT_WORK, LOCK, held
from headscope.keep.remote import refuse_remote


@dataclass(frozen=True)
class WorkDirectory:
    """Finished parts in a directory, whole or not there; `asked` is the file that says what they belong to.

    `own`: names of what may be there before that file is.
    """

    directory: Path
    asked: str
    own: tuple[str, ...] = ()

    def at(self, name: str) -> Path:
        """Where a part is, or will be."""
        return self.directory / name

    @contextmanager
    def claimed(self, question: bytes, compare: Callable[[], None]) -> Iterator[None]:
        """Have the directory for `question` alone, until the block ends; see `claim`.

        Raises InputError where another run is at work, too.
        """
        self.refuse_foreign()  # before a lock is made there
        with held(self.directory):
            self.claim(question, compare)
            yield

    def claim(self, question: bytes, compare: Callable[[], None]) -> None:
        """Make the directory that of `question`, or find that it is already. Only for who holds its lock.

        Raises InputError where other files are there; `compare` raises it where another question is.
        """
        if os.path.lexists(self.at(self.asked)):
            compare()
            return
        self.refuse_foreign()
        with told(self.directory):
            write_bytes(self.at(self.asked), question)

    def refuse_foreign(self) -> None:
        """Raise InputError for a directory with other files in it than this work's, and for one that is not here."""
        refuse_remote([self.directory], "this keeps its work in")
        if self.directory.exists() and not self.directory.is_dir():
            raise InputError(f"{self.directory} is a file: name a directory.")
        if not self.directory.is_dir() or os.path.lexists(self.at(self.asked)):
            return
        try:
            others = sorted(path.name for path in self.directory.iterdir() if not self._is_own(path.name))
        except OSError as error:
            raise InputError(f"{self.directory} cannot be read: {error.strerror or error}.") from None
        if others:
            raise InputError(f"{self.directory} holds other files ({', '.join(others[:3])}): name an empty directory.")

    def clean(self) -> None:
        """Remove what runs that were killed had begun to write. Only for who holds the directory's lock.

        What others have begun of their parts stays: see `keep.lock.making`.
        """
        for left in list(self.directory.rglob(f"{UNFINISHED}*")):
            if AT_WORK not in left.relative_to(self.directory).parts:
                remove(left)

    def _is_own(self, name: str) -> bool:
        return name in (*self.own, LOCK) or name.startswith(UNFINISHED)
