"""S8 on figures that were written down: Own over even attention, and the recovery of the own token over its control."""

from __future__ import annotations

import numpy as np
import pytest

from headscope.errors import InputError
from headscope.inference.left_out import Jackknifed
from headscope.studies.claims.linear import linked
from headscope.studies.claims.maps import Maps, Recovered
from tests.studies.claims.figures import GROUPS, figure


class Kept:
    """A survey's figures without each group, written down: Own over even attention at the layers from 1 on."""

    def __init__(self, own: list[Jackknifed]) -> None:
        self.layers, self._own = 1 + len(own), own

    def kept(self, statistic: str, reference: str, layer: int) -> Jackknifed:
        assert statistic == "own_over_even"
        return self._own[layer - 1]


def recovered(one: Jackknifed) -> Recovered:
    """By documents, and by five token types that make no difference."""
    return Recovered(one.told, np.concatenate([one.influences, np.zeros(5)]))


def claim(own: list[float], recovery: list[float] | None, error: float = 0.005, groups: int = GROUPS) -> str:
    draw = np.random.default_rng(0)
    survey = Kept([figure(one, error, draw, groups) for one in own])
    found = (
        InputError("too few texts")
        if recovery is None
        else Maps([], [recovered(figure(x, error, draw, groups)) for x in recovery])
    )
    return linked(survey, "right", "layer", found).ruling


@pytest.mark.parametrize(
    ("own", "recovery", "ruling"),
    [
        ([0.0, 0.001, -0.001], [0.5, 0.0, 0.001, 0.0], "holds"),  # layer 0's recovery is not asked
        ([0.0, 0.1, 0.0], [0.0, 0.0, 0.0, 0.0], "contradicted"),
        ([0.0, 0.0, 0.0], [0.0, 0.0, 0.1, 0.0], "contradicted"),
        ([-0.1, -0.2, -0.1], [0.0, 0.0, 0.0, 0.0], "undetermined"),  # less than even attention has is no link
        ([0.01, 0.01, 0.01], [0.0, 0.0, 0.0, 0.0], "undetermined"),  # two standard errors, three times: not surely any
        ([0.0, 0.0, 0.0], None, "undetermined"),  # Own alone does not bear it out,
        ([0.0, 0.1, 0.0], None, "contradicted"),  # and can contradict it
    ],
)
def test_later_outputs_are_linked_where_either_figure_is_surely_above(own, recovery, ruling):
    assert claim(own, recovery) == ruling


def test_one_of_thirty_layers_at_two_standard_errors_contradicts_nothing():
    assert claim([0.0] * 29 + [0.011], [0.0] * 31) == "undetermined"


def test_wide_intervals_leave_it_open():
    assert claim([0.0] * 3, [0.0] * 4, error=0.02) == "undetermined"


def test_few_groups_leave_it_open():
    assert claim([0.5] * 3, [0.5] * 4, groups=12) == "undetermined"


@pytest.mark.simulation(cases=1)
@pytest.mark.parametrize("layers", [6, 12, 30])
def test_where_nothing_is_linked_it_is_contradicted_in_at_most_a_twentieth_of_runs(layers):
    """Neighbouring layers go together, as they do in models; groups are uneven."""
    draw, runs, wrong = np.random.default_rng(layers), 400, 0
    for _ in range(runs):
        common = draw.standard_normal((2, 1, GROUPS))
        noise = (0.7 * common + draw.standard_normal((2, layers, GROUPS))) * draw.gamma(2, 0.5, GROUPS)
        figures = [
            Jackknifed(one.mean(), (one.sum() - one) / (GROUPS - 1), GROUPS) for one in noise.reshape(-1, GROUPS)
        ]
        found = linked(
            Kept(figures[1:layers]), "right", "layer", Maps([], [recovered(one) for one in figures[layers:]])
        )
        wrong += found.ruling == "contradicted"
    assert wrong / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_a_model_of_one_layer_has_no_later_ones():
    assert linked(Kept([]), "right", "layer", Maps([], [])).ruling == "not applicable"
