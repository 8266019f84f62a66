"""A survey's directory: its manifest, and shards that are there as a whole or not at all."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from headscope.errors import InputError
from headscope.keep import files
from headscope.question.choices import NULLS
from headscope.studies.survey import tables
from headscope.studies.survey.checksums import CHECKSUMS, content_fault, outline_fault, seal, seal_beside
from headscope.studies.survey.lock import LOCK
from headscope.studies.survey.manifest import (
    MANIFEST,
    carries_checksums,
    identity,
    read_manifest,
    refuse_differences,
    sealed,
    survey_manifest,
)
from headscope.studies.survey.nulls import moves_streams, variants
from headscope.studies.survey.unsealed import shape_fault, texts_fault

VOCABULARY = "vocabulary.parquet"
STANDARD_INPUT = "stdin"
TEMPORARY = ".unfinished"


class Sink:
    """Writes the tables of one shard, row group by row group."""

    def __init__(self, folder: Path, directory: Path) -> None:
        self._folder, self._directory = folder, directory
        self._writers: dict[str, pq.ParquetWriter] = {}

    def texts(self, table: pa.Table) -> None:
        self._write("texts", tables.TEXTS, table)

    def tokens(self, table: pa.Table) -> None:
        self._write("tokens", tables.TOKENS, table)

    def patterns(self, table: pa.Table) -> None:
        self._write("patterns", tables.PATTERNS, table)

    def rows(self, table: pa.Table) -> None:
        self._write("rows", tables.ROWS, table)

    def stream(self, table: pa.Table) -> None:
        self._write("stream", tables.STREAM, table)

    def _write(self, name: str, schema: pa.Schema, table: pa.Table) -> None:
        with told(self._directory):
            if name not in self._writers:
                self._writers[name] = pq.ParquetWriter(self._folder / f"{name}.parquet", schema, compression="zstd")
            self._writers[name].write_table(table, row_group_size=max(1, len(table)))

    def close(self) -> None:
        """Finish the files: an unfinished one may not stay open, whatever befell the others."""
        with told(self._directory), ExitStack() as stack:
            for writer in self._writers.values():
                stack.callback(writer.close)


class Discard(Sink):
    """Keeps nothing."""

    def __init__(self) -> None:
        super().__init__(Path(), Path())

    def _write(self, name: str, schema: pa.Schema, table: pa.Table) -> None:
        pass


class Store:
    """The shards of one survey, or of one of its nulls; what was seen of them is kept."""

    def __init__(self, directory: Path, null: str | None = None) -> None:
        self.directory, self.null = directory, null
        self._shards = directory / "shards" if null is None else directory / "nulls" / null / "shards"
        self._faults: dict[int, str | None] = {}

    def shard(self, index: int) -> Path:
        """The folder of a shard."""
        return self._shards / f"{index:05d}"

    def has(self, index: int) -> bool:
        """Whether a shard is there, and what was written; every byte of it is looked at, once."""
        return self.shard(index).is_dir() and self._fault(index) is None

    def faults(self) -> dict[int, str]:
        """What is wrong with every shard that is there, and not what was written; such a one is measured again."""
        there = (index for index in range(len(self._manifest["shards"])) if os.path.lexists(self.shard(index)))
        return {index: fault for index in there if (fault := self._fault(index)) is not None}

    def whole(self, index: int) -> Path:
        """The folder of a shard; InputError, naming it, where it is not there or not what was written."""
        self.outlined(index)
        self._refuse(index, self._fault(index))
        return self.shard(index)

    def outlined(self, index: int) -> Path:
        """The same without a look into its tables."""
        if not self.shard(index).is_dir():
            raise InputError(f"{self.directory} is not finished: {self._name(index)} is not there. Run it again.")
        self._refuse(index, self._outline_fault(index))
        return self.shard(index)

    def named(self, index: int, fault: str) -> str:
        """A fault of a shard, in words."""
        return f"{self._name(index)} is damaged ({fault})"

    @contextmanager
    def writing(self, index: int) -> Iterator[Sink]:
        """A sink for one shard; the shard is there once the block ends without an error, in the place of a damaged one.

        The folder's name is this process's, and outside the shards: whoever reads those finds whole ones.
        """
        folder = self.directory / f"{TEMPORARY}-{index:05d}-{os.getpid()}-{secrets.token_hex(4)}"
        with told(self.directory):
            folder.mkdir(parents=True)
        try:
            sink = Sink(folder, self.directory)
            try:
                yield sink
            finally:
                sink.close()
            with told(self.directory):
                seal(folder, self._tables, self._about(index), folder / CHECKSUMS)
                for file in folder.iterdir():
                    _flush(file)
                _remove(self.shard(index))
                self._shards.mkdir(parents=True, exist_ok=True)
                folder.rename(self.shard(index))
            self._faults[index] = None
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    @cached_property
    def _manifest(self) -> dict[str, Any]:
        return survey_manifest(self.directory)

    @cached_property
    def _identity(self) -> str:
        return identity(self._manifest)

    @property
    def _tables(self) -> list[str]:
        with_stream = self._manifest["options"].get("stream", False) and moves_streams(self.null)
        return [f"{name}.parquet" for name in ("texts", "tokens", "patterns", "rows", *["stream"] * with_stream)]

    def _about(self, index: int) -> dict[str, Any]:
        """What a shard's checksums say that it is."""
        texts = self._manifest["shards"][index]["sha256"]
        return {"survey": self._identity, "null": self.null, "shard": index, "texts_sha256": texts}

    def _name(self, index: int) -> str:
        return f"shard {index}" if self.null is None else f"shard {index} of the null {self.null}"

    def _refuse(self, index: int, fault: str | None) -> None:
        if fault is not None:
            raise InputError(
                f"{self.directory}: {self.named(index, fault)}. Run the same headscope survey again, and it is "
                "measured again."
            )

    def _fault(self, index: int) -> str | None:
        if index not in self._faults:
            fault = self._outline_fault(index)
            if fault is None and self._sealed(index):
                whole = content_fault(self.shard(index), self._tables)
                fault = whole or shape_fault(self.shard(index), self._tables, self._manifest, index)
            elif fault is None:
                fault = texts_fault(self.shard(index), self._manifest, index)
            self._faults[index] = fault
        return self._faults[index]

    def _outline_fault(self, index: int) -> str | None:
        if self._sealed(index):
            return outline_fault(self.shard(index), self._tables, self._about(index))
        return shape_fault(self.shard(index), self._tables, self._manifest, index)

    def _sealed(self, index: int) -> bool:
        """Whether a shard has checksums, or must have them: those of surveys of before have none."""
        return carries_checksums(self._manifest) or os.path.lexists(self.shard(index) / CHECKSUMS)


def clean(directory: Path) -> None:
    """Remove what runs that were killed had begun to write. Only for who holds the directory's lock."""
    for left in [*directory.glob(f"{TEMPORARY}*"), *directory.glob(f"**/shards/{TEMPORARY}*")]:
        _remove(left)


def nulls_there(directory: Path, shards: int) -> list[str]:
    """The names of the nulls that have a folder for every shard, whole or damaged, also of earlier runs."""
    known = [name for null in NULLS for name in variants(null)]
    stores = {null: Store(directory, null) for null in sorted(known)}
    return [null for null, store in stores.items() if all(store.shard(shard).is_dir() for shard in range(shards))]


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file, whole or not at all; InputError where the disk does not take it."""
    with told(path.parent):
        files.write_whole(path, write)


def write_sealed(path: Path, about: str, write: Callable[[Path], object]) -> None:
    """Write a file whole, and its checksum beside it: `checksums.intact` tells it from what it may become."""
    write_whole(path, write)
    with told(path.parent):
        seal_beside(path, about)


def claim(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Make `directory` that of the survey which `manifest` describes, or find that it is already.

    Raises InputError where another survey is there, with what differs, or other files are.
    """
    before = read_manifest(directory)
    if before is not None:
        refuse_differences(directory, before, manifest)
        return
    refuse_foreign(directory)
    text = json.dumps(sealed(manifest), ensure_ascii=False, indent=1) + "\n"
    with told(directory):
        directory.mkdir(parents=True, exist_ok=True)
    write_whole(directory / MANIFEST, lambda path: path.write_text(text, "utf-8", "backslashreplace"))


def refuse_foreign(directory: Path) -> None:
    """Raise InputError for a directory with other files in it than a survey's."""
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory} is a file: name a directory.")
    if not directory.is_dir() or os.path.lexists(directory / MANIFEST):
        return
    try:
        others = sorted(path.name for path in directory.iterdir() if not _ours(path.name))
    except OSError as error:
        raise InputError(f"{directory} cannot be read: {error.strerror or error}.") from None
    if others:
        raise InputError(f"{directory} holds other files ({', '.join(others[:3])}): name an empty directory.")


def _ours(name: str) -> bool:
    """Whether a survey writes a file of this name before its manifest is there."""
    return name in (STANDARD_INPUT, LOCK) or name.startswith(TEMPORARY)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Let the file be on the disk before its name is: a rename alone may come first."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def told(directory: Path) -> Iterator[None]:
    """Tell in a sentence what keeps us from writing."""
    try:
        yield
    except OSError as error:
        known = re.search(r"errno (\d+)", str(error), re.IGNORECASE)  # pyarrow hides it in its sentence
        reason = os.strerror(int(known[1])) if known else error.strerror or str(error)
        raise InputError(
            f"{directory} cannot be written ({reason}). What is finished is kept: make room, and run the same command "
            "again."
        ) from error


def write_vocabulary(directory: Path, labels: Sequence[str], sorts: Sequence[str], frequencies: Any) -> None:
    """Write vocabulary.parquet, unless it is there: what every id is called, and how often it stands in the texts."""
    path = directory / VOCABULARY
    columns = {
        "id": pa.array(range(len(labels)), pa.int32()),
        "label": pa.array(labels),
        "sort": pa.array(sorts),
        "frequency": pa.array(frequencies, pa.int64()),
    }
    table = pa.table(columns)
    if not _holds(path, table):
        write_whole(path, lambda beside: pq.write_table(table, beside, compression="zstd"))


def _holds(path: Path, table: pa.Table) -> bool:
    if not path.is_file():
        return False
    try:
        return bool(pq.read_table(path).equals(table))
    except (pa.ArrowException, OSError):
        return False


def read_vocabulary(directory: Path) -> pa.Table:
    """vocabulary.parquet; InputError where it is not there."""
    path = directory / VOCABULARY
    if not path.is_file():
        raise InputError(f"{directory} is not finished: it has no {VOCABULARY}. Run the survey again.")
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is damaged ({error}). Run the same headscope survey again.") from None
