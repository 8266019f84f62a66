"""Figures made of figures, replicate by replicate; sums that come a few groups at a time; medians of counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headscope.inference import estimates
from headscope.inference.bootstrap import Draws, interval, p_value
from headscope.inference.estimates import Resampled, RunningSums, median_of, number, recorded, together


def figure(seed: int, *shape: int) -> Resampled:
    draw = np.random.default_rng(seed)
    return Resampled(draw.standard_normal(shape)[()], draw.standard_normal((*shape, 200)))


@pytest.mark.parametrize("shape", [(), (3,), (2, 4)])
def test_an_interval_and_a_p_are_those_of_the_replicates(shape):
    one, other = figure(0, *shape), figure(1, *shape)
    apart = one - other
    np.testing.assert_array_equal(apart.value, one.value - other.value)
    low, high = interval(one.replicates - other.replicates)
    np.testing.assert_array_equal(apart.low, low)
    np.testing.assert_array_equal(apart.high, high)
    np.testing.assert_array_equal(apart.p, p_value(one.replicates - other.replicates))
    assert np.shape(apart.low) == shape


def test_nothing_by_nothing_is_no_number():
    found = figure(0, 2) / together(np.zeros_like, figure(0, 2))
    assert not np.isfinite(found.value).any()
    zeros = together(np.zeros_like, figure(0, 2))
    assert np.isnan((zeros / zeros).low).all()


@pytest.mark.parametrize("at_a_time", [1, 1024])
def test_sums_that_come_in_parts_are_those_of_the_whole(at_a_time, monkeypatch):
    monkeypatch.setattr(estimates, "_GROUPS", at_a_time)
    draw, draws = np.random.default_rng(0), Draws(9, seed=3, replicates=50)
    running, whole = RunningSums(draws), np.zeros((4, 9))
    for groups in ([0, 1, 2, 3], [3, 4], [5, 6, 7, 8, 0]):  # groups come again
        sums = draw.standard_normal((4, len(groups)))
        np.add.at(whole, (slice(None), groups), sums)
        running.add(np.array(groups), sums)
    np.testing.assert_allclose(running.total.value, whole.sum(1), atol=1e-12)
    np.testing.assert_allclose(running.total.replicates, whole @ draws.weights(np.arange(9)).T, atol=1e-12)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_a_median_of_counts_is_that_of_what_is_counted(counts):
    levels = np.arange(len(counts)) ** 2.0
    (found,) = median_of(levels, np.array([counts]))
    assert found == np.median(np.repeat(levels, counts)) if sum(counts) else np.isnan(found)


def test_what_is_no_number_is_none_in_a_record_and_comes_back():
    assert (number(np.nan), number(np.inf), number(np.float64(0.5))) == (None, None, 0.5)
    found = recorded(0.5, None, None)
    assert found.value == 0.5
    assert np.isnan(found.low)
    assert np.isnan(found.high)
