"""A sample of the rows of Parquet files, of which no more is read than the row groups that they stand in."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from headscope.corpus.lines import FOOTER, Readable, Unread, opened

_BATCH = 256  # rows that are held
_AT_ONCE = 16  # files whose footers are read


@dataclass(frozen=True)
class Draw:
    """So many texts, drawn with a seed."""

    sample: int
    seed: int

    def of(self, total: int) -> list[int]:
        """Which of so many, in order; all where there are no more.

        >>> Draw(3, 0).of(2), len(Draw(3, 0).of(100))
        ([0, 1], 3)
        """
        if self.sample >= total:
            return list(range(total))
        return sorted(random.Random(self.seed).sample(range(total), self.sample))


@dataclass(frozen=True)
class RowsOfFiles:
    """Rows that are chosen among those of several files, and how many each file has: 0 where it cannot be read."""

    counts: tuple[int, ...]
    chosen: Sequence[int]

    @classmethod
    def drawn(cls, paths: Sequence[Readable], draw: Draw) -> RowsOfFiles:
        """Of the files' footers alone."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:  # a store takes its time to answer, and answers many at once
            counts = tuple(pool.map(_rows_in, paths))
        return cls(counts, draw.of(sum(counts)))

    def by_file(self) -> Iterator[tuple[int, list[int]]]:
        """Of each file the number of its first row among all, and which of its own rows are chosen, from 0."""
        first = 0
        for count in self.counts:
            yield first, inside(self.chosen, first, count)
            first += count


def inside(rows: Sequence[int], first: int, count: int) -> list[int]:
    """Those of some rows, in order, that are among `count` from `first`, told from there.

    >>> inside([1, 4, 5, 9], 4, 3)
    [0, 1]
    """
    return [row - first for row in rows[bisect_left(rows, first) : bisect_left(rows, first + count)]]


def batches(file: Any, columns: Sequence[str], rows: Sequence[int] | None) -> Iterator[tuple[int, Any, Sequence[int]]]:
    """An open Parquet file, a few rows at a time: the number of the first, the batch, which of its rows are wanted.

    `rows`: those, in order; None: all. Row groups without one are not read.
    """
    start = 0
    for group in range(file.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        if rows is None or inside(rows, start, count):
            first = start
            for batch in file.iter_batches(batch_size=_BATCH, row_groups=[group], columns=list(columns)):
                yield first, batch, range(len(batch)) if rows is None else inside(rows, first, len(batch))
                first += len(batch)
        start += count


def _rows_in(path: Readable) -> int:
    """How many rows the footer of a file says that it has; 0 where it cannot be read, which its reader tells of."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with opened(path, FOOTER) as raw, pq.ParquetFile(raw) as file:
            return int(file.metadata.num_rows)
    except (Unread, pa.ArrowException, OSError, MemoryError, KeyError, ValueError):
        return 0
