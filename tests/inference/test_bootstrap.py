"""Draws of groups, and intervals."""

from __future__ import annotations

import numpy as np
import pytest

from headscope.inference import bootstrap
from headscope.inference.bootstrap import Draws, interval, spread


def test_draws_are_those_of_a_bootstrap():
    draws = Draws(3000, seed=1, replicates=400)
    weights = draws.weights(np.arange(3000))
    assert (weights.sum(1) == 3000).all()
    assert weights.mean() == 1
    assert weights.var() == pytest.approx(1 - 1 / 3000, rel=0.01)
    assert np.array_equal(draws.weights(np.array([2500, 7])), weights[:, [2500, 7]])
    assert np.array_equal(Draws(3000, seed=1, replicates=400).weights(np.arange(3000)), weights)


def test_groups_of_different_blocks_are_drawn_apart():
    weights = Draws(2 * bootstrap._BLOCK, seed=1, replicates=400).weights(np.arange(2 * bootstrap._BLOCK))
    one, other = (weights[:, half].ravel() for half in (slice(bootstrap._BLOCK), slice(bootstrap._BLOCK, None)))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.01


def test_an_interval_leaves_out_replicates_without_a_value():
    replicates = np.arange(1600.0)
    replicates[::2] = np.nan
    assert [float(end) for end in interval(replicates)] == [41, 1559]


@pytest.mark.parametrize("groups", [1, 70, 300])
def test_the_blocks_are_the_weights_of_all_groups(groups, monkeypatch):
    monkeypatch.setattr(bootstrap, "_BLOCK", 64)
    draws = Draws(groups, seed=2, replicates=150)
    assert np.array_equal(np.concatenate(list(draws.blocks())), draws.weights(np.arange(groups)))


def test_one_group_tells_nothing_of_a_spread():
    assert np.isnan(spread(np.ones((2, 5)), 1)).all()
    assert (spread(np.ones((2, 5)), 2) == 1).all()
