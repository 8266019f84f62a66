"""Texts from files of any common kind, one after another, with their document marks and tags."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from headscope.errors import InputError
from headscope.given import in_order
from headscope.survey.conllu import sentences

Format = Literal["text", "jsonl", "csv", "parquet", "conllu"]
FORMATS: tuple[Format, ...] = get_args(Format)
_SUFFIXES: dict[str, Format] = {
    ".txt": "text", ".text": "text", ".md": "text", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv",
    ".tsv": "csv", ".parquet": "parquet", ".conllu": "conllu",
}  # fmt: skip


@dataclass(frozen=True)
class Word:
    """A word of a tagged text: its slice of the text, and its part of speech (UPOS)."""

    start: int
    end: int
    tag: str


@dataclass(frozen=True)
class Text:
    """One text: its number among all that the sources hold, its document where one is marked, where it stands."""

    number: int
    content: str
    document: str | None
    source: str
    line: int
    words: tuple[Word, ...] = ()


@dataclass(frozen=True)
class Unreadable:
    """A line, record or sentence that is no text, and why."""

    reason: str
    source: str
    line: int


@dataclass(frozen=True)
class Source:
    """One file and its format; `name` is what its texts say they come from."""

    path: Path
    format: Format
    name: str


@dataclass(frozen=True)
class Columns:
    """What the text and the document are called in JSONL, CSV and Parquet."""

    text: str = "text"
    document: str = "document"


# A record before it is numbered: line, text, document, words; or why it is none.
_Record = tuple[int, str, str | None, tuple[Word, ...]] | Unreadable


class Corpus:
    """The texts of several sources, in order; every iteration reads the files again."""

    def __init__(self, sources: Sequence[Source], columns: Columns) -> None:
        self.sources, self.columns = tuple(sources), columns

    def __iter__(self) -> Iterator[Text | Unreadable]:
        number = 0
        for source in self.sources:
            for record in _READERS[source.format](source, self.columns):
                if isinstance(record, Unreadable):
                    yield record
                    continue
                line, content, document, words = record
                yield Text(number, content, document, source.name, line, words)
                number += 1


def find_sources(paths: Iterable[str | Path], format: Format | Literal["auto"] = "auto") -> list[Source]:
    """The files that `paths` name: files as they are, and of directories every file of a known kind.

    A file's format is that of its suffix, else plain text. Raises InputError for a path that is not there, and a
    directory with no such file.
    """
    if format not in ("auto", *FORMATS):
        raise InputError(f"there is no format {format!r}; open: auto, {', '.join(FORMATS)}.")
    found: list[Source] = []
    for path in map(Path, in_order(paths, "paths")):
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in _SUFFIXES)
            if not inside:
                raise InputError(f"{path} holds no file of a known kind ({', '.join(_SUFFIXES)}).")
            found += [Source(p, _format(p, format), str(p)) for p in inside]
        elif path.is_file():
            found.append(Source(path, _format(path, format), str(path)))
        else:
            raise InputError(f"there is no file or directory {str(path)!r}.")
    if not found:
        raise InputError("no texts are given: name files, directories, or - for standard input.")
    return found


def _format(path: Path, asked: Format | Literal["auto"]) -> Format:
    return _SUFFIXES.get(path.suffix.lower(), "text") if asked == "auto" else asked


def _lines(source: Source) -> Iterator[tuple[int, str | None]]:
    """Lines of a file with their numbers from 1; None where a line is not UTF-8."""
    try:
        with source.path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                try:
                    yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                except UnicodeDecodeError:
                    yield number, None
    except OSError as error:
        raise InputError(f"{source.name} cannot be read: {error.strerror}.") from None


def _plain(source: Source, columns: Columns) -> Iterator[_Record]:
    """One text a line; a blank line between texts ends a document."""
    marked, document, ended = _has_marks(source), 1, False
    begun = False
    for number, line in _lines(source):
        if line is None:
            yield Unreadable("not UTF-8", source.name, number)
        elif not line.strip():
            ended = begun
        else:
            document += ended
            begun, ended = True, False
            yield number, line, f"{source.name}#{document}" if marked else None, ()


def _has_marks(source: Source) -> bool:
    """Whether a blank line stands between two texts of the file."""
    begun = ended = False
    for _, line in _lines(source):
        blank = line is not None and not line.strip()
        if not blank and ended:
            return True
        ended = begun and blank
        begun = begun or not blank
    return False


def _jsonl(source: Source, columns: Columns) -> Iterator[_Record]:
    for number, line in _lines(source):
        if line is None:
            yield Unreadable("not UTF-8", source.name, number)
            continue
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            yield Unreadable("not JSON", source.name, number)
            continue
        if not isinstance(record, dict):
            yield Unreadable("no JSON object", source.name, number)
            continue
        yield _record(record.get(columns.text), record.get(columns.document), columns, source, number)


def _csv(source: Source, columns: Columns) -> Iterator[_Record]:
    """A header line, then one text a row; tabs between the columns of a .tsv file."""
    try:
        # surrogateescape: a byte that is not UTF-8 must not end the whole file.
        with source.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t" if source.path.suffix.lower() == ".tsv" else ",")
            _has_column(rows.fieldnames or (), columns, source)
            while True:
                try:
                    row = next(rows)
                except StopIteration:
                    return
                except csv.Error:
                    yield Unreadable("no row of a table", source.name, rows.line_num)
                    continue
                text = row.get(columns.text)
                if text is not None and any("\udc80" <= c <= "\udcff" for c in text):
                    yield Unreadable("not UTF-8", source.name, rows.line_num)
                    continue
                yield _record(text, row.get(columns.document) or None, columns, source, rows.line_num)
    except OSError as error:
        raise InputError(f"{source.name} cannot be read: {error.strerror}.") from None


def _parquet(source: Source, columns: Columns) -> Iterator[_Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(source.path) as file:
            names = file.schema_arrow.names
            _has_column(names, columns, source)
            wanted = [name for name in (columns.text, columns.document) if name in names]
            number = 0
            for batch in file.iter_batches(batch_size=1024, columns=wanted):
                for record in batch.to_pylist():
                    number += 1
                    yield _record(record[columns.text], record.get(columns.document), columns, source, number)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{source.name} cannot be read as Parquet: {str(error).splitlines()[0]}") from None


def _conllu(source: Source, columns: Columns) -> Iterator[_Record]:
    for sentence in sentences(_lines(source)):
        if sentence.fault is not None:
            yield Unreadable(sentence.fault, source.name, sentence.line)
            continue
        words = tuple(Word(start, end, tag) for start, end, tag in sentence.words)
        document = None if sentence.document is None else f"{source.name}#{sentence.document}"
        yield sentence.line, sentence.text, document, words


def _has_column(names: Sequence[str], columns: Columns, source: Source) -> None:
    if columns.text not in names:
        listed = ", ".join(names) or "none"
        raise InputError(
            f"{source.name} has no column {columns.text!r} (its columns: {listed}); name it with --column."
        )


def _record(text: object, document: object, columns: Columns, source: Source, line: int) -> _Record:
    if not isinstance(text, str):
        return Unreadable(f"no text under {columns.text!r}", source.name, line)
    if not text.strip():
        return Unreadable("empty", source.name, line)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a pair, which JSON can spell
        return Unreadable("not UTF-8", source.name, line)
    return line, text, None if document is None else str(document), ()


_READERS: dict[Format, Callable[[Source, Columns], Iterator[_Record]]] = {
    "text": _plain,
    "jsonl": _jsonl,
    "csv": _csv,
    "parquet": _parquet,
    "conllu": _conllu,
}
