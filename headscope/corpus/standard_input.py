"""Texts from standard input: kept in the survey's directory, since they are read more than once and a pipe ends."""

from __future__ import annotations

import filecmp
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from headscope.corpus.asked import CorpusOptions
from headscope.corpus.files import TextFile
from headscope.errors import InputError, cut
from headscope.keep.files import told, unfinished

NAME = "standard input"  # what its texts say they come from
KEPT = "stdin"  # the file that keeps them


@dataclass(frozen=True)
class ArrivedTexts:
    """What came: `new`, a file beside the place where it is kept; None: nothing came, and what is kept serves."""

    directory: Path
    new: Path | None

    def source(self, options: CorpusOptions) -> TextFile:
        """The texts, where they are until `keep`."""
        path = self.new or self.directory / KEPT
        return TextFile(path, "text" if options.format == "auto" else options.format, NAME)

    def refuse_other(self) -> None:
        """Raise InputError where other input is kept and no manifest says which texts it has: it would be lost."""
        kept = self.directory / KEPT
        if self.new is not None and kept.exists() and not filecmp.cmp(self.new, kept, shallow=False):
            raise InputError(
                f"{kept} keeps other texts from standard input: remove it, or name another directory; with nothing on "
                "standard input, the survey goes on with it."
            )

    def keep(self) -> None:
        """Put what came in its place: the texts are those that are asked for."""
        if self.new is not None:
            with told(self.directory):
                self.new.replace(self.directory / KEPT)


@contextmanager
def arriving(directory: Path, stream: BinaryIO | None) -> Iterator[ArrivedTexts]:
    """Take what comes from standard input; nothing of it is left where the block ends without `keep`.

    Raises InputError where nothing comes and nothing is kept.
    """
    if stream is not None and not hasattr(stream, "readinto"):  # which streams of bytes alone have
        raise InputError(f"standard_input is a stream of bytes, as open(PATH, 'rb') is, not {cut(repr(stream))}.")
    given = stream or (None if sys.stdin is None else sys.stdin.buffer)
    kept, made = directory / KEPT, not directory.exists()
    if kept.is_file() and (given is None or given.isatty()):
        yield ArrivedTexts(directory, None)
        return
    new = unfinished(directory)
    try:
        with told(directory):
            directory.mkdir(parents=True, exist_ok=True)
            with new.open("wb") as file:
                if given is not None:
                    shutil.copyfileobj(given, file)
                file.flush()
                os.fsync(file.fileno())
        if new.stat().st_size == 0 and not kept.is_file():
            raise InputError("nothing came on standard input: give texts there, or name files and directories.")
        yield ArrivedTexts(directory, new if new.stat().st_size else None)
    finally:
        with suppress(OSError):  # what kept us from writing is told already
            new.unlink(missing_ok=True)
            if made and not any(directory.iterdir()):
                directory.rmdir()
