"""Which files hold the texts: those that are named, and of directories all of a known kind, here or on a store."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from headscope.corpus.lines import Readable, unread
from headscope.errors import InputError
from headscope.keep.paths import path_of
from headscope.keep.remote import RemotePath, is_remote
from headscope.question.choices import FORMATS, Format
from headscope.question.given import in_order

_SUFFIXES: dict[str, Format] = {
    ".txt": "text", ".text": "text", ".md": "text", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv",
    ".tsv": "csv", ".parquet": "parquet", ".conllu": "conllu",
}  # fmt: skip
_PACKED = {
    b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip",
}  # fmt: skip


@dataclass(frozen=True)
class TextFile:
    """One file and its format; `name` is what its texts say they come from.

    `fault`: why it cannot be read, of what was found in a directory. `named`: it was asked for by its name, so that
    what keeps it from being read is the asker's to know; of a directory's files it is counted.
    """

    path: Readable
    format: Format
    name: str
    fault: str | None = None
    named: bool = True

    @property
    def everywhere(self) -> TextFile:
        """The file by a name that means the same wherever a process stands."""
        return replace(self, path=self.path.absolute()) if isinstance(self.path, Path) else self


def find_sources(paths: Iterable[str | Path], format: Format | Literal["auto"] = "auto") -> list[TextFile]:
    """The files that `paths` name, here or on an object store: files, and of directories all of a known kind.

    A file's format is that of its suffix, else plain text. Raises InputError for a path that is not there or no file,
    for .json, and for a directory with no file of a known kind; what of a directory cannot be read is a source with a
    fault.
    """
    if format not in ("auto", *FORMATS):
        raise InputError(f"there is no format {format!r}; open: auto, {', '.join(FORMATS)}.")
    sources: list[TextFile] = []
    for given in in_order(paths, "paths"):
        if is_remote(given):
            sources += _on_store(RemotePath.of(given), format)
            continue
        path = path_of(given, "a path of texts")
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError, ValueError):
            raise InputError(f"there is no file or directory {str(path)!r}.") from None
        except OSError as error:
            raise InputError(f"{str(path)!r} cannot be read: {error.strerror or error}.") from None
        if stat.S_ISDIR(mode):
            inside = list(_inside(path, format))
            if not inside:
                raise InputError(f"{path} holds no file of a known kind ({', '.join(_SUFFIXES)}).")
            sources += inside
        elif stat.S_ISREG(mode):
            _refuse_packed(path)
            sources.append(TextFile(path, _format(path, format), _name(path)))
        else:
            raise InputError(
                f"{str(path)!r} is no regular file: texts are read more than once. Give what it holds on standard "
                "input (headscope survey -)."
            )
    if not sources:
        raise InputError("no texts are given: name files, directories, or - for standard input.")
    return sources


def _inside(directory: Path, format: Format | Literal["auto"]) -> Iterator[TextFile]:
    """The files of a known kind in a directory, in order of their paths, and what of it cannot be read."""
    faults: dict[Path, str] = {}

    def note(error: OSError) -> None:
        faults[Path(error.filename)] = f"a directory that cannot be read ({error.strerror})"

    files = [Path(folder, name) for folder, _, names in os.walk(directory, onerror=note) for name in names]
    for path in sorted({*faults, *(path for path in files if path.suffix.lower() in _SUFFIXES)}):
        fault = faults.get(path)
        try:
            if fault is None and not stat.S_ISREG(path.stat().st_mode):
                fault = "no regular file"
        except OSError as error:
            fault = unread(error)
        yield TextFile(path, _format(path, format), _name(path), fault, named=False)


def _on_store(path: RemotePath, format: Format | Literal["auto"]) -> list[TextFile]:
    """The file at an address, or what is below it."""
    file = path.file()
    if file is not None:
        _refuse_packed(file)
        return [TextFile(file, _format(file, format), str(file))]
    files = path.files()
    if not files:
        raise InputError(f"there is no file or directory {str(path)!r}.")
    known = [one for one in files if one.suffix.lower() in _SUFFIXES]
    if not known:
        raise InputError(f"{path} holds no file of a known kind ({', '.join(_SUFFIXES)}).")
    return [TextFile(one, _format(one, format), str(one), named=False) for one in known]


def _refuse_packed(path: Readable) -> None:
    try:
        with path.open("rb", 4096) as file:
            start = file.read(max(map(len, _PACKED)))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    kind = next((kind for begins, kind in _PACKED.items() if start.startswith(begins)), None)
    if kind is not None:
        raise InputError(f"{path} is packed ({kind}): unpack it first, or give its texts on standard input (-).")


def _format(path: Readable, asked: Format | Literal["auto"]) -> Format:
    if asked != "auto":
        return asked
    if path.suffix.lower() == ".json":  # its braces and names would be measured as words
        raise InputError(
            f"{path} is JSON by its name, and no plain text: where each line is an object, name it .jsonl, "
            "or give the format jsonl."
        )
    return _SUFFIXES.get(path.suffix.lower(), "text")


def _name(path: Path) -> str:
    """A path that can be written: bytes of it that are no UTF-8 as their numbers."""
    return os.fsencode(path).decode("utf-8", errors="backslashreplace")
