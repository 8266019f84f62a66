"""Rows that were measured, in files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from headscope.keep.files import told, write_whole

R = TypeVar("R", bound=tuple[Any, ...])  # a NamedTuple of numbers and strings
_TYPES = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64(), type(None): pa.int64()}


def write_rows(path: Path, kind: type[R], rows: Sequence[R]) -> None:
    """Write rows of one kind, a column a field."""
    fields: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(fields)
    pq.write_table(pa.table({name: _column(values) for name, values in zip(fields, columns, strict=True)}), path)


def read_rows(path: Path, kind: type[R]) -> list[R]:
    """The rows again."""
    table = pq.read_table(path)
    return [kind(*record) for record in zip(*(column.to_pylist() for column in table.columns), strict=True)]


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table, whole or not at all; InputError where the disk does not take it."""
    with told(path.parent):
        write_whole(path, lambda beside: pq.write_table(table, beside, compression="zstd"))


def _column(values: Sequence[Any]) -> pa.Array:
    known = next((value for value in values if value is not None), None)
    return pa.array(values, _TYPES[type(known)])
