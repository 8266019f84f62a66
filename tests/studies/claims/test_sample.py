"""Means, correlations and medians of tokens, and their intervals by the groups that tokens belong to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from headscope.inference.left_out import Jackknifed
from headscope.studies.claims.sample import Sample, rise, slope

GROUPS = 30
DRAW = np.random.default_rng(0)
OF = DRAW.integers(0, GROUPS, 400)
ONE = np.round(DRAW.standard_normal(400), 1)  # with ties
OTHER = ONE + DRAW.standard_normal(400)
ONE[::50] = np.nan
SAMPLE = Sample(OF, GROUPS)


def test_a_mean_without_a_group_is_that_of_the_other_tokens():
    found = SAMPLE.mean(ONE)
    assert found.value == pytest.approx(np.nanmean(ONE))
    assert found.without.tolist() == pytest.approx([np.nanmean(ONE[group != OF]) for group in range(GROUPS)])


def test_outputs_that_a_document_lent_are_gone_with_it():
    values = DRAW.standard_normal((400, 3))
    counts = (DRAW.random((400, 3)) < 0.8).astype(float)
    lenders = DRAW.integers(0, GROUPS, (400, 3))
    found = SAMPLE.lent(values * counts, counts, lenders)
    assert found.value == pytest.approx((values * counts).sum() / counts.sum())
    for group in range(GROUPS):
        left = counts * ((group != OF)[:, None] & (lenders != group))
        assert found.without[group] == pytest.approx((values * left).sum() / left.sum())


def test_a_correlation_is_spearmans_ranked_anew_without_each_group():
    known = ~np.isnan(ONE)
    found = SAMPLE.correlation(ONE, OTHER)
    assert found.value == pytest.approx(stats.spearmanr(ONE[known], OTHER[known]).statistic)
    for group in range(GROUPS):
        left = known & (group != OF)
        assert found.without[group] == pytest.approx(stats.spearmanr(ONE[left], OTHER[left]).statistic)


def test_what_is_the_same_everywhere_correlates_with_nothing():
    found = SAMPLE.correlation(np.ones(400), OTHER)
    assert np.isnan(found.value)
    assert np.isnan(found.low)


def test_fewer_than_ten_groups_have_no_interval():
    few = Sample(OF % 9, 9)
    for figure in (few.mean(ONE), few.median(ONE), few.correlation(ONE, OTHER)):
        assert np.isfinite(figure.value)
        assert np.isnan(figure.low)
    assert np.isfinite(SAMPLE.median(ONE).low)


def test_groups_that_hold_nothing_of_a_figure_do_not_count():
    assert SAMPLE.mean(np.where(OF < 9, ONE, np.nan)).groups == 9


def test_many_documents_are_put_together():
    assert len(Sample.of(np.arange(5000), 5000, 0).mean(np.ones(5000)).without) == 1000


def test_a_slope_is_that_of_least_squares():
    parts = [Jackknifed(x, np.full(GROUPS, x), GROUPS) for x in (1.0, 4.0, 3.0, 9.0)]
    assert slope(parts).value == pytest.approx(np.polyfit(range(4), [1, 4, 3, 9], 1)[0])
    assert rise(parts).value == pytest.approx(3 * slope(parts).value)
