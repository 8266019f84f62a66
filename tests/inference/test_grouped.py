"""Means, medians and slopes by group: the plain formula in every replicate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headscope.inference.bootstrap import Draws, interval
from headscope.inference.estimates import Resampled, rise
from headscope.inference.grouped import Grouped


def test_a_median_is_that_of_the_drawn_tokens():
    draw = np.random.default_rng(0)
    groups, values = draw.integers(0, 6, 40), draw.integers(0, 9, 40).astype(float)
    values[::7] = np.nan
    sample = Grouped(groups, Draws(6, seed=4, replicates=50))
    found = sample.median(values)
    weights = Draws(6, seed=4, replicates=50).weights(np.arange(6)).astype(int)
    known = ~np.isnan(values)
    for replicate, weight in zip(found.replicates, weights, strict=True):
        assert replicate == np.median(np.repeat(values[known], weight[groups[known]]))
    assert found.value == np.median(values[known])
    assert (found.low, found.high) == tuple(float(end) for end in interval(found.replicates))


def test_one_group_has_no_interval():
    sample = Grouped(np.zeros(5, dtype=int), Draws(1, seed=0, replicates=10))
    for found in (sample.mean(np.arange(5.0)), sample.median(np.arange(5.0))):
        assert found.value == 2
        assert np.isnan(found.low)
        assert np.isnan(found.high)


def test_a_rise_is_the_least_squares_line_from_end_to_end():
    values = np.array([0.3, 0.1, 0.9, 0.4])
    found = rise([Resampled(value, np.full(3, value)) for value in values])
    assert found.value == pytest.approx(np.polyfit(range(4), values, 1)[0] * 3)
    assert found.replicates == pytest.approx(np.full(3, found.value))


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 12), st.integers(1, 40), st.integers(0, 99))
def test_a_mean_is_the_ratio_of_what_is_drawn(groups, tokens, seed):
    draw = np.random.default_rng(seed)
    labels, values = draw.integers(0, groups, tokens) * 7, draw.standard_normal(tokens)
    counts = draw.integers(0, 4, tokens).astype(float)
    values[draw.random(tokens) < 0.2] = np.nan
    grouped = Grouped.of(labels.tolist(), seed)
    found = grouped.mean(values * counts, counts)
    known, which = ~np.isnan(values), np.unique(labels, return_inverse=True)[1]
    weights = Draws(which.max() + 1, seed).weights(np.arange(which.max() + 1))[:, which] * known * counts
    with np.errstate(invalid="ignore"):
        expected = (weights @ np.where(known, values, 0)) / weights.sum(1)
        whole = (np.where(known, values, 0) * counts).sum() / (counts * known).sum()
    if which.max() == 0:
        expected[:] = np.nan
    np.testing.assert_allclose(found.replicates, expected, atol=1e-12)
    np.testing.assert_allclose(found.value, whole, atol=1e-12)


def test_some_of_the_tokens_are_resampled_by_the_same_draws():
    labels, values = [0, 0, 1, 2, 2, 3], np.arange(6.0)
    grouped = Grouped.of(labels, seed=1)
    here = [1, 2, 5]
    masked = np.where(np.isin(np.arange(6), here), values, np.nan)
    np.testing.assert_array_equal(grouped.only(here).mean(values[here]).replicates, grouped.mean(masked).replicates)
