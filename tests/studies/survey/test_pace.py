"""What a survey's plan says of its time: what a shard takes by itself is not taken for every position anew."""

from __future__ import annotations

import pytest

from headscope.studies.survey.pace import MOST, Pace, pace


def test_the_time_of_many_texts_is_not_that_of_one_times_their_number():
    """As the demo weights take it: about a second for a shard in one layer, and 7 ms for each position."""
    positions = [20] * 200
    found = pace(lambda texts: 1.1 + 0.007 * sum(positions[:texts]), positions, trial=0.5)
    assert found.seconds(shards=6, positions=4000) == pytest.approx(6 * 1.1 + 0.007 * 4000)


def test_texts_that_take_long_are_not_measured_in_numbers():
    sizes: list[int] = []

    def slow(texts: int) -> float:
        sizes.append(texts)
        return 60.0 * texts

    assert pace(slow, [10] * 50, trial=0.5).seconds(shards=1, positions=100) == 600
    assert sizes == [1, 1]


def test_quick_ones_are_until_they_can_be_trusted():
    sizes: list[int] = []
    pace(lambda texts: sizes.append(texts) or 1e-6 * texts, [10] * 500, trial=0.5)
    assert sizes == [1, 1, 4, 8, 16, 32, MOST]


def test_a_machine_that_was_busy_for_the_first_text_gives_a_pace_of_all():
    assert Pace.through((10, 9.0), (40, 2.0)).seconds(shards=3, positions=80) == 4
