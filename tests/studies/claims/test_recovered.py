"""The recovery of own tokens over the shuffled control, and how sure it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headscope.studies.claims.recovered import over_control
from headscope.studies.probes.figures import Outcomes

SAMPLES, DOCUMENTS, HEADS = 600, 40, 3


def outcomes(hits: np.ndarray, group: np.ndarray, label: np.ndarray) -> Outcomes:
    rank = torch.from_numpy(np.where(hits, 1, 5))
    return Outcomes(
        torch.from_numpy(group), torch.from_numpy(label), rank, torch.zeros(rank.shape), torch.ones(rank.shape)
    )


def test_it_is_the_mean_over_heads_of_hits_less_those_of_the_control():
    draw = np.random.default_rng(0)
    hits = draw.random((2, SAMPLES, HEADS)) < np.array([0.4, 0.1])[:, None, None]
    group = draw.integers(0, DOCUMENTS, SAMPLES)
    labels = np.stack([np.arange(SAMPLES)] * 2)  # no two samples have their type in common
    found = over_control(outcomes(hits, group, labels), DOCUMENTS)
    assert found.told.value == pytest.approx(hits[0].mean() - hits[1].mean())
    by_sample = hits.mean(-1)
    plain = (by_sample[0] - by_sample[1]).std(ddof=1) / np.sqrt(SAMPLES)
    assert found.told.error == pytest.approx(plain, rel=0.3)
    assert found.told.low > 0.2


def test_a_map_that_always_says_one_frequent_type_is_not_sure_of_it():
    """It is right in every document, and all that is one chance: that the type is the one."""
    draw = np.random.default_rng(0)
    group = draw.integers(0, DOCUMENTS, SAMPLES)
    labels = np.stack([np.where(draw.random(SAMPLES) < 0.2, 0, draw.integers(1, 30, SAMPLES)) for _ in range(2)])
    hits = np.repeat((labels == np.array([0, 31])[:, None])[..., None], HEADS, 2)
    found = over_control(outcomes(hits, group, labels), DOCUMENTS)
    assert found.told.value == pytest.approx(0.2, abs=0.05)
    assert found.texts.low > 0.1
    assert found.told.low < 0
