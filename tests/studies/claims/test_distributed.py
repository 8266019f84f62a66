"""S9 on figures that were written down, and by simulation: every map at once, and against untrained twins."""

from __future__ import annotations

import numpy as np
import pytest

from headscope import Scope
from headscope.inference.left_out import Jackknifed
from headscope.inference.twins import with_seeds
from headscope.studies.claims.distributed import distributed
from headscope.studies.claims.maps import Maps, Recovered, TokenRecovery
from headscope.studies.claims.run import ClaimsAsked, settle
from tests.studies.claims.figures import GROUPS, figure
from tests.studies.survey.corpora import sentences, written


def fitted(
    place: str,
    layer: int,
    offset: int,
    over: Jackknifed,
    twins: float | None = 0.0,
    samples: int = 200,
) -> TokenRecovery:
    """A map whose untrained twins recover `twins` over their control, more or less; None: they were not asked."""
    seeds = None if twins is None else [[twins + apart] for apart in (-0.01, -0.005, 0.0, 0.005, 0.01)]
    beyond = None
    if seeds is not None:
        beyond = with_seeds(Jackknifed(over.value - twins, over.without - twins, over.groups).told, seeds)
    return TokenRecovery(place, layer, offset, samples, over.value, 0.0, Recovered(over.told, over.influences), beyond)


def ruled(*rows: tuple[str, int, int, float], twins: float | None = 0.0, error: float = 0.01, samples: int = 200):
    draw = np.random.default_rng(0)
    maps = [fitted(*row[:3], figure(row[3], error, draw), twins, samples) for row in rows]
    return distributed(Maps(maps, [])).ruling


def test_it_holds_where_every_map_is_above_control_and_twins():
    everywhere = (("z", 0, 1, 0.2), ("z", 1, -8, 0.2), ("residual", 1, -1, 0.2))
    assert ruled(*everywhere) == "holds"
    # What block 0 gets, and the own position, are not asked.
    assert ruled(*everywhere, ("residual", 0, 1, 0.0), ("z", 0, 0, 0.0)) == "holds"


def test_what_untrained_twins_recover_as_well_says_nothing_of_training():
    everywhere = (("z", 0, 1, 0.2), ("z", 1, -8, 0.2))
    assert ruled(*everywhere, twins=0.2) == "undetermined"
    assert ruled(*everywhere, twins=0.3) == "undetermined"
    assert ruled(*everywhere, twins=None) == "undetermined"


def test_a_map_that_surely_recovers_nothing_contradicts_it():
    assert ruled(("z", 0, 1, 0.2), ("residual", 1, -1, -0.02), error=0.005) == "contradicted"
    assert ruled(("z", 0, 1, 0.2), ("residual", 1, -1, 0.0), error=0.05) == "undetermined"
    # Of 20 samples one is more than the margin.
    assert ruled(("z", 0, 1, 0.2), ("residual", 1, -1, -0.02), error=0.005, samples=20) == "undetermined"


def test_of_many_maps_one_at_two_standard_errors_below_the_margin_contradicts_nothing():
    rows = [("z", layer, offset, 0.2) for layer in range(12) for offset in (-8, -4, -2, -1, 1, 2, 4, 8)]
    alone = ("residual", 1, 1, -0.002)
    assert ruled(alone, error=0.01) == "contradicted"
    assert ruled(*rows, alone, error=0.01) == "undetermined"


@pytest.mark.long
@pytest.mark.parametrize("layers", [6, 12])
def test_maps_that_all_recover_a_little_more_than_the_margin_are_wrongly_denied_in_a_twentieth_of_runs(layers):
    """All true values lie just above the margin: every contradiction is wrong. Neighbouring maps go together."""
    draw, runs, wrong, alone = np.random.default_rng(layers), 300, 0, 0
    places = [(place, layer, offset) for place in ("z", "residual") for layer in range(1, layers)
              for offset in (-8, -4, -2, -1, 1, 2, 4, 8)]  # fmt: skip
    for _ in range(runs):
        common = draw.standard_normal((1, GROUPS))
        noise = (0.7 * common + draw.standard_normal((len(places), GROUPS))) * draw.gamma(2, 0.5, GROUPS) * 0.05
        values = [0.0201 + one for one in noise]
        figures = [Jackknifed(one.mean(), (one.sum() - one) / (GROUPS - 1), GROUPS) for one in values]
        maps = [fitted(*place, one, None) for place, one in zip(places, figures, strict=True)]
        wrong += distributed(Maps(maps, [])).ruling == "contradicted"
        alone += any(one.high <= 0.02 for one in figures)
    print(f"{layers} layers: contradicted {wrong / runs:.3f}, by intervals one by one {alone / runs:.3f}")
    assert wrong / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
    assert alone > wrong


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("name", ["bert", pytest.param("llama", marks=pytest.mark.slow)])
def test_of_an_untrained_model_it_does_not_hold(name, scope_of, tmp_path):
    scope: Scope = scope_of(name).randomised(77)
    path = written(tmp_path / "t.txt", sentences(40, seed=4, least=10, most=16))
    found = settle(scope, ClaimsAsked(texts=(path,)), tmp_path / "out")
    one = found.of("S9")[0]
    assert one.ruling != "holds"
    assert "are above those of untrained twins" in one.found
    over = [row for row in one.figures if row["over_twins"] is not None]
    assert len(over) == 4 * (scope.card.layers + scope.card.layers)
    # An interval for one more untrained network: few of many are wrong.
    assert sum(row["over_twins_low"] > 0 for row in over) <= len(over) // 8
