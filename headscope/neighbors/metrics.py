"""The three distances, in float64: the one definition that every rank and printed distance comes from."""

from typing import Literal, get_args

import torch
from torch import Tensor

Metric = Literal["cosine", "euclidean", "dot"]
METRICS: tuple[Metric, ...] = get_args(Metric)


def distances(metric: Metric, query: Tensor, encodings: Tensor) -> Tensor:
    """Distance between vectors along the last axis, float64 `[...]`; the leading axes broadcast.

    `cosine` is 1 − cos, and 1 where either vector is zero; `euclidean` is |z − R|; `dot` is −z·R, so
    that nearer is always smaller. Equal rows get bit-identical distances.

    >>> distances("cosine", torch.tensor([1.0, 0.0]), torch.tensor([[2.0, 0.0], [0.0, 3.0], [0.0, 0.0]]))
    tensor([0., 1., 1.], dtype=torch.float64)
    """
    shape = torch.broadcast_shapes(query.shape, encodings.shape)
    # One row after another in memory: the sum below then adds every row in the same order, whatever the
    # number of rows. A matrix product would not, and equal rows could get scores an ulp apart.
    z, r = (side.double().expand(shape).reshape(-1, shape[-1]) for side in (query, encodings))  # [pair, d_head]
    return _of_pairs(metric, z, r).reshape(shape[:-1])


def ranks_of(distances: Tensor) -> Tensor:
    """Ranks among the last axis of ascending distances, int64: 1 + how many are strictly nearer, so ties share one.

    >>> ranks_of(torch.tensor([0.1, 0.2, 0.2, 0.5]))
    tensor([1, 2, 2, 4])
    """
    return torch.searchsorted(distances, distances) + 1


def _of_pairs(metric: Metric, z: Tensor, r: Tensor) -> Tensor:
    if metric == "dot":
        return (z * r).sum(-1).neg_()
    if metric == "euclidean":
        return (z - r).square_().sum(-1).sqrt_()
    if metric == "cosine":
        # ½|ẑ − R̂|² is 1 − cos without its cancellation where the two are nearly parallel.
        z_norm, r_norm = z.square().sum(-1, keepdim=True).sqrt_(), r.square().sum(-1, keepdim=True).sqrt_()
        apart = (z / z_norm - r / r_norm).square_().sum(-1).mul_(0.5)
        zero = ((z_norm == 0) | (r_norm == 0)).squeeze(-1)
        return apart.masked_fill_(zero, 1.0)
    raise ValueError(f"metric is {metric!r}; it is one of {', '.join(METRICS)}")
