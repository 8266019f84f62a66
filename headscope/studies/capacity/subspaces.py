"""How many dimensions encodings fill, and subspaces that they are projected into. Tensors only."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

VARIANCE = 0.95


def participation_ratio(covariance: Tensor) -> float:
    """(Σ λ)² / Σ λ² of the eigenvalues: 1 for a line, d for a ball of d dimensions; 0 for a point.

    Without eigenvalues: tr(C)² / tr(C²).

    >>> participation_ratio(torch.diag(torch.tensor([2.0, 2.0, 0.0])))
    2.0
    """
    squares = float(covariance.square().sum())
    return float(covariance.trace()) ** 2 / squares if squares > 0 else 0.0


def dimension_at(variances: Tensor) -> int:
    """How many of the variances [width], largest first, it takes for 95 % of their sum.

    >>> dimension_at(torch.tensor([6.0, 3.5, 0.5]))
    2
    """
    total = float(variances.sum())
    if total <= 0:
        return 0
    reached = variances.cumsum(0) >= VARIANCE * total * (1 - 1e-12)
    return int(reached.to(torch.int64).argmax()) + 1


@dataclass(frozen=True)
class Axes:
    """A point and an orthonormal basis there, for each of several groups of coordinates.

    mean [group, width]; basis [group, width, axis], what is kept first comes first; variances [group, axis] along
    the axes, where they are known.
    """

    mean: Tensor
    basis: Tensor
    variances: Tensor | None = None

    @classmethod
    def principal(cls, mean: Tensor, covariance: Tensor, groups: int = 1) -> Axes:
        """The principal axes of each of `groups` equal blocks of coordinates, the largest variance first.

        Of encodings with this mean [group · width] and covariance [group · width, group · width].
        """
        mean = mean.view(groups, -1)  # (group, width)
        width = mean.shape[1]
        blocks = covariance.view(groups, width, groups, width).diagonal(dim1=0, dim2=2)  # (width, width, group)
        variances, basis = torch.linalg.eigh(blocks.permute(2, 0, 1).contiguous())
        return cls(mean, basis.flip(-1), variances.flip(-1).clamp_min(0))

    def along(self, x: Tensor) -> Tensor:
        """Encodings x [position, group · width] along the axes, from the mean: float64 [position, group, axis]."""
        return torch.einsum("ngw,gwr->ngr", x.cpu().double().view(len(x), *self.mean.shape) - self.mean, self.basis)

    def turned(self, seed: int) -> Axes:
        """Random axes at the same point: uniform over all orthonormal bases."""
        draw = torch.Generator().manual_seed(seed)
        noise = torch.randn(self.basis.shape, generator=draw, dtype=torch.float64)
        return Axes(self.mean, torch.linalg.qr(noise).Q)

    def projection(self, kept: int) -> SubspaceProjection:
        """Into the first `kept` axes."""
        return SubspaceProjection(self.mean.float(), self.basis[..., :kept].float().contiguous())


@dataclass(frozen=True)
class SubspaceProjection:
    """x ↦ μ + B Bᵀ (x − μ), in every group of coordinates: mean [group, width], basis [group, width, axis]."""

    mean: Tensor
    basis: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """x [position, group · width], projected."""
        mean, basis = self.mean.to(x), self.basis.to(x)
        inside = torch.einsum("ngw,gwr->ngr", x.view(len(x), *mean.shape) - mean, basis)
        return (torch.einsum("ngr,gwr->ngw", inside, basis) + mean).flatten(1)  # (position, group * width)
