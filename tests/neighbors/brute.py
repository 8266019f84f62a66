"""Brute force in extended precision, by formulas that share nothing with the search."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headscope.neighbors import Place, Table
from headscope.question.choices import Metric


@dataclass(frozen=True)
class Truth:
    """Distances of one query in one head to every token, and how far float64 may be from them."""

    distances: np.ndarray
    tolerance: np.ndarray

    def rank_range(self, token: int, allowed: np.ndarray) -> tuple[int, int]:
        """Least and greatest rank of a token that float64 rounding leaves open."""
        gap = self.distances - self.distances[token]
        slack = self.tolerance + self.tolerance[token]
        others = allowed & (np.arange(len(gap)) != token)
        return 1 + int((others & (gap < -slack)).sum()), 1 + int((others & (gap <= slack)).sum())


def encode(table: Table, place: Place, head: int) -> np.ndarray:
    """R of one head, float64 [token, d_head], from the definition."""
    rows = table.rows[head].double().cpu().numpy()
    shift = 0.0 if place.shift is None else place.shift[head].double().cpu().numpy()
    scale = 1.0 if place.scale is None else place.scale.double().cpu().numpy()[:, None]
    bias = table.bias[head] if place.bias is None else table.bias[head] + place.bias[head]
    with np.errstate(invalid="ignore"):
        return scale * (rows + shift) + bias.double().cpu().numpy()


def truth(metric: Metric, query: Tensor, encoded: np.ndarray) -> Truth:
    z, r = query.double().cpu().numpy().astype(np.longdouble), encoded.astype(np.longdouble)
    with np.errstate(invalid="ignore", divide="ignore"):
        dot, z_norm, r_norm = (r * z).sum(-1), np.sqrt((z * z).sum()), np.sqrt((r * r).sum(-1))
        if metric == "dot":
            return Truth(-dot, 1e-14 * z_norm * r_norm)
        if metric == "euclidean":
            return Truth(np.sqrt(((z - r) ** 2).sum(-1)), 1e-15 * (z_norm + r_norm))
        zero = (z_norm == 0) | (r_norm == 0)
        cosine = np.where(zero, 0.0, dot / np.where(zero, 1.0, z_norm * r_norm))
        return Truth(1 - cosine, np.where(zero, 0.0, 2e-15))


def random_case(
    seed: int,
    *,
    heads: int = 2,
    group: int = 2,
    tokens: int = 300,
    d_head: int = 16,
    places: int = 3,
    count: int = 5,
) -> tuple[Table, list[Place], Tensor, Tensor, Tensor]:
    """Table, places, queries, own and place_of, drawn at the magnitudes of a model."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw)

    table = Table.pack(normal(heads, tokens, d_head), 0.3 * normal(heads, d_head))
    at = [
        Place(1 + torch.rand(tokens, generator=draw), 0.5 * normal(heads, d_head), 0.3 * normal(heads, d_head))
        for _ in range(places)
    ]
    own = torch.randint(tokens, (count,), generator=draw)
    place_of = torch.randint(places, (count,), generator=draw)
    return table, at, normal(count, heads * group, d_head), own, place_of
