"""A survey's directory: its manifest, and shards that are there as a whole or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from headscope.errors import InputError
from headscope.keep import files
from headscope.survey import tables

SCHEMA, FORMULA = 1, 2
MANIFEST, VOCABULARY = "manifest.json", "vocabulary.parquet"
_TEMPORARY = ".unfinished"
_MUST_AGREE = ("schema", "formula", "versions", "model", "options", "texts", "shards")
# What says nothing of the figures.
_MAY_DIFFER = {"model.name", "model.revision", "texts.sources", "texts.examples"}


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
        with _told(self._directory):
            if name not in self._writers:
                self._writers[name] = pq.ParquetWriter(self._folder / f"{name}.parquet", schema, compression="zstd")
            self._writers[name].write_table(table, row_group_size=max(1, len(table)))

    def close(self) -> None:
        """Finish the files: an unfinished one may not stay open, whatever befell the others."""
        with _told(self._directory), ExitStack() as stack:
            for writer in self._writers.values():
                stack.callback(writer.close)


class Discard(Sink):
    """Keeps nothing."""

    def __init__(self) -> None:
        super().__init__(Path(), Path())

    def _write(self, name: str, schema: pa.Schema, table: pa.Table) -> None:
        pass


class Store:
    """The shards of one survey, or of one of its nulls."""

    def __init__(self, directory: Path, null: str | None = None) -> None:
        self.directory, self.null = directory, null
        self._shards = directory / "shards" if null is None else directory / "nulls" / null / "shards"

    def shard(self, index: int) -> Path:
        """The folder of a shard."""
        return self._shards / f"{index:05d}"

    def has(self, index: int) -> bool:
        """Whether a shard is there."""
        return self.shard(index).is_dir()

    @contextmanager
    def writing(self, index: int) -> Iterator[Sink]:
        """A sink for one shard; the shard is there once the block ends without an error."""
        folder = self._shards / f"{_TEMPORARY}-{index:05d}"
        with _told(self.directory):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        try:
            sink = Sink(folder, self.directory)
            try:
                yield sink
            finally:
                sink.close()
            with _told(self.directory):
                for file in folder.iterdir():
                    _flush(file)
                folder.rename(self.shard(index))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def finished_nulls(directory: Path, shards: int) -> list[str]:
    """The names of the nulls whose shards are all there, also of earlier runs."""
    found = sorted(path.name for path in (directory / "nulls").glob("*") if path.is_dir())
    return [null for null in found if all(Store(directory, null).has(shard) for shard in range(shards))]


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file, whole or not at all; InputError where the disk does not take it."""
    with _told(path.parent):
        files.write_whole(path, write)


def claim(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Make `directory` that of the survey which `manifest` describes, or find that it is already.

    Raises InputError where another survey is there, with what differs, or other files are.
    """
    before = read_manifest(directory)
    if before is not None:
        refuse_differences(directory, before, manifest)
        return
    refuse_foreign(directory)
    text = json.dumps(manifest, ensure_ascii=False, indent=1) + "\n"
    with _told(directory):
        directory.mkdir(parents=True, exist_ok=True)
    write_whole(directory / MANIFEST, lambda path: path.write_text(text, "utf-8", "backslashreplace"))


def refuse_foreign(directory: Path) -> None:
    """Raise InputError for a directory with other files in it than a survey's."""
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory} is a file: name a directory.")
    if not directory.is_dir() or (directory / MANIFEST).is_file():
        return
    others = sorted(path.name for path in directory.iterdir() if path.name != "stdin" and _TEMPORARY not in path.name)
    if others:
        raise InputError(f"{directory} holds other files ({', '.join(others[:3])}): name an empty directory.")


def read_manifest(directory: Path) -> dict[str, Any] | None:
    """The manifest of a survey's directory; None where there is none. InputError for a damaged one."""
    path = directory / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}).") from None
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise InputError(f"{path} is no manifest of a survey that this version can read.")
    return manifest


def refuse_differences(directory: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise InputError where two manifests are not of the same survey, naming what differs."""
    old, new = (dict(_leaves({key: manifest[key] for key in _MUST_AGREE})) for manifest in (before, now))
    different = [
        f"{path} is {_short(old.get(path))} there and {_short(new.get(path))} here"
        for path in new
        if path not in _MAY_DIFFER and old.get(path) != new.get(path)
    ]
    if different:
        more = f", and {len(different) - 3} more" if len(different) > 3 else ""
        raise InputError(
            f"{directory} holds another survey: {'; '.join(different[:3])}{more}. Ask the same, or name another "
            "directory."
        )


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


def _short(value: Any) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 40 else f"{shown[:37]}…"


def _flush(path: Path) -> None:
    """Let the file be on the disk before its name is: a rename alone may come first."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def _told(directory: Path) -> Iterator[None]:
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
    """Write vocabulary.parquet, once: what every id is called, and how often it stands in the texts."""
    path = directory / VOCABULARY
    if path.is_file():
        return
    columns = {
        "id": pa.array(range(len(labels)), pa.int32()),
        "label": pa.array(labels),
        "sort": pa.array(sorts),
        "frequency": pa.array(frequencies, pa.int64()),
    }
    write_whole(path, lambda beside: pq.write_table(pa.table(columns), beside, compression="zstd"))


def read_vocabulary(directory: Path) -> pa.Table:
    """vocabulary.parquet; InputError where it is not there."""
    path = directory / VOCABULARY
    if not path.is_file():
        raise InputError(f"{directory} is not finished: it has no {VOCABULARY}. Run the survey again.")
    return pq.read_table(path)
