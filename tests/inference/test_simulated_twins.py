"""A figure against untrained twins: coverage where the model is one more network of their kind, and false claims."""

from __future__ import annotations

import numpy as np
import pytest

from headscope.inference.left_out import Jackknifed
from headscope.inference.twins import FEWEST_TWINS, with_seeds
from headscope.inference.verdicts import RATE
from tests.inference.simulated import BEST, lengths

pytestmark = pytest.mark.simulation
RUNS, HEADS = 2000, 12
TEXTS = 0.5  # what a text adds, where a token's own part is 1 and a text of the usual length has about as many as one
EFFECTS = {"of none": (0.0, 0.0), "of heads": (0.0, 0.3), "of seeds": (0.3, 0.0), "of both": (0.3, 0.3)}


@pytest.mark.simulation(cases=4)
@pytest.mark.parametrize("effects", EFFECTS)
@pytest.mark.parametrize("heads", [HEADS, 1])  # 1: the mean over a layer's heads
@pytest.mark.parametrize("documents", [10, 30, 100, 300])
def test_one_more_untrained_network_lies_within_the_interval(effects, heads, documents):
    of_seed, of_head = EFFECTS[effects]
    draw = np.random.default_rng([13, heads, documents])
    networks = FEWEST_TWINS + 1  # the last is held against the others
    found, values = [], []
    for _ in range(RUNS):
        true = of_seed * draw.standard_normal((networks, 1)) + of_head * draw.standard_normal((networks, HEADS))
        true = true if heads > 1 else true.mean(1, keepdims=True)
        tokens = lengths(draw, documents)
        noise = TEXTS * draw.standard_normal((networks, heads, documents))
        noise = noise + draw.standard_normal(noise.shape) / np.sqrt(tokens / 20)
        figures = true[..., None] + noise  # (network, head, document)
        apart = (figures[-1, 0] - figures[:-1].mean((0, 1))) * tokens
        total, count = apart.sum(), tokens.sum()
        difference = Jackknifed(float(total / count), (total - apart) / (count - tokens), documents)
        twins = (figures[:-1] * tokens).sum(-1) / count
        found.append(with_seeds(difference.told, twins.tolist()))
        values.append(difference.value)
    coverage = float(np.mean([one.low <= 0 <= one.high for one in found]))
    width = float(np.mean([one.high - one.low for one in found]) / (BEST * np.std(values)))
    above = float(np.mean([one.p_above <= RATE for one in found]))
    kind = "a head" if heads > 1 else "a layer's mean"
    print(f"\n| {kind}, effects {effects} | {documents} | {coverage:.3f}, {width:.2f}, {above:.3f} |")
    assert coverage >= 0.92
    if documents >= 30:
        assert above <= RATE + 3 * np.sqrt(RATE * (1 - RATE) / RUNS)
