"""Files that can be told from what they became: a SHA-256 of each, kept beside them.

Parquet's own checksums leave out its footers and the pages of dictionaries, so whole files are summed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from headscope.errors import InputError
from headscope.keep.files import file_fault, read_small, told, write_whole

CHECKSUMS = "checksums.json"
_MADE = "made"
_BLOCK = 2**20


def seal(
    folder: Path, names: Sequence[str], about: Mapping[str, Any], out: Path, made: Mapping[str, Any] | None = None
) -> None:
    """Write to `out` what a folder is (`about`), and size and SHA-256 of its files.

    `made`: who made it, and with what; it does not say what the folder is.
    """
    files = {name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)} for name in names}
    by = {} if made is None else {_MADE: dict(made)}
    out.write_text(json.dumps({**about, **by, "files": files}, indent=1) + "\n", encoding="utf-8")


def made_of(folder: Path) -> Any:
    """Who made a sealed folder, whose outline is right, as it was said to `seal`; None: it was not said."""
    return json.loads(read_small(folder / CHECKSUMS)).get(_MADE)


def sealed_files(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file that a folder was sealed with, by name; of none where its checksums cannot be read."""
    try:
        files = json.loads(read_small(folder / CHECKSUMS))["files"]
        return {name: str(of.get("sha256")) for name, of in files.items()}
    except (InputError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return {}


def outline_fault(folder: Path, names: Sequence[str], about: Mapping[str, Any]) -> str | None:
    """What of a sealed folder shows, without a look into its tables, that it is not what was written; None: nothing."""
    try:
        sealed = json.loads(read_small(folder / CHECKSUMS))
    except (InputError, ValueError, RecursionError):
        return f"{CHECKSUMS} cannot be read"
    beside = ("files", _MADE)
    if not isinstance(sealed, dict) or {name: value for name, value in sealed.items() if name not in beside} != about:
        return "it belongs elsewhere"
    files = sealed.get("files")
    if not isinstance(files, dict) or not all(isinstance(one, dict) for one in files.values()):
        return f"{CHECKSUMS} cannot be read"
    for name in names:
        if name not in files:
            return f"{CHECKSUMS} has nothing of {name}"
        fault = file_fault(folder / name)
        if fault is not None:
            return fault
        if (folder / name).stat().st_size != files[name].get("bytes"):
            return f"{name} has another size than was written"
    return None


def content_fault(folder: Path, names: Sequence[str]) -> str | None:
    """The first file of a sealed folder, whose outline is right, that holds other bytes than were written; or None."""
    sealed = json.loads(read_small(folder / CHECKSUMS))["files"]
    changed = (name for name in names if sha256_of(folder / name) != sealed[name].get("sha256"))
    return next((f"{name} is not what was written" for name in changed), None)


def write_sealed(path: Path, about: str, write: Callable[[Path], object]) -> None:
    """Let `write` make a file, whole, and write its checksum beside it; the folder is made where it is not there.

    `about` says what the file is, so that none stands for another. Raises InputError where the disk does not take it.
    """
    with told(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, write)
        _beside(path).write_text(_sum_of(path, about), encoding="utf-8")


def intact(path: Path, about: str) -> bool:
    """Whether a file, written by `write_sealed`, is there and what it was."""
    if file_fault(path) is not None or file_fault(_beside(path)) is not None:
        return False
    return read_small(_beside(path)) == _sum_of(path, about).encode()


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, read a block at a time."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _sum_of(path: Path, about: str) -> str:
    return hashlib.sha256(f"{about}\0{sha256_of(path)}".encode()).hexdigest() + "\n"
