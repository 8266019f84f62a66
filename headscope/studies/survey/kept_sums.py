"""Sums in a file: of a shard beside its tables, so that nobody need read those again for statistics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headscope.studies.survey.pieces import Piece
from headscope.studies.survey.summing import Summer
from headscope.studies.survey.sums import CLASSES, Summed
from headscope.studies.survey.totals import PieceSums

SUMS = "sums.parquet"
# Of which sums there are, and how they are summed (sums.py, stream_figures.py): another number, another set. Sums of
# another one are left alone, and rows summed anew.
FORMULA = 2
_FORMULA = b"headscope.sums"
_SCHEMA = pa.schema(
    {
        "table": pa.string(),
        "row_group": pa.int32(),
        "candidates": pa.int32(),
        "name": pa.string(),
        "kind": pa.string(),
        "heads": pa.int32(),
        "where": pa.list_(pa.int32()),
        "sums": pa.list_(pa.float64()),
    },
    metadata={_FORMULA: str(FORMULA).encode()},
)
_NUMBERS = "sums.list.element"
_BY_GROUP = ("own", "lent")


def write_sums(path: Path, pieces: Iterable[tuple[Piece, PieceSums]]) -> None:
    """Write the sums of pieces, a row group each: a row for everything that is summed of it."""
    plain = [name for name in _SCHEMA.names if name not in ("where", "sums")]
    # All first bytes of the numbers, then all second ones: those that are nearly alike lie together.
    writer = pq.ParquetWriter(
        path,
        _SCHEMA,
        compression="zstd",
        use_dictionary=plain,
        use_byte_stream_split=[_NUMBERS],
        write_statistics=False,
    )
    with writer:
        for piece, found in pieces:
            table = _table(piece, found)
            writer.write_table(table, row_group_size=max(1, len(table)))


def is_current(path: Path) -> bool:
    """Whether the sums in a file are those that statistics are made of now."""
    return bool((pq.read_schema(path).metadata or {}).get(_FORMULA) == str(FORMULA).encode())


@contextmanager
def opened_sums(file: Path | bytes, pieces: Iterable[Piece]) -> Iterator[Summer]:
    """A file of the sums of these pieces, opened: what gives those of one; ValueError where it holds something else."""
    order = {(piece.table, piece.group): number for number, piece in enumerate(pieces)}
    with pq.ParquetFile(pa.BufferReader(file) if isinstance(file, bytes) else file) as opened:
        if opened.schema_arrow.names != _SCHEMA.names or opened.num_row_groups != len(order):
            raise ValueError("these sums are of other pieces")
        yield lambda piece: _read(opened.read_row_group(order[piece.table, piece.group]), piece)


def _table(piece: Piece, found: PieceSums) -> pa.Table:
    rows = found.summed
    columns = {
        "table": [piece.table] * len(rows),
        "row_group": [piece.group] * len(rows),
        "candidates": [found.candidates] * len(rows),
        "name": [one.name for one in rows],
        "kind": [one.kind for one in rows],
        "heads": [one.sums.shape[0] if one.kind in _BY_GROUP else None for one in rows],
        "where": _lists([one.where.astype(np.int32) for one in rows], pa.int32()),
        "sums": _lists([one.sums.ravel() for one in rows], pa.float64()),
    }
    return pa.table(columns, schema=_SCHEMA)


def _lists(values: list[np.ndarray], of: pa.DataType) -> pa.Array:
    ends = pa.array([0, *accumulate(map(len, values))], pa.int32())
    return pa.ListArray.from_arrays(ends, pa.array(np.concatenate(values), of))


def _read(table: pa.Table, piece: Piece) -> PieceSums:
    where, sums = (table[name].combine_chunks() for name in ("where", "sums"))
    ends = [pairwise(column.offsets.to_pylist()) for column in (where, sums)]
    numbers, values = (column.values.to_numpy() for column in (where, sums))
    rows = table.select(["table", "row_group", "candidates", "name", "kind", "heads"]).to_pylist()
    summed = []
    for row, (first, last), (start, stop) in zip(rows, *ends, strict=True):
        if (row["table"], row["row_group"]) != (piece.table, piece.group):
            raise ValueError(f"sums of {row['table']} {row['row_group']} stand where those of {piece} should")
        places, found = numbers[first:last].astype(np.int64), values[start:stop]
        if (places < 0).any():
            raise ValueError(f"sums of {row['name']} are of no group")
        shape = (row["heads"], len(CLASSES), len(places)) if row["kind"] in _BY_GROUP else (len(places),)
        summed.append(Summed(row["name"], row["kind"], places, found.reshape(shape)))
    return PieceSums(rows[0]["candidates"], summed)
