"""Where the work of a run is kept: a directory that belongs to one question, so that a killed run goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from headscope.errors import InputError
from headscope.keep.cache import cache_directory
from headscope.keep.files import read_small
from headscope.keep.work import WorkDirectory

FORMULA = 3  # of the verdicts and of what is kept for them; another number begins anew
PARTS = "parts"


def work_in(directory: Path) -> WorkDirectory:
    """The parts of a run: surveys as folders, everything else as files."""
    return WorkDirectory(directory, "asked.json")


def claimed(work: WorkDirectory, asked: Mapping[str, Any]) -> AbstractContextManager[None]:
    """Have the directory for this question alone, until the block ends.

    Raises InputError where another one's work is there, or another run is at work.
    """
    told = json.dumps({**asked, "formula": FORMULA}, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    question = told.encode("utf-8", "backslashreplace")  # a byte of a path that is no UTF-8 stays an escape

    def compare() -> None:
        if read_small(work.at(work.asked)) != question:
            raise InputError(
                f"{work.directory} holds the work of other claims (another model, other texts or options): ask "
                "the same, or name another directory."
            )

    return work.claimed(question, compare)


def usual_directory(asked: Mapping[str, Any], sources: Sequence[Path]) -> Path:
    """Where the work is kept when no directory is named: in headscope's cache, by question and state of the files."""
    state = [[str(path.resolve()), path.stat().st_mtime_ns, path.stat().st_size] for path in sources]
    key = json.dumps([dict(asked), state, FORMULA], sort_keys=True)
    return cache_directory() / "claims" / hashlib.sha256(key.encode()).hexdigest()[:24]
