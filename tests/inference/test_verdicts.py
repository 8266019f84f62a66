"""q, verdicts and rulings: every side of each rule, and what is not known."""

from __future__ import annotations

import numpy as np
import pytest

from headscope.inference.estimates import Estimate
from headscope.inference.verdicts import (
    above,
    below,
    conclusions,
    corrected,
    within,
)

UNKNOWN = Estimate(0.3, np.nan, np.nan)


def between(low: float, high: float) -> Estimate[float]:
    return Estimate((low + high) / 2, low, high)


def test_where_no_p_is_known_no_q_is():
    assert np.isnan(corrected(np.full(3, np.nan))).all()


def concluded(difference: float, reach: float, q: float, chance: float = 0.1, rate: bool = False) -> tuple[str, bool]:
    found = conclusions(
        *(np.array([one]) for one in (difference, difference - reach, difference + reach, q, chance, rate))
    )
    return found.verdicts[0], bool(found.small[0])


def test_a_difference_is_above_or_below_where_q_is_low_whatever_its_size():
    assert concluded(0.1, 0.05, 0.05) == ("above", False)
    assert concluded(-0.1, 0.05, 0.05) == ("below", False)
    assert concluded(0.1, 0.05, 0.051) == ("undetermined", False)
    assert concluded(0.005, 0.004, 0.01) == ("above", True)
    assert concluded(-0.005, 0.004, 0.01) == ("below", True)


def test_a_rate_of_twice_its_chance_is_not_small():
    assert concluded(0.011, 0.005, 0.001, chance=0.002, rate=True) == ("above", False)
    assert concluded(0.011, 0.005, 0.001, chance=0.002, rate=False) == ("above", True)
    assert concluded(0.011, 0.005, 0.001, chance=0.1, rate=True) == ("above", True)


def test_at_chance_takes_an_interval_about_0_within_the_margin_and_a_rate_s_near_its_chance():
    assert concluded(0.0, 0.01, 0.9) == ("at chance", False)
    assert concluded(0.0, 0.021, 0.9) == ("undetermined", False)
    assert concluded(0.01, 0.005, 0.2)[0] == "undetermined"  # the interval does not include 0
    assert concluded(0.0, 0.004, 0.9, chance=0.01, rate=True)[0] == "at chance"
    assert concluded(0.0, 0.006, 0.9, chance=0.01, rate=True)[0] == "undetermined"  # perhaps under half of it
    assert concluded(0.006, 0.007, 0.9, chance=0.01, rate=True)[0] == "undetermined"  # perhaps over twice
    assert concluded(0.0, 0.0, np.nan, chance=0.0, rate=True)[0] == "undetermined"  # 0 has no ratio


def test_nothing_is_concluded_of_what_is_not_known():
    assert concluded(np.nan, np.nan, np.nan) == ("undetermined", False)
    assert concluded(0.0, 0.01, np.nan) == ("at chance", False)  # an interval, but too few groups for a q


@pytest.mark.parametrize(
    ("figure", "conditions"),
    [
        (between(0.1, 0.2), (True, False, False)),
        (between(-0.2, -0.1), (False, True, False)),
        (between(-0.01, 0.01), (None, None, True)),
        (between(-0.5, 0.5), (None, None, None)),
        (UNKNOWN, (None, None, None)),
    ],
)
def test_a_condition_is_decided_by_the_whole_interval(figure, conditions):
    assert tuple(asked(figure) for asked in (above, below, within)) == conditions
