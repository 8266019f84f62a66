"""One level for several figures: alone, alike and apart."""

from __future__ import annotations

import numpy as np
import pytest

from headscope.inference.left_out import mean_by
from headscope.inference.max_t import together
from headscope.inference.studentised import Studentised


def figures(values: np.ndarray):
    """Means of values [figure, group], and their influences."""
    found = [mean_by(np.arange(values.shape[1]), values.shape[1], row) for row in values]
    return [one.told for one in found], np.stack([one.influences for one in found])


def test_figures_that_do_not_share_anything_cost_as_many_as_they_are():
    told, moved = figures(np.random.default_rng(0).standard_normal((10, 200)) + 0.15)
    found = together(told, moved)
    alone = np.array([one.p_above for one in told])
    assert found.p_above == pytest.approx(1 - (1 - alone) ** 10, abs=0.06)
    assert (found.p_above >= alone).all()
    assert (found.p_above <= 15 * alone).all()  # more than ten: the degrees of freedom are the least of all


def test_the_intervals_are_wider_than_each_alone_and_no_wider_than_bonferroni_s():
    told, moved = figures(np.random.default_rng(1).standard_normal((10, 200)))
    found = together(told, moved)
    width, alone = found.high - found.low, np.array([one.high - one.low for one in told])
    assert (width > 1.2 * alone).all()
    assert (width < 1.5 * alone).all()


def test_what_is_sure_stays_sure_and_has_no_floor():
    told, moved = figures(1 + 0.1 * np.random.default_rng(2).standard_normal((3, 60)))
    assert (together(told, moved).p_above < 1e-20).all()


def test_a_figure_of_few_groups_is_left_out_and_the_others_pay_nothing_for_it():
    values = np.random.default_rng(3).standard_normal((1, 40))
    told, moved = figures(values)
    few = mean_by(np.arange(9), 9, values[0, :9]).told
    found = together([*told, few], np.concatenate([moved, moved]))
    assert np.isnan(found.p_above[1])
    assert np.isnan(found.low[1])
    assert found.p_above[0] == pytest.approx(told[0].p_above, abs=0.02)


@pytest.mark.parametrize("freedoms", [(6.0, 29.0, 29.0), (29.0, 29.0, 6.0)])
def test_all_have_the_least_degrees_of_freedom(freedoms):
    moved = np.random.default_rng(4).standard_normal((3, 30))
    found, least = (
        together(
            [Studentised(value, 0.1, freedom, 30) for value, freedom in zip((0.1, 0.2, 0.3), of, strict=True)], moved
        )
        for of in (freedoms, (6.0,) * 3)
    )
    for end in ("p_above", "low", "high"):
        assert getattr(found, end) == pytest.approx(getattr(least, end))
