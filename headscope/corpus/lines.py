"""Files read with care: line by line, none held that is too long, and what cannot be read told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from headscope.keep.remote import RemoteFile

LONGEST = 2**20  # characters of a text: no model reads as much, and tokenising it takes seconds
LINE = 2**23  # of a line: one in JSON may have other fields, and write a character as six
FOOTER = 2**16  # bytes that are read at once of a file that is not read from its start
Readable = Path | RemoteFile
TOO_LONG = f"longer than {LONGEST:,} characters"


@dataclass(frozen=True)
class Fault:
    """Stands in the place of a line that cannot be read, and says why."""

    reason: str


def unread(error: OSError) -> str:
    """Why a file is left out, as it is counted."""
    return f"a file that cannot be read ({error.strerror or error})"


class Unread(Exception):
    """A file, or the rest of one, cannot be read: as a sentence, and as the reason that is counted."""

    def __init__(self, sentence: str, reason: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@contextmanager
def opened(path: Readable, buffering: int = -1) -> Iterator[BinaryIO]:
    """The file; what keeps one of this machine from being read as Unread, one of a store as InputError."""
    try:
        with path.open("rb", buffering) as file:
            yield file
    except OSError as error:
        if error.errno is None:  # of a library that reads the file, about what is in it
            raise
        raise Unread(f"cannot be read: {error.strerror or error}", unread(error)) from None


def lines(path: Readable) -> Iterator[tuple[int, str | Fault]]:
    """Lines of a file with their numbers from 1; a Fault where a line cannot be read. No more than a line is held.

    Raises Unread for a file that ends its lines as old Mac programs did: all of it would be one line.
    """
    with opened(path) as file:
        number = 0
        while raw := file.readline(LINE + 1):
            number += 1
            if number == 1 and b"\r" in raw.rstrip(b"\r\n") and not raw.endswith(b"\n"):
                raise Unread(
                    "ends its lines with \\r alone: have them end with \\n (tr '\\r' '\\n')",
                    "lines that end with \\r alone",
                )
            if len(raw) > LINE:
                while raw and not raw.endswith(b"\n"):
                    raw = file.readline(LINE)
                yield number, Fault(TOO_LONG)
                continue
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError:
                yield number, Fault("not UTF-8")
            else:
                yield number, line
