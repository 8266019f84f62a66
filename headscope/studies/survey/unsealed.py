"""Shards of before there were checksums: what can be told of them by their shape and by their texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from headscope.corpus.census import digest_of, hash_of
from headscope.corpus.texts import CorpusText
from headscope.errors import InputError, clause
from headscope.keep.files import file_fault
from headscope.keep.record import is_sealed
from headscope.studies.survey import tables
from headscope.studies.survey.manifest import options_of

_SCHEMAS = {
    "texts": tables.TEXTS, "tokens": tables.TOKENS, "patterns": tables.PATTERNS, "rows": tables.ROWS,
    "stream": tables.STREAM,
}  # fmt: skip
NOTE = "the survey was begun by an earlier version, and has shards without checksums: damage to them may not show."


@contextmanager
def told(directory: Path, manifest: Mapping[str, Any]) -> Iterator[None]:
    """Tell in a sentence that tables cannot be made sense of, whatever it is that fails on them.

    Of before there were checksums they may be anything, and checksums can be made to fit by whoever changes a table.
    """
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        which = "" if is_sealed(manifest) else ", which have no checksums,"
        raise InputError(
            f"the tables of {directory}{which} are damaged ({clause(error)}): survey again in a new directory."
        ) from error


def shape_fault(folder: Path, names: Sequence[str], manifest: Mapping[str, Any], index: int) -> str | None:
    """What of a shard's tables is not as the manifest has it, whatever their checksums; None: nothing that shows."""
    for name in names:
        path, table = folder / name, name.removesuffix(".parquet")
        fault = file_fault(path)
        if fault is not None:
            return fault
        try:
            with pq.ParquetFile(path) as file:
                groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
                found = {field.name: field.type for field in file.schema_arrow}
        except (pa.ArrowException, OSError, ValueError):
            return f"{name} cannot be read"
        if any(found.get(field.name) != field.type for field in _SCHEMAS[table]):
            return f"{name} has other columns"
        if (len(groups), set(groups)) != _groups(table, manifest, index):
            return f"{name} has other rows"
    return None


def texts_fault(folder: Path, manifest: Mapping[str, Any], index: int) -> str | None:
    """Whether a shard of this shape holds other texts than the manifest has of it; told of texts without tags only."""
    if any(source.endswith(".conllu") for source in manifest["texts"]["sources"]):
        return None
    try:
        texts = pq.read_table(folder / "texts.parquet", columns=["content", "group"])
        tags = pq.read_table(folder / "tokens.parquet", columns=["tag"])["tag"]
        if tags.null_count < len(tags):
            return None
        both = zip(texts["content"].to_pylist(), texts["group"].to_pylist(), strict=True)
        digests = b"".join(digest_of(CorpusText(0, content, None, "", 0), group) for content, group in both)
    except (pa.ArrowException, OSError, ValueError, AttributeError):
        return "its texts cannot be read"
    return None if hash_of(digests) == manifest["shards"][index]["sha256"] else "it holds other texts"


def _groups(table: str, manifest: Mapping[str, Any], index: int) -> tuple[int, set[int]]:
    """How many row groups a shard's table has, and how many rows each of them."""
    shard, model, options = manifest["shards"][index], manifest["model"], options_of(manifest)
    layers, positions = model["layers"], shard["positions"]
    views = len(list(options.views())) * len(options.metrics)
    count, rows = {
        "texts": (1, shard["texts"]),
        "tokens": (1, positions),
        "patterns": (layers * len(options.masks), positions * model["heads"]),
        "rows": (layers * views * len(options.masks), positions * model["heads"]),
        "stream": ((2 * layers + 1) * len(options.masks), positions),
    }[table]
    return count, {rows}
