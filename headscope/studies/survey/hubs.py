"""Which tokens are the nearest again and again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from headscope.neighbors import Hubness

HUBS = {
    "positions": pa.int64(),
    "nearest": pa.int32(),
    "label": pa.string(),
    "share": pa.float64(),
    "skewness": pa.float64(),
}


def hubs(counts: NDArray[np.int64], candidates: int, labels: Sequence[str]) -> Iterator[dict[str, Any]]:
    """One row for each head, see docs/survey-tables.md; `counts` [head, id]: how often each token is the nearest."""
    positions = int(counts[0].sum())
    hubness = Hubness.of(torch.from_numpy(counts), candidates, positions)
    for id, share, skewness in zip(
        *(part.tolist() for part in (hubness.largest_id, hubness.largest, hubness.skewness)), strict=True
    ):
        yield {"positions": positions, "nearest": id, "label": labels[id], "share": share, "skewness": skewness}
