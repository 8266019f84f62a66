"""The bootstrap of two factors: a sample counts as often as the product of its levels' draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headscope.inference import crossed as module
from headscope.inference.bootstrap import REPLICATES, Draws
from headscope.inference.crossed import crossed
from headscope.inference.jackknife import variance


@pytest.mark.parametrize("at_a_time", [1, 2**22])
def test_sums_are_weighted_by_both_factors(at_a_time, monkeypatch):
    monkeypatch.setattr(module, "_WEIGHTS", at_a_time)
    draw = np.random.default_rng(0)
    sums, texts, types = torch.from_numpy(draw.random((12, 2, 3))), np.arange(12) % 4, np.arange(12) % 5
    found = crossed(sums, (torch.from_numpy(texts), torch.from_numpy(types)), seed=6)
    by_text, by_type = (Draws(n, seed).weights(np.arange(n)) for n, seed in ((4, 6), (5, 7)))
    assert found.shape == (REPLICATES, 2, 3)
    for replicate in (0, 17, REPLICATES - 1):
        weights = torch.from_numpy(by_text[replicate][texts] * by_type[replicate][types])
        torch.testing.assert_close(found[replicate], (sums * weights[:, None, None]).sum(0))


def test_the_jackknife_of_a_mean_is_the_variance_of_the_mean():
    values = torch.from_numpy(np.random.default_rng(0).standard_normal((30, 2)))
    influences = (values - values.mean(0)) / 30
    torch.testing.assert_close(variance(influences), values.var(0) / 30)
