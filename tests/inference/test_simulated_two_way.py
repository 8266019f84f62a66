"""Coverage of intervals of samples that are crossed in text and token type."""

from __future__ import annotations

import numpy as np
import pytest

from headscope.inference.left_out import Jackknifed
from headscope.inference.studentised import Studentised
from headscope.inference.two_way import TwoWay
from tests.inference.simulated import assert_covers, judged, lengths

TYPES, RUNS = 300, 400


def left_out(values: np.ndarray, levels: np.ndarray) -> Jackknifed[float]:
    """A mean without each level that there is."""
    known, at = np.unique(levels, return_inverse=True)
    sums, counts = np.bincount(at, values), np.bincount(at)
    return Jackknifed(float(values.mean()), (values.sum() - sums) / (len(values) - counts), len(known))


@pytest.mark.simulation(cases=6)
@pytest.mark.parametrize("groups", [10, 30, 100, 300])
@pytest.mark.parametrize(
    ("name", "text", "type", "both"),
    [("none", 0, 0, 0), ("of texts", 0.4, 0, 0), ("of types", 0, 0.4, 0), ("of both", 0.4, 0.4, 0.4)],
)
@pytest.mark.parametrize("rate", [False, True])
def test_figures_of_texts_by_types(groups, name, text, type, both, rate):
    draw = np.random.default_rng([4, groups, len(name)])
    frequencies = 1 / np.arange(1, TYPES + 1) ** 0.8
    told = []
    for _ in range(RUNS):
        sizes = lengths(draw, groups, mean=2.5).astype(int)
        texts = np.repeat(np.arange(groups), sizes)
        types = draw.choice(TYPES, len(texts), p=frequencies / frequencies.sum())
        pairs = np.unique(texts * TYPES + types, return_inverse=True)[1]
        values = text * draw.standard_normal(groups)[texts] + type * draw.standard_normal(TYPES)[types]
        values += both * draw.standard_normal(pairs.max() + 1)[pairs] + draw.standard_normal(len(texts))
        if rate:
            values = (values > np.sqrt(1 + text**2 + type**2 + both**2)).astype(float)
        told.append(TwoWay(*(left_out(values, levels) for levels in (texts, types, pairs))).told)
    figures = (np.array([getattr(one, of) for one in told]) for of in ("value", "error", "freedom", "groups"))
    found = judged(Studentised(*figures), 0.158655 if rate else 0.0)
    print(f"\n| {'rate .16' if rate else 'mean'}, effects {name} | {groups} | {found} |")
    # Less 1.5 Monte Carlo standard errors of 400 runs.
    assert_covers(found, groups, coverage=0.92 - 0.02)
