"""Texts from files of any common kind, one after another, with their document marks and tags."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from headscope.corpus.conllu import sentences
from headscope.corpus.drawn import Draw, RowsOfFiles, batches
from headscope.corpus.files import TextFile
from headscope.corpus.lines import FOOTER, LINE, LONGEST, TOO_LONG, Fault, Unread, lines, opened
from headscope.errors import InputError, clause, cut
from headscope.question.choices import Format


@dataclass(frozen=True)
class Word:
    """A word of a tagged text: its slice of the text, and its part of speech (UPOS)."""

    start: int
    end: int
    tag: str


@dataclass(frozen=True)
class CorpusText:
    """One text: its number among all that the sources hold, its document and genre where marked, where it stands."""

    number: int
    content: str
    document: str | None
    source: str
    line: int
    words: tuple[Word, ...] = ()
    genre: str | None = None


@dataclass(frozen=True)
class Unreadable:
    """A line, record or sentence that is no text, or a text that the model does not read, and why."""

    reason: str
    source: str
    line: int


@dataclass(frozen=True)
class Columns:
    """What the text, its document, genre and language are called in JSONL, CSV and Parquet; None: it is not read."""

    text: str = "text"
    document: str = "document"
    genre: str = "genre"
    language: str | None = None

    @property
    def named(self) -> list[tuple[str, str]]:
        """Those that are not called as usual, each with its option: who names one expects it to be there."""
        options = {"column": "text", "document-column": "document", "genre-column": "genre", "language-column": None}
        asked = zip(options.items(), (self.text, self.document, self.genre, self.language), strict=True)
        return [(f"--{option}", name) for (option, usual), name in asked if name is not None and name != usual]

    def kind(self, genre: object, language: object) -> str | None:
        """The genre of a text: what is marked as that, with its language where that is told apart.

        >>> Columns(language="lang").kind(" news ", "de"), Columns().kind(None, None)
        ('news, de', None)
        """
        named = [
            value.strip()
            for name, value in ((self.genre, genre), (self.language, language))
            if isinstance(value, str) and name is not None and name not in (self.text, self.document)
        ]
        return ", ".join(filter(None, named)) or None


# A record before it is numbered: line, text, document, words, genre; or why it is none.
_Record = tuple[int, str, str | None, tuple[Word, ...], str | None] | Unreadable


class Corpus:
    """The texts of several sources, in order; every iteration reads the files again.

    `draw`: of Parquet files, only the rows that it chooses. Their texts have the numbers of their rows; those that
    cannot be read are not made good for by others.
    """

    def __init__(self, sources: Sequence[TextFile], columns: Columns, draw: Draw | None = None) -> None:
        self.sources, self.columns = tuple(sources), columns
        self._draw = draw if all(source.format == "parquet" for source in self.sources) else None

    @property
    def drawn(self) -> bool:
        """Whether the texts are a sample already: of other kinds of files all must be read, to know how many."""
        return self._draw is not None

    @property
    def everywhere(self) -> Corpus:
        """The same by names of files that mean the same wherever a process stands."""
        return Corpus([source.everywhere for source in self.sources], self.columns, self._draw)

    def __iter__(self) -> Iterator[CorpusText | Unreadable]:
        yield from self._all() if self._rows is None else self._chosen(self._rows)

    @cached_property
    def _rows(self) -> RowsOfFiles | None:
        return None if self._draw is None else RowsOfFiles.drawn([one.path for one in self.sources], self._draw)

    def _chosen(self, rows: RowsOfFiles) -> Iterator[CorpusText | Unreadable]:
        for source, count, (first, inside) in zip(self.sources, rows.counts, rows.by_file(), strict=True):
            if count and not inside:
                continue
            for record in _records(source, self.columns, inside):
                if isinstance(record, Unreadable):
                    yield record
                else:
                    line, content, document, words, genre = record
                    yield CorpusText(first + line - 1, content, document, source.name, line, words, genre)

    def _all(self) -> Iterator[CorpusText | Unreadable]:
        number = 0
        for source in self.sources:
            for record in _records(source, self.columns):
                if isinstance(record, Unreadable):
                    yield record
                    continue
                line, content, document, words, genre = record
                yield CorpusText(number, content, document, source.name, line, words, genre)
                number += 1


def _records(source: TextFile, columns: Columns, rows: Sequence[int] | None = None) -> Iterator[_Record]:
    """What a file holds, of Parquet in `rows` alone.

    Raises InputError where a named one cannot be read, or its rest; of others that is told.
    """
    if source.fault is not None:
        yield Unreadable(source.fault, source.name, 0)
        return
    try:
        yield from _READERS[source.format](source, columns) if rows is None else _parquet(source, columns, rows)
    except Unread as error:
        if source.named:
            raise InputError(f"{source.name} {error}.") from None
        yield Unreadable(error.reason, source.name, 0)


def _plain(source: TextFile, columns: Columns) -> Iterator[_Record]:
    """One text a line; a blank line between texts ends a document."""
    marked, document, ended = _has_marks(source), 1, False
    begun = False
    for number, line in lines(source.path):
        if isinstance(line, Fault):
            yield Unreadable(line.reason, source.name, number)
        elif not line.strip():
            ended = begun
        else:
            document += ended
            begun, ended = True, False
            yield _record(line, f"{source.name}#{document}" if marked else None, None, columns, source, number)


def _has_marks(source: TextFile) -> bool:
    """Whether a blank line stands between two texts of the file."""
    begun = ended = False
    for _, line in lines(source.path):
        blank = isinstance(line, str) and not line.strip()
        if not blank and ended:
            return True
        ended = begun and blank
        begun = begun or not blank
    return False


def _jsonl(source: TextFile, columns: Columns) -> Iterator[_Record]:
    for number, line in lines(source.path):
        if isinstance(line, Fault):
            yield Unreadable(line.reason, source.name, number)
            continue
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):  # also of what is nested without end
            yield Unreadable("not JSON", source.name, number)
            continue
        if not isinstance(record, dict):
            yield Unreadable("no JSON object", source.name, number)
            continue
        text, document, genre = (record.get(name) for name in (columns.text, columns.document, columns.genre))
        language = None if columns.language is None else record.get(columns.language)
        yield _record(text, document, columns.kind(genre, language), columns, source, number)


def _csv(source: TextFile, columns: Columns) -> Iterator[_Record]:
    """A header line, then one text a row; tabs between the columns of a .tsv file."""
    # surrogateescape: a byte that is not UTF-8 must not end the whole file.
    with opened(source.path) as raw, io.TextIOWrapper(raw, "utf-8-sig", "surrogateescape", newline="") as file:
        read = iter(lambda: file.readline(LINE + 1), "")
        rows = csv.reader(read, delimiter="\t" if source.path.suffix.lower() == ".tsv" else ",")
        names = _row(rows, lambda: rows.line_num)
        if isinstance(names, str):
            raise Unread(f"has no head line that can be read: {names}", "a table without a head line")
        if names is not None and any(map(_not_utf8, names)):
            raise Unread("is not UTF-8: save it as UTF-8", "not UTF-8")
        _has_column(names or (), columns, source)
        assert names is not None
        while (row := _row(rows, lambda: rows.line_num)) is not None:
            if isinstance(row, str):
                yield Unreadable(row, source.name, rows.line_num)
            elif row:
                found = dict(zip(names, row))  # noqa: B905 - rows may be short
                text = found.get(columns.text)
                if text is not None and _not_utf8(text):
                    yield Unreadable("not UTF-8", source.name, rows.line_num)
                else:
                    document, genre = (found.get(name) or None for name in (columns.document, columns.genre))
                    language = None if columns.language is None else found.get(columns.language)
                    yield _record(text, document, columns.kind(genre, language), columns, source, rows.line_num)


def _row(rows: Iterator[list[str]], line: Callable[[], int]) -> list[str] | str | None:
    """The next row of a table; a str: why it is none; None: there is none.

    Raises Unread for a field that is larger than any text may be: where it ends, nobody knows.
    """
    # The module keeps one limit for all, so it is put back at once.
    before = csv.field_size_limit(LINE)
    try:
        return next(rows)
    except StopIteration:
        return None
    except csv.Error as error:
        if "field limit" in str(error):
            raise Unread(
                f"has a field of more than {LINE:,} characters at line {line():,}: is a quotation mark open?",
                "the rest of a table after an endless field",
            ) from None
        return "no row of a table"
    finally:
        csv.field_size_limit(before)


def _not_utf8(text: str) -> bool:
    return any("\udc80" <= c <= "\udcff" for c in text)


def _parquet(source: TextFile, columns: Columns, rows: Sequence[int] | None = None) -> Iterator[_Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with opened(source.path, FOOTER) as raw, pq.ParquetFile(raw) as file:
            names = file.schema_arrow.names
            _has_column(names, columns, source)
            asked = (columns.text, columns.document, columns.genre, columns.language)
            wanted = [name for name in dict.fromkeys(asked) if name is not None and name in names]
            for first, batch, chosen in batches(file, wanted, rows):
                at = [batch.schema.names.index(name) if name in names else None for name in asked]
                for row in chosen:
                    number = first + row + 1
                    try:
                        text, document, *kind = (None if n is None else batch.column(n)[row].as_py() for n in at)
                    except UnicodeDecodeError:
                        yield Unreadable("not UTF-8", source.name, number)
                    else:
                        yield _record(text, document, columns.kind(*kind), columns, source, number)
    except (pa.ArrowException, OSError, MemoryError, KeyError, ValueError) as error:
        raise Unread(f"cannot be read as Parquet: {clause(error)}", "a damaged Parquet file, or its rest") from None


def _conllu(source: TextFile, columns: Columns) -> Iterator[_Record]:
    for sentence in sentences(lines(source.path)):
        if sentence.fault is not None:
            yield Unreadable(sentence.fault, source.name, sentence.line)
            continue
        words = tuple(Word(start, end, tag) for start, end, tag in sentence.words)
        document = None if sentence.document is None else f"{source.name}#{sentence.document}"
        record = _record(
            sentence.text, document, (sentence.genre or "").strip() or None, columns, source, sentence.line
        )
        yield record if isinstance(record, Unreadable) else (*record[:3], words, record[4])


def _has_column(names: Sequence[str], columns: Columns, source: TextFile) -> None:
    """Raise InputError for a table without a column that must be there: the text's, and those that are named."""
    for option, name in dict([("--column", columns.text), *columns.named]).items():
        if name not in names:
            shown = cut(", ".join(one if one.isprintable() else repr(one) for one in names[:20]) or "none", 300)
            raise InputError(f"{source.name} has no column {name!r} (its columns: {shown}); name it with {option}.")


def _record(text: object, document: object, kind: str | None, columns: Columns, source: TextFile, line: int) -> _Record:
    if not isinstance(text, str):
        return Unreadable(f"no text under {columns.text!r}", source.name, line)
    if len(text) > LONGEST:
        return Unreadable(TOO_LONG, source.name, line)
    if not text.strip():
        return Unreadable("empty", source.name, line)
    if "\0" in text:  # UTF-16 that was read as UTF-8, or no text at all
        return Unreadable("no text: it holds NUL characters", source.name, line)
    named = None if document is None else str(document)
    try:
        (text + (named or "") + (kind or "")).encode()
    except UnicodeEncodeError:  # half of a pair, which JSON can spell
        return Unreadable("not UTF-8", source.name, line)
    return line, text, named, (), kind


_READERS: dict[Format, Callable[[TextFile, Columns], Iterator[_Record]]] = {
    "text": _plain,
    "jsonl": _jsonl,
    "csv": _csv,
    "parquet": _parquet,
    "conllu": _conllu,
}
