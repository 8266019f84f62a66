"""The jackknife by group: classical laws, and what is not known of few groups."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headscope.inference.left_out import ROUNDING, Jackknifed, changed, folded, mean_by, mean_of

VALUES = st.lists(st.floats(-100, 100).map(lambda one: round(one, 3)), min_size=20, max_size=60).filter(
    lambda some: np.std(some) > 0.1
)


def mean(values: np.ndarray) -> Jackknifed[float]:
    return mean_by(np.arange(len(values)), len(values), values)


@settings(deadline=None, max_examples=50)
@given(VALUES)
def test_of_a_mean_it_is_the_classical_standard_error(some):
    values = np.array(some)
    assert mean(values).error == pytest.approx(values.std(ddof=1) / len(values) ** 0.5, rel=1e-9)


@settings(deadline=None, max_examples=50)
@given(VALUES, st.floats(0.5, 9), st.floats(-9, 9))
def test_scaling_scales_and_a_constant_moves_the_interval(some, times, more):
    one, other = mean(np.array(some)), mean(times * np.array(some) + more)
    for end in ("value", "low", "high"):
        assert getattr(other, end) == pytest.approx(times * getattr(one, end) + more, abs=1e-6)
    assert other.freedom == pytest.approx(one.freedom, rel=1e-6)
    assert other.smallest == pytest.approx(times * one.smallest, rel=1e-6)


def test_a_ratio_is_left_out_top_and_bottom():
    groups, values, counts = np.array([0, 0, 1, 2, 2]), np.arange(5.0), np.array([1.0, 2, 1, 1, 3])
    found = mean_by(groups, 3, values, counts)
    assert found.value == values.sum() / counts.sum()
    for group in range(3):
        rest = groups != group
        assert found.without[group] == values[rest].sum() / counts[rest].sum()


def test_what_is_not_known_counts_for_nothing_and_a_group_without_any_is_none():
    found = mean_by(np.array([0, 1, 2, 2]), 5, [1.0, np.nan, 3.0, 5.0])
    assert found.value == 3
    assert found.groups == 2
    assert found.without[1] == found.without[4] == 3
    assert mean_by(np.array([0, 1, 2]), 3, [1.0, np.nan, 3.0], [1, 7, 3]).value == 1  # (1 + 3) / (1 + 3)


@pytest.mark.parametrize(("groups", "interval", "p"), [(9, False, False), (10, True, False), (20, True, True)])
def test_few_groups_have_no_interval_and_no_p(groups, interval, p):
    found = mean(np.random.default_rng(0).standard_normal(groups))
    assert np.isfinite(found.low) == np.isfinite(found.high) == interval
    assert np.isfinite(found.p) == np.isfinite(found.p_above) == np.isfinite(found.smallest) == p


def test_p_has_no_floor_and_one_side_is_half_of_two():
    found = mean(1 + 0.01 * np.random.default_rng(0).standard_normal(50))
    assert 0 < found.p < 1e-20
    assert found.p_above == pytest.approx(found.p / 2)
    assert mean(-np.arange(1.0, 31)).p_above > 0.999


def test_a_difference_within_rounding_is_none_and_a_steady_one_is_sure():
    assert mean(np.full(30, ROUNDING / 10)).p > 0.5
    assert mean(np.full(30, 1.0)).p < 1e-20


def test_differences_are_paired():
    draw = np.random.default_rng(0)
    shared, own = draw.standard_normal(40), 0.1 * draw.standard_normal((2, 40))
    one, other = mean(shared + own[0]), mean(shared + own[1])
    assert (one - other).error < one.error / 4
    assert (one - other).error == pytest.approx(mean(own[0] - own[1]).error)
    assert mean_of([one, other]).error == pytest.approx(mean(shared + own.mean(0)).error)


def test_a_variance_that_hangs_on_one_group_has_few_degrees_of_freedom():
    values = np.random.default_rng(0).standard_normal(100)
    even = mean(values)
    values[0] = 100
    assert 75 < even.freedom <= 99
    assert mean(values).freedom < 15


@settings(deadline=None, max_examples=50)
@given(VALUES)
def test_the_degrees_of_freedom_are_between_those_of_the_groups_and_those_of_the_variance(some):
    values = np.array(some)
    apart, most = values - values.mean(), len(values) - 1
    hang = 3 * (apart**2).sum() ** 2 / (apart**4).sum() - 2  # as many as there are, where values are normal
    assert mean(values).freedom == pytest.approx((most * min(max(hang, 1), most)) ** 0.5, rel=1e-6)


@pytest.mark.parametrize("first", [0, 1])
def test_what_is_made_of_figures_is_of_as_many_groups_as_the_least_of_them(first):
    draw = np.random.default_rng(0)
    some = [mean_by(np.arange(groups), 30, draw.standard_normal(groups)) for groups in (30, 15)]
    found = some[first] - some[1 - first]
    assert found.groups == 15
    assert np.isfinite(found.low)
    assert np.isnan(found.p)


def test_many_figures_are_worked_out_as_each_alone():
    draw = np.random.default_rng(0)
    sums = draw.standard_normal((3, 30))
    whole = Jackknifed(sums.mean(1), (sums.sum(1, keepdims=True) - sums) / 29, 30)
    for n in range(3):
        alone = mean(sums[n])
        for name in ("error", "freedom", "low", "high", "p", "smallest"):
            assert getattr(whole, name)[n] == pytest.approx(getattr(alone, name))
    assert np.isnan(changed(lambda one: one * np.nan, whole).low).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(1001, 10**9), st.integers(0, 99))
def test_many_documents_are_folded_alike_each_time(count, seed):
    documents = np.random.default_rng(seed).integers(0, count, 500)
    found = folded(documents, count)
    assert found.min() >= 0
    assert found.max() < 1000
    assert np.array_equal(folded(documents[::-1], count)[::-1], found)


def test_folded_documents_fill_their_groups_evenly():
    counts = np.bincount(folded(np.arange(100_000), 100_000), minlength=1000)
    assert counts.min() > 50
    assert counts.max() < 200
