"""The infinitesimal jackknife of a mean."""

from __future__ import annotations

import numpy as np
import torch

from headscope.inference.jackknife import variance


def test_the_jackknife_of_a_mean_is_the_variance_of_the_mean():
    values = torch.from_numpy(np.random.default_rng(0).standard_normal((30, 2)))
    influences = (values - values.mean(0)) / 30
    torch.testing.assert_close(variance(influences), values.var(0) / 30)
