"""Many heads at once: false discoveries where nothing is there, and what is found of what is; S8's one level."""

from __future__ import annotations

import numpy as np
import pytest

from headscope.inference.max_t import together
from headscope.inference.studentised import Studentised
from headscope.inference.verdicts import RATE, corrected
from tests.inference.simulated import lengths, ratio

pytestmark = pytest.mark.simulation
ALIKE, EFFECT = 0.3, 0.3  # correlation of the heads of a text; what a text adds, where a token's own part is 1


def heads(draw: np.random.Generator, runs: int, count: int, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums of heads [run, head, group] by document, of figures that are 0, and tokens [run, 1, group]."""
    tokens = lengths(draw, runs, 1, groups)
    shared, own = draw.standard_normal((runs, 1, groups)), draw.standard_normal((runs, count, groups))
    effect = np.sqrt(ALIKE) * shared + np.sqrt(1 - ALIKE) * own
    return tokens * EFFECT * effect + np.sqrt(tokens) * draw.standard_normal(effect.shape), tokens


@pytest.mark.simulation(cases=3)
@pytest.mark.parametrize("groups", [30, 100, 300])
@pytest.mark.parametrize("count", [72, 144, 384])
def test_false_discoveries_among_heads_that_are_all_at_chance(count, groups):
    draw = np.random.default_rng([5, count, groups])
    runs, at_once = (1600, 50) if count < 384 else (1000, 25)
    false = [
        (corrected(p) <= RATE).any()
        for _ in range(runs // at_once)
        for p in ratio(*heads(draw, at_once, count, groups)).p
    ]
    rate = float(np.mean(false))
    print(f"\n| {count} | {groups} | {rate:.3f} |")
    # Of 30 documents it is .096 to .104; with a normal deviate for t, .22 (72 heads) to .36 (384).
    assert rate <= (0.12 if groups < 100 else RATE + 2 * np.sqrt(RATE * (1 - RATE) / runs))


def test_two_heads_of_five_standard_errors_are_found_among_384():
    draw, groups = np.random.default_rng(6), 100
    error = ratio(*heads(draw, 100, 40, groups)).value.std()
    found = []
    for _ in range(24):
        sums, tokens = heads(draw, 25, 384, groups)
        sums[:, :2] += 5 * error * tokens
        found += [corrected(p)[:2] <= RATE for p in ratio(sums, tokens).p]
    share = np.mean(found, 0)
    print(f"\n| two of 384 at five standard errors, 100 documents | {share.round(3).tolist()} |")
    assert (share >= 0.8 - 0.016).all()  # less a Monte Carlo standard error


@pytest.mark.simulation(cases=1)
@pytest.mark.parametrize("groups", [30, 100])
@pytest.mark.parametrize("layers", [6, 12, 30])
def test_two_null_statistics_of_every_layer_are_rarely_taken_for_a_link(layers, groups):
    """S8 looks at two statistics in every layer above 0, at one level."""
    draw, runs = np.random.default_rng([7, layers, groups]), 600
    count = 2 * (layers - 1)
    found = ratio(*heads(draw, runs, count, groups))
    wrong, held = [], []
    for run in range(runs):
        alone = [
            Studentised(*(float(of[run, n]) for of in (found.value, found.error, found.freedom)), groups)
            for n in range(count)
        ]
        at_once = together(alone, found.influences[run])
        wrong.append((at_once.p_above <= RATE).any())
        held.append(((at_once.low <= 0) & (at_once.high >= 0)).all())
    print(f"\n| {layers} | {groups} | {np.mean(wrong):.3f} | {np.mean(held):.3f} |")
    assert np.mean(wrong) <= RATE + 2 * np.sqrt(RATE * (1 - RATE) / runs)
    assert np.mean(held) >= 0.93
