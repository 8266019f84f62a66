"""Medians by group: the plain formula in every replicate."""

from __future__ import annotations

import numpy as np

from headscope.inference.bootstrap import Draws, interval
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
    found = Grouped(np.zeros(5, dtype=int), Draws(1, seed=0, replicates=10)).median(np.arange(5.0))
    assert found.value == 2
    assert np.isnan(found.low)
    assert np.isnan(found.high)
