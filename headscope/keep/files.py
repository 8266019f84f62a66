"""Files and folders that are whole or not there; nothing is written to, or read from, devices and pipes."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from headscope.errors import InputError, cut
from headscope.keep.paths import path_of
from headscope.keep.remote import refuse_remote

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}
UNFINISHED = ".unfinished"  # what the names begin with of what is being written
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_GONE = (errno.ENOENT, errno.ESTALE)
_LARGEST = 2**26  # bytes of a small file: a manifest of 400,000 shards is smaller


def file_to_write(path: str | os.PathLike[str]) -> Path:
    """The regular file, there or not, that `path` means; of a symbolic link, the one that it leads to.

    Raises InputError where there can be none, before any work is done for it.
    """
    refuse_remote([path], "this writes")
    path = path_of(path, "the file to write")
    shown = repr(str(path))
    mode = _mode(path)
    if mode is not None and not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "no file")
        raise InputError(f"{shown} cannot be written: it is {kind}; name a regular file, or a new one.")
    place = Path(path).resolve()
    if _mode(place.parent) is None:
        raise InputError(f"{shown} cannot be written: there is no directory {str(place.parent)!r}.")
    if mode is not None and not os.access(place, os.W_OK):
        raise InputError(f"{shown} cannot be written: it is read-only.")
    _check_writable(place.parent, shown)
    return place


def directory_to_write(path: str | os.PathLike[str]) -> Path:
    """`path`, where it is a directory that can be written, or can be made one; InputError elsewhere."""
    refuse_remote([path], "this command writes")
    path = path_of(path, "the directory to write")
    shown, place = repr(str(path)), utf_8(path)
    mode = _mode(place)
    if mode is None and place.is_symlink():
        raise InputError(f"{shown} leads to {str(place.readlink())!r}, which is not there: make that, or name another.")
    if mode is not None and not stat.S_ISDIR(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "a file")
        raise InputError(f"{shown} is no directory but {kind}: name a directory, or a new one.")
    there = next(above for above in (place, *place.absolute().parents) if _mode(above) is not None)
    _check_writable(there, shown)
    return place


def utf_8(path: str | os.PathLike[str]) -> Path:
    """The path of a directory with Parquet files in it, which are found under names in UTF-8 only; else InputError."""
    if any("\ud800" <= character <= "\udfff" for character in str(path)):
        raise InputError(f"{str(path)!r} has bytes that are not UTF-8, and tables are kept under names in UTF-8 only.")
    return Path(path)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file beside `path`, and move it there when it is whole and on the disk.

    What is replaced hands on its mode, and its owner where that is allowed. Raises OSError, or what `write` raises, and
    leaves nothing behind; `path` is then as it was.
    """
    with _begun() as begin:
        begin(path, write)


def write_all(files: Mapping[Path, bytes]) -> None:
    """Write several files; they are moved to their places when all of them are on the disk. OSError as above."""
    with _begun() as begin:
        for path, what in files.items():
            begin(path, partial(_put, what))


@contextmanager
def _begun() -> Iterator[Callable[[Path, Callable[[Path], object]], None]]:
    """Begin files beside their places; they get their names when the block ends, or go where it fails."""
    places: dict[Path, Path] = {}

    def begin(path: Path, write: Callable[[Path], object]) -> None:
        place = path.resolve()  # of a link, the file that it leads to
        beside = unfinished(place.parent)
        places[beside] = place
        os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        write(beside)
        flush(beside)
        with suppress(FileNotFoundError):
            _hand_on(place.stat(), beside)

    try:
        yield begin
        for beside, place in places.items():
            beside.replace(place)
    except BaseException:
        for beside in places:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(place: Path, beginning: Path, directory: Path) -> Iterator[Path]:
    """A new folder to write to; when the block ends it is on the disk and at `place`, where there may be another.

    It is begun in the folder `beginning`, so that whoever reads those beside `place` finds whole ones. Nothing of it is
    left where the block fails, and `place` is then as it was. Raises InputError, which names `directory`, where the
    disk does not take it.
    """
    folder = unfinished(beginning)
    with told(directory):
        folder.mkdir(parents=True)
    try:
        yield folder
        with told(directory):
            for file in folder.iterdir():
                flush(file)
            remove(place)
            place.parent.mkdir(parents=True, exist_ok=True)
            folder.rename(place)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def write_bytes(path: Path, what: bytes) -> None:
    """Write a file, whole or not at all; OSError where the disk does not take it."""
    write_whole(path, partial(_put, what))


def write_file(path: Path, what: bytes) -> None:
    """The same for a file that a caller named, in a sentence (InputError) where the disk does not take it."""
    try:
        write_bytes(path, what)
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be written: {error.strerror or error}.") from None


def _put(what: bytes, beside: Path) -> None:
    beside.write_bytes(what)


def unfinished(directory: Path) -> Path:
    """A name in a directory for what is begun there: nobody else's, of this process or another."""
    return directory / f"{UNFINISHED}-{os.getpid()}-{secrets.token_hex(4)}.part"


def flush(path: Path) -> None:
    """Let a file be on the disk before its name is: a rename alone may come first."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def remove(path: Path) -> None:
    """Remove what is there, be it a file, a link, a folder with all that is in it, or nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def told(directory: Path) -> Iterator[None]:
    """Tell in a sentence (InputError) what keeps a run that can go on from writing to its directory."""
    try:
        yield
    except OSError as error:
        known = re.search(r"errno (\d+)", str(error), re.IGNORECASE)  # pyarrow hides it in its sentence
        number = int(known[1]) if known else error.errno
        reason = os.strerror(int(known[1])) if known else error.strerror or str(error)
        if number in _GONE:
            raise InputError(
                f"{directory}, or a part of it, is not there any more ({reason}): it was removed, renamed or "
                "unmounted. The same command goes on with what is there then; where nothing is, it begins anew."
            ) from error
        remedy = "make room" if number in _FULL else "let it be written"
        raise InputError(
            f"{directory} cannot be written ({reason}). What is finished is kept: {remedy}, and run the same command "
            "again."
        ) from error


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


def _hand_on(before: os.stat_result, beside: Path) -> None:
    if hasattr(os, "chown"):
        with suppress(OSError):
            os.chown(beside, before.st_uid, before.st_gid)
    beside.chmod(stat.S_IMODE(before.st_mode))


def _mode(path: str | os.PathLike[str]) -> int | None:
    """What is there, links followed; None where nothing is. InputError for a path that no file can have."""
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # too long, no access, a circle of links; a null character
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{cut(path)!r} cannot be written: {reason}.") from None


def _check_writable(directory: Path, shown: str) -> None:
    mode = _mode(directory)
    if mode is None or not stat.S_ISDIR(mode):
        raise InputError(f"{shown} cannot be written: {str(directory)!r} is no directory.")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise InputError(f"{shown} cannot be written: the directory {str(directory)!r} is read-only.")
