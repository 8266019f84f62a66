"""Files that can be told from what they became: a SHA-256 of each, kept beside them.

Parquet's own checksums leave out its footers and the pages of dictionaries, so whole files are summed.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headscope.errors import InputError

CHECKSUMS = "checksums.json"
_BLOCK = 2**20
_LARGEST = 2**26  # bytes of a small file: a manifest of 400,000 shards is smaller


def seal(folder: Path, names: Sequence[str], about: Mapping[str, Any], out: Path) -> None:
    """Write to `out` what a folder is (`about`), and size and SHA-256 of its files."""
    files = {name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)} for name in names}
    out.write_text(json.dumps({**about, "files": files}, indent=1) + "\n", encoding="utf-8")


def outline_fault(folder: Path, names: Sequence[str], about: Mapping[str, Any]) -> str | None:
    """What of a sealed folder shows, without a look into its tables, that it is not what was written; None: nothing."""
    try:
        sealed = json.loads(read_small(folder / CHECKSUMS))
    except (InputError, ValueError, RecursionError):
        return f"{CHECKSUMS} cannot be read"
    if not isinstance(sealed, dict) or {name: value for name, value in sealed.items() if name != "files"} != about:
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


def seal_beside(path: Path, about: str) -> None:
    """Write the checksum of one file beside it; `about` says what the file is, so that none stands for another."""
    _beside(path).write_text(_sum_of(path, about), encoding="utf-8")


def intact(path: Path, about: str) -> bool:
    """Whether a file, sealed by `seal_beside`, is there and what it was."""
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


def file_fault(path: Path) -> str | None:
    """Why a path is no file that can be read to its end: pipes and devices may have none."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return f"{path.name} is not there"
    except OSError as error:
        return f"{path.name} cannot be read ({error.strerror or error})"
    return None if stat.S_ISREG(mode) else f"{path.name} is no regular file"


def read_small(path: Path) -> bytes:
    """All of a file that people and other programs may have put there; InputError where it is none, or very large."""
    fault = file_fault(path)
    if fault is None and path.stat().st_size > _LARGEST:
        fault = f"{path.name} has {path.stat().st_size:,} bytes, and at most {_LARGEST:,} are read"
    try:
        if fault is None:
            return path.read_bytes()
    except OSError as error:
        fault = f"{path.name} cannot be read ({error.strerror or error})"
    raise InputError(f"{path.parent} is damaged: {fault}.")


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _sum_of(path: Path, about: str) -> str:
    return hashlib.sha256(f"{about}\0{sha256_of(path)}".encode()).hexdigest() + "\n"
