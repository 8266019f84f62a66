"""Where the work of a run is kept: a directory that belongs to one question, so that a killed run goes on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headscope.errors import InputError
from headscope.keep.cache import cache_directory
from headscope.studies.survey.checksums import read_small
from headscope.studies.survey.lock import LOCK, held
from headscope.studies.survey.store import write_whole

FORMULA = 1  # of the verdicts and of what is kept for them; another number begins anew
ASKED = "asked.json"
PARTS = "parts"


@dataclass(frozen=True)
class Work:
    """Finished parts in a directory: surveys as folders, everything else as files that are whole or not there."""

    directory: Path
    asked: Mapping[str, Any]

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Have the directory for this question alone, until the block ends.

        Raises InputError where another one's work is there, or another run is at work.
        """
        if not os.path.lexists(self.directory / ASKED):
            self._refuse_foreign()
        with held(self.directory):
            path, text = self.directory / ASKED, self._text
            if not os.path.lexists(path):
                self._refuse_foreign()
                write_whole(path, lambda beside: beside.write_bytes(text))
            elif read_small(path) != text:
                raise InputError(
                    f"{self.directory} holds the work of other claims (another model, other texts or options): ask "
                    "the same, or name another directory."
                )
            yield

    def _refuse_foreign(self) -> None:
        if self.directory.is_dir() and any(path.name != LOCK for path in self.directory.iterdir()):
            raise InputError(f"{self.directory} holds other files: name an empty directory.")

    @property
    def _text(self) -> bytes:
        asked = dict(self.asked) | {"formula": FORMULA}
        told = json.dumps(asked, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        return told.encode("utf-8", "backslashreplace")  # a byte of a path that is no UTF-8 stays an escape

    def at(self, name: str) -> Path:
        """Where a part is, or will be."""
        return self.directory / name


def usual_directory(asked: Mapping[str, Any], sources: Sequence[Path]) -> Path:
    """Where the work is kept when no directory is named: in headscope's cache, by question and state of the files."""
    state = [[str(path.resolve()), path.stat().st_mtime_ns, path.stat().st_size] for path in sources]
    key = json.dumps([dict(asked), state, FORMULA], sort_keys=True)
    return cache_directory() / "claims" / hashlib.sha256(key.encode()).hexdigest()[:24]
