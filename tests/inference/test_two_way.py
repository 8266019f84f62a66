"""Figures of samples crossed in text and type: which variance counts."""

from __future__ import annotations

import numpy as np
import pytest

from headscope.inference.left_out import Jackknifed
from headscope.inference.two_way import TwoWay


def crossed(values: np.ndarray) -> TwoWay[float]:
    """The mean of values [text, type]."""

    def left_out(sums: np.ndarray) -> Jackknifed[float]:
        rest = values.size - values.size / len(sums)
        return Jackknifed(float(values.mean()), (values.sum() - sums) / rest, len(sums))

    return TwoWay(left_out(values.sum(1)), left_out(values.sum(0)), left_out(values.ravel()))


@pytest.mark.parametrize("by_text", [True, False])
def test_where_one_factor_makes_all_the_difference_its_error_is_the_figure_s(by_text):
    of_factor = np.random.default_rng(0).standard_normal(25)[:, None] + np.zeros((25, 25))
    found = crossed(of_factor if by_text else of_factor.T).told
    assert found.error == pytest.approx(of_factor[:, 0].std(ddof=1) / 5, rel=0.03)


def test_where_both_factors_make_a_difference_the_error_has_both():
    draw = np.random.default_rng(4)
    values = draw.standard_normal((12, 1)) + draw.standard_normal((1, 25)) + draw.standard_normal((12, 25))
    by_text, by_type = (values.mean(axis).var(ddof=1) / values.shape[1 - axis] for axis in (1, 0))
    by_both = values.var(ddof=1) / values.size
    told = crossed(values).told
    assert told.error == pytest.approx((by_text + by_type - by_both) ** 0.5)
    assert told.error > 1.1 * max(by_text, by_type) ** 0.5
    assert told.groups == 12


def test_the_error_is_never_below_that_of_either_factor():
    draw = np.random.default_rng(1)
    for _ in range(20):
        found = crossed(draw.standard_normal((15, 30)))
        assert found.told.error >= max(found.texts.error, found.types.error)


def test_the_scarcer_factor_decides_whether_there_is_an_interval():
    draw = np.random.default_rng(2)
    assert np.isnan(crossed(draw.standard_normal((9, 40))).told.low)
    assert np.isfinite(crossed(draw.standard_normal((10, 40))).told.low)


def test_a_difference_is_paired_in_both_factors():
    values = np.random.default_rng(3).standard_normal((20, 20))
    apart = crossed(values + 1) - crossed(values)
    assert apart.told.value == pytest.approx(1)
    assert apart.told.error < 1e-5
    assert apart.influences.shape == (40,)
