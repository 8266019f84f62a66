"""Ridge regression from sums over samples: XᵀX and XᵀY say all of it, so samples need not be kept.

Hoerl and Kennard 1970, Technometrics 12(1), with an intercept that is not penalised: W = (XᶜᵀXᶜ + αI)⁻¹ XᶜᵀYᶜ, where
c stands for "minus the mean".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import torch
from torch import Tensor

# In units of the mean eigenvalue of XᶜᵀXᶜ: from next to nothing to next to nothing left.
PENALTIES = tuple(10.0**power for power in range(-5, 4))
_STILL = 2.0**-20  # of its mean: a number that varies less is constant but for float32's rounding, which is no signal


@dataclass(frozen=True)
class Gram:
    """Sums over samples of x [..., d] and y [..., m], float64; their leading axes (targets, heads) are kept apart.

    count []; x [..., d]; y [..., m]; xx [..., d, d]; xy [..., d, m]; yy [...], of |y|². Leading axes broadcast: y may
    have one that x has not.
    """

    count: Tensor
    x: Tensor
    y: Tensor
    xx: Tensor
    xy: Tensor
    yy: Tensor

    @classmethod
    def of(cls, x: Tensor, y: Tensor) -> Gram:
        """The sums of samples x [sample, ..., d] and y [sample, ..., m]."""
        x, y = x.double().movedim(0, -2), y.double().movedim(0, -2)  # (..., sample, d), (..., sample, m)
        count = torch.tensor(float(x.shape[-2]), dtype=torch.float64)
        return cls(count, x.sum(-2), y.sum(-2), x.mT @ x, _products(x, y), y.square().sum((-2, -1)))

    @classmethod
    def zeros(cls, d: int, m: int) -> Gram:
        """The sums of no samples yet, x [d] and y [m]; see `add`."""
        shapes: tuple[tuple[int, ...], ...] = ((), (d,), (m,), (d, d), (d, m), ())
        return cls(*(torch.zeros(shape, dtype=torch.float64) for shape in shapes))

    @classmethod
    def sum(cls, grams: Sequence[Gram]) -> Gram:
        """The sums of all the samples of several."""
        total = cls(*(getattr(grams[0], field.name).clone() for field in fields(cls)))
        for gram in grams[1:]:
            total.add(gram)
        return total

    def add(self, more: Gram) -> None:
        """Count the samples of another in, in place."""
        for field in fields(self):
            getattr(self, field.name).add_(getattr(more, field.name))

    @property
    def x_mean(self) -> Tensor:
        """Of x [..., d]; 0 where there is no sample."""
        return self.x / self.count.clamp_min(1)

    @property
    def covariance(self) -> Tensor:
        """Of x, about its mean and divided by the count: [..., d, d]."""
        return self.xx / self.count.clamp_min(1) - _outer(self.x_mean, self.x_mean)

    def about(self, x: Tensor, y: Tensor) -> Gram:
        """The sums of the same samples after x [..., d] and y [..., m] were taken from each of them."""
        n = self.count
        return Gram(
            n,
            self.x - n * x,
            self.y - n * y,
            self.xx - _outer(self.x, x) - _outer(x, self.x - n * x),
            self.xy - _outer(self.x, y) - _outer(x, self.y - n * y),
            self.yy - 2 * (self.y * y).sum(-1) + n * y.square().sum(-1),
        )


@dataclass(frozen=True)
class Ridge:
    """The ridge maps of every penalty, from one eigendecomposition of XᶜᵀXᶜ: x ↦ (x − x_mean) W + y_mean."""

    x_mean: Tensor  # [..., d]
    y_mean: Tensor  # [..., m]
    values: Tensor  # [..., d], eigenvalues
    vectors: Tensor  # [..., d, d]
    turned: Tensor  # [..., d, m], eigenvectorsᵀ XᶜᵀYᶜ

    @classmethod
    def of(cls, gram: Gram) -> Ridge:
        """The maps that fit the samples of `gram`."""
        x_mean, y_mean = gram.x / gram.count, gram.y / gram.count
        centred = gram.about(x_mean, y_mean)
        spread = centred.xx.diagonal(dim1=-2, dim2=-1)  # (..., d)
        still = spread <= gram.count * (_STILL * x_mean).square()
        xx = centred.xx.masked_fill(still[..., :, None] | still[..., None, :], 0)
        values, vectors = torch.linalg.eigh(xx)
        xy = centred.xy.masked_fill(still[..., None], 0)
        return cls(x_mean, y_mean, values.clamp_min(0), vectors, vectors.mT @ xy)

    def alphas(self, penalties: Sequence[float]) -> Tensor:
        """Penalties in units of the mean eigenvalue, so that they depend on no scale of x: [penalty, ...]."""
        unit = self.values.mean(-1).expand(self.turned.shape[:-2])
        return torch.tensor(penalties, dtype=torch.float64).view(-1, *[1] * unit.dim()) * unit

    def weight(self, alpha: Tensor) -> Tensor:
        """W [..., d, m] for penalties `alpha` [...], each as scikit-learn's Ridge(alpha) counts it."""
        return self.vectors @ (self.turned * self._shrunken(alpha)[..., None])

    def losses(self, alphas: Tensor, held: Gram) -> Tensor:
        """The squared errors [penalty, ...] on the samples of `held`, for penalties `alphas` [penalty, ...]."""
        there = held.about(self.x_mean, self.y_mean)
        spread = self.vectors.mT @ there.xx @ self.vectors * self._overlap  # (..., d, d)
        shared = (self.turned * (self.vectors.mT @ there.xy)).sum(-1)  # (..., d)
        found = []
        for alpha in alphas:
            by = self._shrunken(alpha)  # (..., d)
            quadratic = (by[..., None, :] @ spread @ by[..., None])[..., 0, 0]
            found.append(there.yy - 2 * (by * shared).sum(-1) + quadratic)
        return torch.stack(found)

    @cached_property
    def _overlap(self) -> Tensor:
        return self.turned @ self.turned.mT  # (..., d, d)

    def _shrunken(self, alpha: Tensor) -> Tensor:
        below = self.values + alpha[..., None]
        return torch.where(below > 0, 1 / below.clamp_min(torch.finfo(torch.float64).tiny), 0.0)


def _products(x: Tensor, y: Tensor) -> Tensor:
    """xᵀy [..., d, m]; where all heads (the axis before the samples) have the same y, as one product."""
    if x.dim() < 3 or y.shape[-3] != 1:
        return x.mT @ y
    heads, _, d = x.shape[-3:]
    together: Tensor = x.mT.flatten(-3, -2) @ y.squeeze(-3)  # (..., head · d, m)
    return together.view(*together.shape[:-2], heads, d, -1)


def _outer(x: Tensor, y: Tensor) -> Tensor:
    return x[..., :, None] * y[..., None, :]


def or_chance(ranks: Tensor, guesses: Tensor, candidates: int) -> Tensor:
    """Ranks [...] of guesses [..., width]: the middle one, which is chance, where a guess is of length 0.

    It has no direction, so all candidates are as near by cosine; ties share a rank, and all would be the nearest.
    """
    silent = (ranks > 0) & ~guesses.any(-1)
    return ranks.masked_fill(silent, 1 + (candidates - 1) // 2)
