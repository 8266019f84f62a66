"""A figure against untrained twins: the three parts of its error, and their degrees of freedom, written out."""

from __future__ import annotations

from statistics import mean, variance

import numpy as np
import pytest

from headscope.inference.studentised import Studentised
from headscope.inference.twins import FEWEST_TWINS, with_seeds

OF_TEXTS = Studentised(0.4, 0.05, 25.0, 30)


@pytest.mark.parametrize("heads", [1, 2, 12])
def test_the_error_knows_of_texts_of_networks_and_of_heads(heads):
    twins = (0.1 * np.random.default_rng(heads).standard_normal((6, heads))).tolist()
    # One more network lies about the mean of six; what the means of heads vary by is in the first of these already.
    networks = variance(mean(of_seed) for of_seed in twins) * (1 + 1 / 6)
    of_heads = mean(variance(of_seed) for of_seed in twins) * (1 - 1 / heads) if heads > 1 else 0.0
    found = with_seeds(OF_TEXTS, twins)
    assert found.value == OF_TEXTS.value
    assert found.error == pytest.approx((0.05**2 + networks + of_heads) ** 0.5)
    weighed = 0.05**4 / 25 + networks**2 / 5 + (of_heads**2 / (6 * (heads - 1)) if heads > 1 else 0.0)
    assert found.freedom == pytest.approx(found.error**4 / weighed)


def test_too_few_twins_tell_nothing():
    found = with_seeds(OF_TEXTS, [[0.0]] * (FEWEST_TWINS - 1))
    assert found.value == OF_TEXTS.value
    assert np.isnan([found.low, found.p]).all()
