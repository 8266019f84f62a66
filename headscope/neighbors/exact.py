"""Float64 over the whole vocabulary: the definition of the search, and its last resort."""

import torch
from torch import Tensor

from headscope.neighbors.metrics import Metric, distances
from headscope.neighbors.table import Place, Table

_TOKENS = 8192  # rows scored at a time: a few MB of float64 scratch


def scan_row(table: Table, place: Place, head: int, query: Tensor, metric: Metric) -> Tensor:
    """Distances of one query [d_head] to every token in one table head, float64 [token]."""
    scores = []
    for start in range(0, table.rows.shape[1], _TOKENS):
        token = torch.arange(start, min(start + _TOKENS, table.rows.shape[1]), device=query.device)
        encoded = table.encode(place, torch.full_like(token, head), token)
        scores.append(distances(metric, query, encoded))
    return torch.cat(scores)


def shared_ranks(ordered: Tensor) -> Tensor:
    """Ranks of ascending distances [..., k], int64, 1 + the number strictly smaller.

    >>> shared_ranks(torch.tensor([0.1, 0.2, 0.2, 0.3]))
    tensor([1, 2, 2, 4])
    """
    return torch.searchsorted(ordered, ordered) + 1
