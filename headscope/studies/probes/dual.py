"""Ridge maps in their dual form, from products between samples: cheaper where there are fewer samples than dimensions.

Saunders, Gammerman and Vovk 1998 (ICML). With K = XᶜXᶜᵀ of the n samples that a map is fitted on, an output is
ŷ = ȳ + k (K + αI)⁻¹ Yᶜ, k the centred products with those samples: the same map as `ridge.Ridge`, at n³ for d³.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from headscope.studies.probes.folds import Folds
from headscope.studies.probes.ridge import PENALTIES


@dataclass(frozen=True)
class DualFit:
    """What was fitted on some samples: y_mean [side, d_model], and what makes outputs of products with them.

    products float64 [n, n], centred; targets float64 [side, n, d_model], less their mean; `width`: d of the vectors.
    """

    here: Tensor  # int64 [n], the samples
    products: Tensor
    y_mean: Tensor
    targets: Tensor
    width: int

    @property
    def alphas(self) -> Tensor:
        """PENALTIES in units of the mean eigenvalue of XᶜᵀXᶜ, as `Ridge.alphas` counts them: [penalty]."""
        return torch.tensor(PENALTIES, dtype=torch.float64) * self.products.trace() / self.width

    def centred(self, products: Tensor, other: Tensor) -> Tensor:
        """The products of samples `other` with those of the fit, both about the fit's mean: [other, n]."""
        there = products[other[:, None], self.here]
        own = products[self.here[:, None], self.here].mean(0)
        return there - there.mean(1, keepdim=True) - own + own.mean()

    def losses(self, to: Tensor, wanted: Tensor) -> Tensor:
        """Squared errors [penalty, side] at samples with products `to` [m, n] and targets `wanted` [side, m, d_model].

        `wanted` is about y_mean.
        """
        values, vectors, turned, between = self._turned
        to = to @ vectors
        shared = (to[None] * (wanted @ turned.mT)).sum(1)  # (side, n)
        overlap = (to.mT @ to) * between  # (side, n, n)
        found = []
        for alpha in self.alphas:
            by = _inverse(values + alpha)
            quadratic = torch.einsum("k,skl,l->s", by, overlap, by)
            found.append(wanted.square().sum((-2, -1)) - 2 * (shared * by).sum(-1) + quadratic)
        return torch.stack(found)

    def outputs(self, to: Tensor, alpha: Tensor) -> Tensor:
        """Outputs less y_mean at samples with products `to` [m, n], for penalties [side]: [side, m, d_model]."""
        if not bool((alpha > 0).all()):  # all vectors are one: nothing tells them apart
            return to.new_zeros(len(alpha), len(to), self.targets.shape[-1])
        one = torch.eye(len(self.here), dtype=torch.float64)
        factor = torch.linalg.cholesky(self.products + alpha[:, None, None] * one)
        return torch.cholesky_solve(to.mT.expand(len(alpha), -1, -1), factor).mT @ self.targets

    @cached_property
    def _turned(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Eigenvalues [n] and -vectors [n, n] of the products, targets [side, n, d_model] by these, and TTᵀ of them."""
        values, vectors = torch.linalg.eigh(self.products)
        turned = vectors.mT @ self.targets
        return values.clamp_min(0), vectors, turned, turned @ turned.mT


class DualFits:
    """The maps of one set of vectors x [sample, d] with the targets of either side [side, sample, d_model]."""

    def __init__(self, x: Tensor, targets: Tensor, cells: Tensor, folds: Folds) -> None:
        x = x - x.mean(0)  # of no account to what is centred, and of some to its rounding
        self._products, self._width = x @ x.mT, x.shape[1]
        self._targets, self._cells, self._folds = targets, cells, folds
        self._known: dict[frozenset[int], DualFit | None] = {}

    def outputs(self, fold: int) -> tuple[Tensor, Tensor] | None:
        """What the maps that know nothing of a fold give for the samples that it is judged on, and their y_mean.

        Outputs less y_mean [side, m, d_model], y_mean [side, d_model]; None where nothing is left to fit. The penalty
        is the one that does best on the other folds, each held out in turn.
        """
        fit = self._fit(fold)
        if fit is None:
            return None
        losses = torch.zeros(len(PENALTIES), len(self._targets), dtype=torch.float64)
        for other in set(range(self._folds.count)) - {fold}:
            inner, judged = self._fit(fold, other), self._judged(other)
            if inner is not None and len(judged):
                wanted = self._targets[:, judged] - inner.y_mean[:, None]
                losses += inner.losses(inner.centred(self._products, judged), wanted)
        alpha = fit.alphas[losses.argmin(0)]
        return fit.outputs(fit.centred(self._products, self._judged(fold)), alpha), fit.y_mean

    def _judged(self, fold: int) -> Tensor:
        return self._folds.judges(self._cells, fold).nonzero()[:, 0]

    def _fit(self, *held: int) -> DualFit | None:
        """The maps without some folds; two folds leave the same, whichever is the outer one."""
        key = frozenset(held)
        if key not in self._known:
            self._known[key] = self._fitted(self._folds.fits(self._cells, *held).nonzero()[:, 0])
        return self._known[key]

    def _fitted(self, here: Tensor) -> DualFit | None:
        if len(here) < 2:
            return None
        products = self._products[here[:, None], here]
        means = products.mean(0)
        targets = self._targets[:, here]
        y_mean = targets.mean(1)
        centred = products - means - means[:, None] + means.mean()
        return DualFit(here, centred, y_mean, targets - y_mean[:, None], self._width)


def few(samples: int, width: int) -> bool:
    """Whether the dual form is the cheaper one: most fits are on a quarter of the samples."""
    return samples <= 3 * width


def _inverse(values: Tensor) -> Tensor:
    return torch.where(values > 0, 1 / values.clamp_min(torch.finfo(torch.float64).tiny), 0.0)
