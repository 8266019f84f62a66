"""Which tokens are the nearest again and again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from headscope.neighbors import Hubness

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
        self._candidates = table["candidates"][0].as_py()  # of a view: the same in all its rows

    def rows(self, labels: Sequence[str]) -> Iterator[dict[str, Any]]:
        """One row for each head: see docs/survey-tables.md."""
        positions = int(self._counts[0].sum())
        hubness = Hubness.of(torch.from_numpy(self._counts), self._candidates, positions)
        for id, share, skewness in zip(
            *(part.tolist() for part in (hubness.largest_id, hubness.largest, hubness.skewness)), strict=True
        ):
            yield {"positions": positions, "nearest": id, "label": labels[id], "share": share, "skewness": skewness}
