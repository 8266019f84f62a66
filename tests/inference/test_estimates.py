"""Figures with their replicates, medians of counts, and figures as records have them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headscope.inference.bootstrap import interval
from headscope.inference.estimates import Resampled, median_of, number, recorded


def figure(seed: int, *shape: int) -> Resampled:
    draw = np.random.default_rng(seed)
    return Resampled(draw.standard_normal(shape)[()], draw.standard_normal((*shape, 200)))


@pytest.mark.parametrize("shape", [(), (3,), (2, 4)])
def test_the_interval_of_a_difference_is_that_of_its_replicates(shape):
    one, other = figure(0, *shape), figure(1, *shape)
    apart = one - other
    np.testing.assert_array_equal(apart.value, one.value - other.value)
    low, high = interval(one.replicates - other.replicates)
    np.testing.assert_array_equal(apart.low, low)
    np.testing.assert_array_equal(apart.high, high)
    assert np.shape(apart.low) == shape


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
