"""Which tokens are the nearest again and again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

HUBS = {
    "positions": pa.int64(),
    "nearest": pa.int32(),
    "label": pa.string(),
    "share": pa.float64(),
    "skewness": pa.float64(),
}


class Hubs:
    """Counts how often each token of the vocabulary is the nearest, in every head of one layer and view."""

    def __init__(self, vocab_size: int, heads: int) -> None:
        self._counts = np.zeros((heads, vocab_size), dtype=np.int64)
        self._candidates = 0

    def add(self, table: pa.Table) -> None:
        """Add a row group."""
        nearest = table["nearest"].to_numpy().reshape(len(self._counts), -1)
        for count, ids in zip(self._counts, nearest, strict=True):
            count += np.bincount(ids, minlength=len(count))
        self._candidates = table["candidates"][0].as_py()

    def rows(self, labels: Sequence[str]) -> Iterator[dict[str, Any]]:
        """One row for each head: see docs/survey.md."""
        for count in self._counts:
            most, positions = int(count.argmax()), int(count.sum())
            yield {
                "positions": positions,
                "nearest": most,
                "label": labels[most],
                "share": count[most] / positions,
                "skewness": self._skewness(count[count > 0].astype(np.float64)),
            }

    def _skewness(self, counts: Any) -> float:
        """Of the counts of all candidates; those that are not given are 0."""
        mean = counts.sum() / self._candidates
        rest = self._candidates - len(counts)
        moments = [(((counts - mean) ** power).sum() + rest * (-mean) ** power) / self._candidates for power in (2, 3)]
        return float(moments[1] / moments[0] ** 1.5) if moments[0] > 0 else 0.0
