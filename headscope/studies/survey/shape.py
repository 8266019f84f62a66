"""Tables that are no survey's, though their checksums say so: those can be made to fit by whoever changes a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from headscope.errors import InputError, clause
from headscope.keep.files import file_fault
from headscope.studies.survey import tables
from headscope.studies.survey.manifest import options_of

_SCHEMAS = {
    "texts": tables.TEXTS, "tokens": tables.TOKENS, "patterns": tables.PATTERNS, "rows": tables.ROWS,
    "stream": tables.STREAM,
}  # fmt: skip


@contextmanager
def told(directory: Path) -> Iterator[None]:
    """Tell in a sentence that tables cannot be made sense of, whatever it is that fails on them."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(
            f"the tables of {directory} are damaged ({clause(error)}): survey again in a new directory."
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
