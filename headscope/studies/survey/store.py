"""A survey's shards, which are there as a whole or not at all, and its vocabulary."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from headscope.corpus.census import Census
from headscope.corpus.genres import matched
from headscope.errors import InputError
from headscope.keep.checksums import CHECKSUMS, content_fault, made_of, outline_fault, seal, sealed_files
from headscope.keep.files import told, whole_folder
from headscope.keep.lock import making
from headscope.keep.record import identity
from headscope.keep.rows import write_table
from headscope.question.choices import NULLS
from headscope.studies.survey import tables
from headscope.studies.survey.kept_sums import SUMS, is_current, opened_sums, write_sums
from headscope.studies.survey.made import Made, record_fault, refuse_mixtures
from headscope.studies.survey.manifest import survey_manifest
from headscope.studies.survey.nulls import has_streams, variants
from headscope.studies.survey.pieces import Piece, pieces_of
from headscope.studies.survey.shape import shape_fault
from headscope.studies.survey.summing import Summer, Summing
from headscope.studies.survey.tables import MATCHED

VOCABULARY, BANK, MATCHED_BANK = "vocabulary.parquet", "bank.parquet", "bank_matched.parquet"


class Sink:
    """Writes the tables of one shard, row group by row group."""

    def __init__(self, folder: Path, directory: Path) -> None:
        self._folder, self._directory = folder, directory
        self._writers: dict[str, pq.ParquetWriter] = {}

    def texts(self, table: pa.Table) -> None:
        self._write("texts", table)

    def tokens(self, table: pa.Table) -> None:
        self._write("tokens", table)

    def patterns(self, table: pa.Table) -> None:
        self._write("patterns", table)

    def rows(self, table: pa.Table) -> None:
        self._write("rows", table)

    def stream(self, table: pa.Table) -> None:
        self._write("stream", table)

    def _write(self, name: str, table: pa.Table) -> None:
        with told(self._directory):
            if name not in self._writers:  # of texts with genres a table has more columns than others
                self._writers[name] = pq.ParquetWriter(
                    self._folder / f"{name}.parquet", table.schema, compression="zstd"
                )
            # A row group is one layer of one view, so that the statistics need not hold more of a shard than that.
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

    def _write(self, name: str, table: pa.Table) -> None:
        pass


class Store:
    """The shards of one survey, or of one of its nulls; what was seen of them is kept.

    `by`: what those are measured with that are written here.
    """

    def __init__(self, directory: Path, null: str | None = None, by: Made | None = None) -> None:
        self.directory, self.null, self._by = directory, null, by
        self.folder = directory / "shards" if null is None else directory / "nulls" / null / "shards"
        self._faults: dict[int, str | None] = {}
        self._summed: dict[int, bool] = {}  # whether its sums were kept

    def shard(self, index: int) -> Path:
        """The folder of a shard."""
        return self.folder / f"{index:05d}"

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

    def is_there(self, index: int) -> bool:
        """The same of `has`, without a look into the tables: the sizes of all are what was written."""
        return self.shard(index).is_dir() and self._outline_fault(index) is None

    @cached_property
    def pieces(self) -> list[Piece]:
        """What its statistics are made of."""
        return pieces_of(self._manifest, self.null)

    @cached_property
    def summing(self) -> Summing:
        """What its tables are summed by; InputError where vocabulary or bank are not there."""
        banks = {"": read_bank(self.directory)}
        if matched(self._manifest["texts"].get("genres")):
            banks[MATCHED] = read_matched_bank(self.directory)
        return Summing.of(self._manifest, read_vocabulary(self.directory), banks)

    def opened(self, index: int) -> AbstractContextManager[Summer]:
        """The sums of a shard: as they were kept, or of its tables, where it has none or those of another version.

        Every byte that they come from is looked at once. InputError, naming it, where the shard is not there or is not
        what was written.
        """
        if index not in self._summed:
            folder = self.outlined(index)
            if kept := SUMS in sealed_files(folder):
                self._refuse(index, content_fault(folder, [SUMS]))
                kept = is_current(folder / SUMS)
            if not kept:
                self._refuse(index, self._fault(index))
            self._summed[index] = kept
        if self._summed[index]:
            return opened_sums(self.shard(index) / SUMS, self.pieces)
        return self.summing.opened(self.shard(index))

    def named(self, index: int, fault: str) -> str:
        """A fault of a shard, in words."""
        return f"{self._name(index)} is damaged ({fault})"

    def made(self) -> dict[str, Made | None]:
        """What each shard that is there was measured with, by what it is called; None: of before that was kept."""
        return {
            self._name(index): self._made(index)
            for index in range(len(self._manifest["shards"]))
            if self.is_there(index)
        }

    @contextmanager
    def making(self, index: int, patience: float) -> Iterator[AbstractContextManager[Sink] | None]:
        """Be the one that measures a shard: see `corpus.run.SharedShards`."""
        with making(self.directory, f"{self.null or 'model'}-{index:05d}", patience) as folder:
            self._faults.pop(index, None)  # another run may have measured it since it was looked at
            yield None if folder is None or self.has(index) else self._writing(index, folder)

    @contextmanager
    def _writing(self, index: int, beginning: Path) -> Iterator[Sink]:
        """A sink for one shard; the shard is there once the block ends without an error, in the place of a damaged one.

        It is begun outside the shards: whoever reads those finds whole ones.
        """
        with whole_folder(self.shard(index), beginning, self.directory) as folder:
            with closing(Sink(folder, self.directory)) as sink:
                yield sink
            with told(self.directory):
                with self.summing.opened(folder) as summer:
                    write_sums(folder / SUMS, ((piece, summer(piece)) for piece in self.pieces))
                by = None if self._by is None else self._by.record()
                seal(folder, [*self._tables, SUMS], self.about(index), folder / CHECKSUMS, by)
        self._faults[index] = None
        self._summed.pop(index, None)

    @cached_property
    def _manifest(self) -> dict[str, Any]:
        return survey_manifest(self.directory)

    @cached_property
    def identity(self) -> str:
        """What identifies the survey: a hash of its manifest."""
        return identity(self._manifest)

    @property
    def _tables(self) -> list[str]:
        with_stream = self._manifest["options"]["stream"] and has_streams(self.null)
        return [f"{name}.parquet" for name in ("texts", "tokens", "patterns", "rows", *["stream"] * with_stream)]

    def _files(self, index: int) -> list[str]:
        """The tables of a shard, and its sums: those of before have none."""
        return [*self._tables, *[SUMS] * (SUMS in sealed_files(self.shard(index)))]

    def about(self, index: int) -> dict[str, Any]:
        """What a shard's checksums say that it is."""
        texts = self._manifest["shards"][index]["sha256"]
        return {"survey": self.identity, "null": self.null, "shard": index, "texts_sha256": texts}

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
            folder, names = self.shard(index), self._tables
            self._faults[index] = (
                self._outline_fault(index)
                or content_fault(folder, self._files(index))
                or shape_fault(folder, names, self._manifest, index)
            )
        return self._faults[index]

    def _outline_fault(self, index: int) -> str | None:
        fault = outline_fault(self.shard(index), self._files(index), self.about(index))
        if fault is None and (record := made_of(self.shard(index))) is not None:
            broken = record_fault(record)
            fault = None if broken is None else f"{CHECKSUMS} says nothing of where it was made: {broken}"
        return fault

    def _made(self, index: int) -> Made | None:
        record = made_of(self.shard(index))
        return None if record is None else Made.of_record(record)


def nulls_begun(directory: Path, kind: type[Store] = Store) -> list[Store]:
    """The shards of every null of which there is any, in the order of their names."""
    known = sorted(name for null in NULLS for name in variants(null))
    stores = [kind(directory, null) for null in known]
    return [store for store in stores if store.folder.is_dir() and any(store.folder.iterdir())]


def nulls_there(directory: Path, shards: int) -> list[str]:
    """The names of the nulls that have a folder for every shard, whole or damaged, also of earlier runs."""
    there = (store for store in nulls_begun(directory) if all(store.shard(one).is_dir() for one in range(shards)))
    return [str(store.null) for store in there]


def refuse_other_numbers(directory: Path, by: Made) -> None:
    """Raise InputError where shards are there that were measured otherwise than `by` would: before a night is spent."""
    for store in (Store(directory), *nulls_begun(directory)):
        refuse_mixtures(directory, store.made() | {"those of this run": by})


def write_bank(directory: Path, census: Census) -> None:
    """Write bank.parquet, and that of genres, unless they are there: whose outputs chance is measured with."""
    _write_once(directory / BANK, tables.bank(census.bank))
    if census.genres is not None and census.genres.bank is not None:
        _write_once(directory / MATCHED_BANK, tables.matched_bank(census.genres))


def write_vocabulary(directory: Path, labels: Sequence[str], sorts: Sequence[str], frequencies: Any) -> None:
    """Write vocabulary.parquet, unless it is there: what every id is called, and how often it stands in the texts."""
    columns = {
        "id": pa.array(range(len(labels)), pa.int32()),
        "label": pa.array(labels),
        "sort": pa.array(sorts),
        "frequency": pa.array(frequencies, pa.int64()),
    }
    _write_once(directory / VOCABULARY, pa.table(columns))


def _write_once(path: Path, table: pa.Table) -> None:
    if not _holds(path, table):
        write_table(path, table)


def _holds(path: Path, table: pa.Table) -> bool:
    if not path.is_file():
        return False
    try:
        return bool(pq.read_table(path).equals(table))
    except (pa.ArrowException, OSError):
        return False


def read_vocabulary(directory: Path) -> pa.Table:
    """vocabulary.parquet; InputError where it is not there."""
    return _read(directory, VOCABULARY)


def read_bank(directory: Path) -> pa.Table:
    """bank.parquet; InputError where it is not there."""
    return _read(directory, BANK)


def read_matched_bank(directory: Path) -> pa.Table:
    """bank_matched.parquet; InputError where it is not there."""
    return _read(directory, MATCHED_BANK)


def _read(directory: Path, name: str) -> pa.Table:
    path = directory / name
    if not path.is_file():
        raise InputError(f"{directory} is not finished: it has no {name}. Run the survey again.")
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is damaged ({error}). Run the same headscope survey again.") from None
