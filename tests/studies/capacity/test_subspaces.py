"""Participation ratio, 95 % dimension and projections, against numpy's own words for them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headscope.studies.capacity.subspaces import Axes, dimension_at, participation_ratio


def sample(n: int, width: int, seed: int, rank: int | None = None) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, rank or width, generator=draw)
    if rank is not None:
        x = x @ torch.randn(rank, width, generator=draw)
    return x * torch.linspace(0.1, 2, width) + torch.randn(width, generator=draw)


def principal(x: torch.Tensor, groups: int = 1) -> Axes:
    return Axes.principal(x.double().mean(0), torch.atleast_2d(x.double().T.cov(correction=0)), groups)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 60), st.integers(1, 12), st.integers(0, 99))
def test_sizes_are_those_of_the_covariance_s_eigenvalues(n, width, seed):
    x = sample(n, width, seed)
    covariance = np.atleast_2d(np.cov(x.double().numpy().T, bias=True))
    values = np.sort(np.linalg.eigvalsh(covariance))[::-1].clip(0)
    assert participation_ratio(torch.from_numpy(covariance)) == pytest.approx(
        values.sum() ** 2 / (values**2).sum(), rel=1e-6
    )
    variances = principal(x).variances
    np.testing.assert_allclose(variances[0].numpy(), values, atol=1e-9)
    reached = values.cumsum() / values.sum()
    assert dimension_at(variances[0]) == next(r for r in range(1, width + 1) if reached[r - 1] >= 0.95 - 1e-9)


def test_of_a_point_and_a_ball():
    assert participation_ratio(torch.zeros(3, 3)) == 0
    assert dimension_at(torch.zeros(3)) == 0
    assert participation_ratio(torch.eye(7)) == pytest.approx(7)
    assert dimension_at(torch.ones(20)) == 19


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3), st.integers(1, 8), st.integers(0, 99))
def test_all_axes_change_nothing_beyond_rounding(groups, width, seed):
    x = sample(30, groups * width, seed)
    axes = principal(x, groups)
    for kind in (axes, axes.turned(seed)):
        assert torch.allclose(kind.projection(width)(x), x, atol=1e-5)
        assert torch.allclose(kind.projection(0)(x), axes.mean.flatten().float().expand_as(x))
        eye = torch.eye(width, dtype=torch.float64).expand(groups, -1, -1)
        assert torch.allclose(kind.basis.mT @ kind.basis, eye, atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 99))
def test_the_principal_axes_lose_what_svd_says_and_no_others_lose_less(seed):
    x = sample(40, 8, seed)
    axes = principal(x)
    singular = torch.linalg.svdvals(x.double() - x.double().mean(0))
    for kept in range(9):
        lost = float((axes.projection(kept)(x).double() - x).square().sum())
        assert lost == pytest.approx(float(singular[kept:].square().sum()), rel=1e-3, abs=1e-6)
        at_random = float((axes.turned(seed).projection(kept)(x).double() - x).square().sum())
        assert lost <= at_random * (1 + 1e-5) + 1e-6


def test_groups_are_projected_each_by_itself():
    x = sample(50, 12, 3)
    together = principal(x, 3).projection(2)(x)
    for n in range(3):
        alone = principal(x[:, 4 * n : 4 * n + 4]).projection(2)(x[:, 4 * n : 4 * n + 4])
        assert torch.allclose(together[:, 4 * n : 4 * n + 4], alone, atol=1e-5)


def test_encodings_of_a_plane_need_its_axes_only():
    x = sample(60, 9, 5, rank=3)
    axes = principal(x)
    assert torch.allclose(axes.projection(3)(x), x, atol=1e-4)
    assert not torch.allclose(axes.projection(2)(x), x, atol=1e-2)
