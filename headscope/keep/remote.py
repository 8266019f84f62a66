"""Files on an object store, by their addresses (`s3://bucket/dir/file`): what is there, and what is in it.

A store's fault is never a file's: whatever keeps one from being listed, read or written ends in one sentence
(InputError), after a few tries, so that texts are not left out because a network was down. Keys are as they are
written: nothing of an address is an escape. Tried against S3; Google's and Azure's stores (`gs://`, `abfs://`) and the
Hub's data sets (`hf://datasets/…`) go through the same code.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from headscope.errors import InputError, clause, cut, needing
from headscope.keep.paths import spelled

if TYPE_CHECKING:
    from typing_extensions import Buffer

SCHEMES = ("s3", "gs", "abfs", "abfss", "hf")
_ADDRESS = re.compile(rf"({'|'.join(SCHEMES)}):/{{1,2}}(?!/)(.*)", re.DOTALL)  # a Path of one has lost a slash
_OTHER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # of one letter it would be a drive
_OTHER_PATH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")
_TRIES, _CONNECT, _REQUEST = 3, 5.0, 30.0  # and seconds
_BLOCK = 2**22  # bytes that are read at once of a file that is read from its start
_CREDENTIALS = (
    "credentials are looked for in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in ~/.aws/credentials and in the "
    "machine's role"
)
# What the libraries say, and what of it a reader can use; {place} is the bucket.
_FAULTS = (
    (r"NO_SUCH_BUCKET|bucket does not exist", "there is no {place} (from here)"),
    (
        r"ACCESS_DENIED|INVALID_ACCESS_KEY_ID|SIGNATURE_DOES_NOT_MATCH|INVALID_CLIENT_TOKEN|UNRECOGNIZED_CLIENT"
        r"|EXPIRED_TOKEN|HTTP response code: 40[13]",
        f"access is denied; {_CREDENTIALS}",
    ),
    (r"NETWORK_CONNECTION|curlCode|REQUEST_TIMEOUT|[Tt]imed out|resolve host", "the store cannot be reached"),
    (r"OfflineMode|offline mode|HF_HUB_OFFLINE", "the Hub may not be asked, because HF_HUB_OFFLINE is set"),
)


def is_remote(given: object) -> bool:
    """Whether a path is an address on an object store; InputError for an address of another kind.

    >>> is_remote("s3://bucket/texts"), is_remote("texts/s3"), is_remote(Path("s3://bucket"))
    (True, False, True)
    >>> is_remote("ftp://host/x")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    headscope.errors.InputError: 'ftp://host/x' begins with ftp://, which is not known; known are s3://, gs://, ...
    """
    if not isinstance(given, (str, os.PathLike)):
        return False
    path = spelled(given, "a path")
    if _ADDRESS.fullmatch(path) is not None:
        return True
    other = _other(given)
    if other is None:
        return False
    scheme, address = other
    if scheme in SCHEMES:
        raise InputError(f"{cut(path)!r} names no bucket: it is as in {scheme}://bucket/directory.")
    known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
    raise InputError(
        f"{cut(address)!r} begins with {scheme}://, which is not known; known are {known} and paths of this machine."
    )


def _other(given: str | os.PathLike[str]) -> tuple[str, str] | None:
    """Scheme and address of what begins as an address does; None for a path."""
    path = spelled(given, "a path")
    found = (_OTHER if isinstance(given, str) else _OTHER_PATH).match(path)
    # A Path of an address has lost a slash.
    return None if found is None else (found[1], f"{found[1]}://{path[found.end() :].lstrip('/')}")


def refuse_remote(paths: Iterable[str | os.PathLike[str]], who: str) -> None:
    """Raise InputError for an address, of any kind: `who` (as in "claims read") uses files of this machine only.

    >>> refuse_remote(["s3://bucket/texts"], "claims read")
    Traceback (most recent call last):
    headscope.errors.InputError: s3://bucket/texts is on an object store, and claims read files of this machine only.
    """
    for path in paths:
        other = _other(path) if isinstance(path, (str, os.PathLike)) else None
        if other is not None and other[0] not in SCHEMES:  # those that are known elsewhere are of no use here
            raise InputError(f"{cut(other[1])!r} begins with {other[0]}://, and {who} files of this machine only.")
        if is_remote(path):
            raise InputError(f"{RemotePath.of(path)} is on an object store, and {who} files of this machine only.")


@dataclass(frozen=True)
class RemoteFile:
    """A file of an object store: its address, bytes, and what tells it from what stood there before."""

    url: str
    size: int
    stamp: int | str | None

    @property
    def suffix(self) -> str:
        """The end of its name, from the last dot on."""
        return Path(self.url.rpartition("/")[2]).suffix

    @property
    def parts(self) -> tuple[str, ...]:
        """By which files are sorted, as paths are."""
        return tuple(self.url.split("/"))

    def open(self, mode: str = "rb", buffering: int = -1) -> io.BufferedReader:
        """Read it, so many bytes at a time at least (−1: many). InputError for what keeps it from being read."""
        assert mode == "rb", "it is only read"
        return io.BufferedReader(_Reading(self.url), _BLOCK if buffering < 0 else buffering)

    def absolute(self) -> RemoteFile:
        """Itself: an address is the same wherever one stands."""
        return self

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class RemotePath:
    """An address on an object store, where there may be a file, a directory, or nothing."""

    url: str

    @classmethod
    def of(cls, given: str | os.PathLike[str]) -> RemotePath:
        """The address that is given; InputError where it is none."""
        found = _ADDRESS.fullmatch(str(given))
        if found is None:
            raise InputError(f"{str(given)!r} is no address on an object store: it begins with one of "
                             f"{', '.join(f'{scheme}://' for scheme in SCHEMES)}.")  # fmt: skip
        scheme, key = found[1], found[2].rstrip("/")
        if not key:
            raise InputError(f"{str(given)!r} names no bucket: it is as in {scheme}://bucket/directory.")
        if scheme != "hf" and "@" in key.partition("/")[0] and not scheme.startswith("abfs"):
            raise InputError(f"the address {scheme}://…@… holds credentials, which would be kept with the results; "
                             f"{_CREDENTIALS}.")  # fmt: skip
        return cls(f"{scheme}://{key}")

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(f"{self.url}/{name}")

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.url.rpartition("/")[2]

    def read(self) -> bytes | None:
        """All that is in the file; None where there is none. InputError where that cannot be asked."""
        found = self.file()
        if found is None:
            return None
        with found.open() as file:
            return file.read()

    def write(self, what: bytes | Path) -> None:
        """Put bytes, or what is in a file here, there: whole or not at all, in the place of what was there.

        Raises InputError where the store does not take it.
        """
        import pyarrow as pa

        # In one piece, so that nothing can fail, or be ended, between two of them, and leave a part as the whole.
        data = pa.py_buffer(what) if isinstance(what, bytes) else _mapped(what)
        with told(self.url, "written"):
            filesystem, key = _filesystem(self.url)
            stream = filesystem.open_output_stream(key)
            stream.write(data)
            stream.close()

    def remove(self) -> None:
        """Remove the file; nothing where it is gone already. InputError where the store does not let it go."""
        with told(self.url, "written"):
            filesystem, key = _filesystem(self.url)
            if filesystem.get_file_info(key).is_file:
                filesystem.delete_file(key)

    def file(self) -> RemoteFile | None:
        """The file that is there; None where there is none. InputError where that cannot be asked."""
        with told(self.url, "read"):
            filesystem, key = _filesystem(self.url)
            found = filesystem.get_file_info(key)
            return _file(self.url, found, filesystem) if found.is_file else None

    def files(self) -> list[RemoteFile]:
        """All files below it, in order of their paths; none where there is no such directory.

        Raises InputError where that cannot be asked, and where there is not even such a bucket.
        """
        from pyarrow.fs import FileSelector, FileType

        with told(self.url, "read"):
            filesystem, key = _filesystem(self.url)
            if filesystem.get_file_info(key).type == FileType.NotFound:
                if filesystem.get_file_info(key.partition("/")[0]).type == FileType.NotFound:
                    raise InputError(f"{self.url} cannot be read: there is no {_place(self.url)} (from here).")
                return []
            found = filesystem.get_file_info(FileSelector(key, allow_not_found=True, recursive=True))
            base = len(key) + 1
            files = [_file(f"{self.url}/{one.path[base:]}", one, filesystem) for one in found if one.is_file]
        return sorted(files, key=lambda one: one.parts)


class _Reading(io.RawIOBase):
    """A file of a store that is read where it is asked for."""

    def __init__(self, url: str) -> None:
        self._url = url
        from pyarrow import fs

        with told(url, "read"):
            filesystem, key = _filesystem(url)
            if isinstance(filesystem, fs.PyFileSystem):  # whose handler would take every fault for a missing file
                self._file = filesystem.handler.fs.open(key, "rb")
            else:
                self._file = filesystem.open_input_file(key)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, into: Buffer) -> int:
        with told(self._url, "read"):
            return int(self._file.readinto(into))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with told(self._url, "read"):
            return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _mapped(path: Path) -> Any:
    import pyarrow as pa

    if path.stat().st_size == 0:  # nothing is no memory
        return pa.py_buffer(b"")
    with pa.memory_map(str(path)) as file:
        return file.read_buffer()


@contextmanager
def told(url: str, doing: str) -> Iterator[None]:
    """Tell in one sentence (InputError) why something on a store cannot be `doing`: read, or written."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # every store's library has errors of its own
        text = f"{type(error).__name__}: {error}"
        why = next((said for pattern, said in _FAULTS if re.search(pattern, text)), None)
        why = clause(error) if why is None else why.format(place=_place(url))
        if why == clause(error) and isinstance(error, FileNotFoundError):
            why = "it is not there"
        raise InputError(f"{url} cannot be {doing}: {why}.") from error


def _place(url: str) -> str:
    return f"bucket {url.partition('://')[2].partition('/')[0]!r}"


def _file(url: str, found: Any, filesystem: Any) -> RemoteFile:
    stamp = found.mtime_ns
    if stamp is None and filesystem.type_name.startswith("py::fsspec"):  # the Hub's files are told by their content
        stamp = filesystem.handler.fs.info(found.path).get("blob_id")
    return RemoteFile(url, found.size, stamp)


def _filesystem(url: str) -> tuple[Any, str]:
    """The store of an address, and the key there."""
    scheme, _, key = url.partition("://")
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return _store(scheme, key.partition("/")[0], endpoint, region), key


@lru_cache(maxsize=16)
def _store(scheme: str, bucket: str, endpoint: str, region: str | None) -> Any:
    """A client of a store, which gives up after a few tries."""
    with needing("files on an object store need", "survey"):
        from pyarrow import fs
    if scheme == "s3":
        return fs.S3FileSystem(
            region=region if region or endpoint else fs.resolve_s3_region(bucket),
            endpoint_override=urlsplit(endpoint).netloc or None,
            scheme=urlsplit(endpoint).scheme or None,
            connect_timeout=_CONNECT,
            request_timeout=_REQUEST,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_TRIES),
        )
    if scheme == "gs":
        return fs.GcsFileSystem(retry_time_limit=timedelta(seconds=_REQUEST))
    return fs.FileSystem.from_uri(f"{scheme}://{bucket}/")[0]
