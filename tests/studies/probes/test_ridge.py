"""Ridge from sums: the same maps that scikit-learn fits on the samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headscope.studies.probes.ridge import Gram, Ridge

PENALTIES = [1e-3, 1.0, 50.0]


def samples(seed: int, count: int = 40, d: int = 5, m: int = 3, maps: int = 2):
    """x [sample, map, d] and y [sample, 1, m], far from centred and of unequal scales."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(count, maps, d, generator=draw, dtype=torch.float64) * torch.logspace(-1, 1, d) + 3
    y = torch.randn(count, 1, m, generator=draw, dtype=torch.float64) + x[..., :1].mean(1, keepdim=True) - 7
    return x, y


@pytest.mark.parametrize("alpha", PENALTIES)
def test_maps_are_those_of_scikit_learn(alpha):
    linear_model = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed (extra: maps)")
    x, y = samples(0)
    ridge = Ridge.of(Gram.of(x, y))
    weight = ridge.weight(torch.full((2,), alpha, dtype=torch.float64))
    for head in range(2):
        expected = linear_model.Ridge(alpha=alpha).fit(x[:, head].numpy(), y[:, 0].numpy())
        assert np.allclose(weight[head].T.numpy(), expected.coef_, atol=1e-10)
        constant = ridge.y_mean[0] - ridge.x_mean[head] @ weight[head]
        assert np.allclose(constant.numpy(), expected.intercept_, atol=1e-9)


def test_losses_are_the_squared_errors_on_other_samples():
    x, y = samples(1)
    held_x, held_y = samples(2, count=17)
    ridge = Ridge.of(Gram.of(x, y))
    alphas = torch.tensor(PENALTIES, dtype=torch.float64)[:, None].expand(-1, 2)
    found = ridge.losses(alphas, Gram.of(held_x, held_y))
    for n, alpha in enumerate(alphas):
        guess = torch.einsum("nhd,hdm->nhm", held_x - ridge.x_mean, ridge.weight(alpha)) + ridge.y_mean
        assert torch.allclose(found[n], (guess - held_y).square().sum((0, 2)), rtol=1e-10)


def test_several_kinds_of_targets_are_fitted_as_each_alone():
    x, y = samples(3)
    together = Ridge.of(Gram.of(x, torch.stack([y, y.flip(0)], 1)))
    weights = together.weight(torch.ones(2, 2, dtype=torch.float64))  # (target, map, d, m)
    for n, one in enumerate((y, y.flip(0))):
        alone = Ridge.of(Gram.of(x, one)).weight(torch.ones(2, dtype=torch.float64))
        assert torch.allclose(weights[n], alone, atol=1e-12)


def test_mean_and_covariance_are_those_of_the_samples():
    x, y = (part[:, 0] for part in samples(4))
    found = Gram.zeros(5, 3)
    for part in (slice(None, 13), slice(13, None)):
        found.add(Gram.of(x[part], y[part]))
    torch.testing.assert_close(found.x_mean, x.mean(0))
    torch.testing.assert_close(found.covariance, x.T.cov(correction=0))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 39))
def test_sums_of_parts_are_the_sums_of_all(seed, cut):
    x, y = samples(seed)
    parts, whole = Gram.sum([Gram.of(x[:cut], y[:cut]), Gram.of(x[cut:], y[cut:])]), Gram.of(x, y)
    for name, value in whole.__dict__.items():
        assert torch.allclose(getattr(parts, name), value, rtol=1e-9, atol=1e-9)
