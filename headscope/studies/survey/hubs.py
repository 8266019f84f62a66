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
    """One row for each head that has a nearest token anywhere, see docs/survey-tables.md.

    `counts` [head, id]: how often each token is the nearest.
    """
    for head, count in enumerate(torch.from_numpy(counts)):
        positions = int(count.sum())
        if not positions:
            continue
        of = Hubness.of(count[None], candidates, positions)
        id = int(of.largest_id)
        yield {
            "head": head,
            "positions": positions,
            "nearest": id,
            "label": labels[id],
            "share": float(of.largest),
            "skewness": float(of.skewness),
        }
