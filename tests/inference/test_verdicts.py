"""q, verdicts and rulings: every side of each rule, and what is not known."""

from __future__ import annotations

import numpy as np
import pytest

from headscope.inference.estimates import Estimate
from headscope.inference.verdicts import (
    above,
    at_chance,
    below,
    corrected,
    includes,
    not_above,
    verdicts,
    within,
)

UNKNOWN = Estimate(0.3, np.nan, np.nan)


def between(low: float, high: float) -> Estimate[float]:
    return Estimate((low + high) / 2, low, high)


def test_where_no_p_is_known_no_q_is():
    assert np.isnan(corrected(np.full(3, np.nan))).all()


def test_a_verdict_takes_an_interval_off_0_and_a_low_q():
    low, high = np.array([0.1, -0.2, 0.1, -0.1, np.nan]), np.array([0.2, -0.1, 0.2, 0.1, np.nan])
    q = np.array([0.05, 0.05, 0.051, 0.01, 0.01])
    found = verdicts(low, high, q, np.zeros(5, dtype=bool))
    assert found == ["above", "below", "undetermined", "undetermined", "undetermined"]
    assert verdicts(low, high, q, np.ones(5, dtype=bool)) == ["at chance"] * 5


@pytest.mark.parametrize(
    ("figure", "conditions"),
    [
        (between(0.1, 0.2), (True, False, False, False, False)),
        (between(-0.2, -0.1), (False, True, False, False, True)),
        (between(-0.01, 0.01), (None, None, True, True, True)),
        (between(-0.5, 0.5), (None, None, None, True, True)),
        (UNKNOWN, (None, None, None, None, None)),
    ],
)
def test_a_condition_is_decided_by_the_whole_interval(figure, conditions):
    assert tuple(asked(figure) for asked in (above, below, within, includes, not_above)) == conditions


def test_at_chance_is_the_interval_s_word_before_the_verdict_s():
    assert at_chance(between(-0.01, 0.01), "undetermined") is True
    assert at_chance(between(-0.05, 0.05), "undetermined") is None
    assert at_chance(between(0.1, 0.2), "above") is False
    assert at_chance(UNKNOWN, "undetermined") is None
