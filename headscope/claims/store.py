"""Where the work of a run is kept: a directory that belongs to one question, so that a killed run goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headscope.errors import InputError
from headscope.survey.store import write_whole
from headscope.vocabulary.shards import cache_directory

FORMULA = 1  # of the verdicts and of what is kept for them; another number begins anew
ASKED = "asked.json"
PARTS = "parts"


@dataclass(frozen=True)
class Work:
    """Finished parts in a directory: surveys as folders, everything else as files that are whole or not there."""

    directory: Path

    @classmethod
    def claim(cls, directory: Path, asked: Mapping[str, Any]) -> Work:
        """Make the directory that of this question; InputError where another one's work is there."""
        path = directory / ASKED
        told = json.dumps(dict(asked) | {"formula": FORMULA}, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        text = told.encode("utf-8", "backslashreplace")  # a byte of a path that is no UTF-8 stays an escape
        if path.is_file():
            if path.read_bytes() != text:
                raise InputError(
                    f"{directory} holds the work of other claims (another model, other texts or options): ask the "
                    "same, or name another directory."
                )
            return cls(directory)
        if directory.is_dir() and any(directory.iterdir()):
            raise InputError(f"{directory} holds other files: name an empty directory.")
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{directory} cannot be made ({error.strerror or error}).") from error
        write_whole(path, lambda beside: beside.write_bytes(text))
        return cls(directory)

    def at(self, name: str) -> Path:
        """Where a part is, or will be."""
        return self.directory / name


def usual_directory(asked: Mapping[str, Any], sources: Sequence[Path]) -> Path:
    """Where the work is kept when no directory is named: in headscope's cache, by question and state of the files."""
    state = [[str(path.resolve()), path.stat().st_mtime_ns, path.stat().st_size] for path in sources]
    key = json.dumps([dict(asked), state, FORMULA], sort_keys=True)
    return cache_directory() / "claims" / hashlib.sha256(key.encode()).hexdigest()[:24]
