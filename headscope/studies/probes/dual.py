"""Ridge maps in their dual form, from products between samples: cheaper where there are fewer samples than dimensions.

Saunders, Gammerman and Vovk 1998 (ICML). With K = XᶜXᶜᵀ of the n samples that a map is fitted on, an output is
ŷ = ȳ + k (K + αI)⁻¹ Yᶜ, k the centred products with those samples: the same map as `ridge.Ridge`, at n³ for d³.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from headscope.studies.probes.folds import Folds
from headscope.studies.probes.ridge import PENALTIES

_TOGETHER = 256  # samples whose products are taken at a time


class Judged(NamedTuple):
    """Targets less a fit's y_mean at samples `at` int64 [m]: their products with the fit's [side, m, n], and what they
    sum to squared [side]."""

    at: Tensor
    between: Tensor
    squares: Tensor


@dataclass(frozen=True)
class DualTarget:
    """What maps that are fitted on some samples aim at, whatever vectors they map: of `here` int64 [n].

    products float64 [side, sample, sample] of all samples' targets; y_mean [side, d_model]; targets [side, n, d_model]
    less it.
    """

    here: Tensor
    products: Tensor
    y_mean: Tensor
    targets: Tensor

    @cached_property
    def _between(self) -> _Fitted:
        return _Fitted.of(self.products, self.here)

    @property
    def between(self) -> Tensor:
        """Products of the targets with each other: [side, n, n]."""
        return self._between.products

    def judged(self, at: Tensor) -> Judged:
        """What the fit has to find at samples `at`."""
        there = _some(self.products, at, self.here)
        squares = self.products[:, at, at] - 2 * there.mean(2) + self._between.mean.mean(-1)
        return Judged(at, self._between.about(there), squares.sum(1))


class DualTargets:
    """What maps of some samples aim at, without the folds that they know nothing of: targets [side, sample, d_model].

    Found once, however many maps are fitted.
    """

    def __init__(self, targets: Tensor, cells: Tensor, folds: Folds) -> None:
        self._targets, self._products = targets, _products(targets)
        self._cells, self._folds = cells, folds
        self._known: dict[frozenset[int], DualTarget | None] = {}
        self._seen: dict[tuple[int, frozenset[int]], Judged] = {}

    def others(self, fold: int) -> set[int]:
        """All folds but one."""
        return set(range(self._folds.count)) - {fold}

    def at(self, fold: int) -> Tensor:
        """The samples that a fold is judged on."""
        return self._folds.judges(self._cells, fold).nonzero()[:, 0]

    def judged(self, fold: int, held: frozenset[int]) -> Judged | None:
        """What a fit without the folds `held` has to find there; None where nothing is left to fit, or to find."""
        key, target, at = (fold, held), self.without(held), self.at(fold)
        if target is None or not len(at):
            return None
        if key not in self._seen:
            self._seen[key] = target.judged(at)
        return self._seen[key]

    def without(self, held: frozenset[int]) -> DualTarget | None:
        """What is aimed at without some folds; None where nothing is left to fit."""
        if held not in self._known:
            here = self._folds.fits(self._cells, *held).nonzero()[:, 0]
            y = self._targets[:, here]
            fitted = DualTarget(here, self._products, y.mean(1), y - y.mean(1, keepdim=True)) if len(here) > 1 else None
            self._known[held] = fitted
        return self._known[held]


@dataclass(frozen=True)
class DualFit:
    """What was fitted on the samples of a target; of all samples' products float64 [sample, sample], `width` is the
    vectors' d."""

    of_all: Tensor
    target: DualTarget
    width: int

    @cached_property
    def _fitted(self) -> _Fitted:
        return _Fitted.of(self.of_all, self.target.here)

    @property
    def products(self) -> Tensor:
        """Products of the samples that were fitted on, centred: [n, n]."""
        return self._fitted.products

    def to(self, at: Tensor) -> Tensor:
        """Products of samples `at` int64 [m] with those: [m, n]."""
        return self._fitted.about(_some(self.of_all, at, self.target.here))

    @property
    def alphas(self) -> Tensor:
        """PENALTIES in units of the mean eigenvalue of XᶜᵀXᶜ, as `Ridge.alphas` counts them: [penalty]."""
        return torch.tensor(PENALTIES, dtype=torch.float64) * self.products.trace() / self.width

    def losses(self, to: Tensor, judged: Judged) -> Tensor:
        """Squared errors [penalty, side] at samples with products `to` [m, n]."""
        values, vectors, between = self._turned
        to = to @ vectors
        shared = (to * (judged.between @ vectors)).sum(1)  # (side, n)
        overlap = (to.mT @ to) * between  # (side, n, n)
        found = []
        for alpha in self.alphas:
            by = _inverse(values + alpha)
            quadratic = torch.einsum("k,skl,l->s", by, overlap, by)
            found.append(judged.squares - 2 * (shared * by).sum(-1) + quadratic)
        return torch.stack(found)

    @cached_property
    def _turned(self) -> tuple[Tensor, Tensor, Tensor]:
        """Eigenvalues [n] and -vectors [n, n] of the products, and the targets' products by these [side, n, n]."""
        values, vectors = torch.linalg.eigh(self.products)
        return values.clamp_min(0), vectors, vectors.mT @ self.target.between @ vectors

    def outputs(self, to: Tensor, alpha: Tensor) -> Tensor:
        """Outputs less y_mean at samples with products `to` [m, n], for penalties [side]: [side, m, d_model]."""
        targets = self.target.targets
        if not bool((alpha > 0).all()):  # all vectors are one: nothing tells them apart
            return to.new_zeros(len(alpha), len(to), targets.shape[-1])
        penalties, of_side = alpha.unique(return_inverse=True)  # mostly one does best on either side
        penalised = self.products.repeat(len(penalties), 1, 1)
        penalised.diagonal(dim1=1, dim2=2).add_(penalties[:, None])
        solved = torch.cholesky_solve(to.mT.expand(len(penalties), -1, -1), torch.linalg.cholesky(penalised))
        return solved.mT[of_side] @ targets


class DualFits:
    """The maps of one set of vectors x [sample, d] to what either side aims at."""

    def __init__(self, x: Tensor, targets: DualTargets) -> None:
        self._products, self._width, self._targets = _products(x), x.shape[1], targets
        self._known: dict[frozenset[int], DualFit | None] = {}

    def outputs(self, fold: int) -> tuple[Tensor, Tensor] | None:
        """What the maps that know nothing of a fold give for the samples that it is judged on, and their y_mean.

        Outputs less y_mean [side, m, d_model], y_mean [side, d_model]; None where nothing is left to fit. The penalty
        is the one that does best on the other folds, each held out in turn.
        """
        fit = self._fit(fold)
        if fit is None:
            return None
        losses = torch.zeros(len(PENALTIES), len(fit.target.targets), dtype=torch.float64)
        for other in self._targets.others(fold):
            inner, judged = self._fit(fold, other), self._targets.judged(other, frozenset((fold, other)))
            if inner is not None and judged is not None:
                losses += inner.losses(inner.to(judged.at), judged)
        alpha = fit.alphas[losses.argmin(0)]
        return fit.outputs(fit.to(self._targets.at(fold)), alpha), fit.target.y_mean

    def _fit(self, *held: int) -> DualFit | None:
        """The maps without some folds; two folds leave the same, whichever is the outer one."""
        key = frozenset(held)
        if key not in self._known:
            aim = self._targets.without(key)
            self._known[key] = None if aim is None else DualFit(self._products, aim, self._width)
        return self._known[key]


def few(samples: int, width: int) -> bool:
    """Whether the dual form is the cheaper one: most fits are on a quarter of the samples."""
    return samples <= 3 * width


def _products(rows: Tensor) -> Tensor:
    """Of all samples with each other: [..., sample, sample] of rows [..., sample, d].

    About their mean, which is of no account to what is centred, and of some to its rounding.
    """
    about = rows - rows.mean(-2, keepdim=True)
    samples = about.shape[-2]
    found = about.new_empty(*about.shape[:-1], samples)
    for start in range(0, samples, _TOGETHER):  # what is below the diagonal is above it too
        some = about[..., start : start + _TOGETHER, :] @ about[..., start:, :].mT
        found[..., start : start + _TOGETHER, start:] = some
        found[..., start:, start : start + _TOGETHER] = some.mT
    return found


class _Fitted(NamedTuple):
    """Products [..., n, n] about the mean of the samples that they are of; and the mean [..., 1, n] over these, before
    that."""

    products: Tensor
    mean: Tensor

    @classmethod
    def of(cls, products: Tensor, here: Tensor) -> _Fitted:
        """Of the samples `here` int64 [n] among all."""
        own = _some(products, here, here)
        mean = own.mean(-2, keepdim=True)
        return cls(own.sub_(mean).sub_(mean.mT).add_(mean.mean(-1, keepdim=True)), mean)

    def about(self, there: Tensor) -> Tensor:
        """Products `there` [..., m, n] of other samples with these, about the mean of these."""
        return there - there.mean(-1, keepdim=True) - self.mean + self.mean.mean(-1, keepdim=True)


def _some(products: Tensor, other: Tensor, here: Tensor) -> Tensor:
    """The products of samples `other` with those `here`: [..., other, here]. (numpy takes them in half the time.)"""
    return torch.from_numpy(products.numpy().take(other.numpy(), -2).take(here.numpy(), -1))


def _inverse(values: Tensor) -> Tensor:
    return torch.where(values > 0, 1 / values.clamp_min(torch.finfo(torch.float64).tiny), 0.0)
