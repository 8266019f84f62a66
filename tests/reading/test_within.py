"""The figures within a text are those of loops over its positions, whatever is masked, special or there twice."""

from __future__ import annotations

import math

import pytest
import torch

from headscope.reading.within import shown


@pytest.mark.parametrize("causal", [False, True])
def test_figures_are_those_of_loops(causal: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    heads, n = 3, 7
    auc, pattern = torch.rand(2, heads, n, n, generator=draw)
    auc[1, 3, 4] = auc[:, :, 5] = torch.nan  # of a token whose encoding is not finite nothing is known
    sees = torch.ones(n, n, dtype=torch.bool)
    sees = sees.tril() if causal else sees
    ordinary = torch.tensor([False, True, True, True, True, True, True])
    counts = ordinary & torch.tensor([True, True, False, True, True, True, True])  # one is there twice
    found = shown(auc, pattern, sees, counts, ordinary)
    for head in range(heads):
        for i in range(n):
            near = auc[head].tolist()
            known = [j for j in range(n) if sees[i, j] and counts[j] and ordinary[i] and not math.isnan(near[i][j])]
            others = [
                near[j][i]
                for j in range(n)
                if j != i and sees[j, i] and counts[i] and counts[j] and ordinary[j] and not math.isnan(near[j][i])
            ]
            told = counts[i] and others and not math.isnan(near[i][i])
            mean = sum(near[i][j] for j in known) / len(known) if len(known) > 1 else math.nan
            weight = sum(pattern[head, i, j].item() for j in known)
            carried = sum(pattern[head, i, j].item() * near[i][j] for j in known) / (weight or math.nan) - mean
            expected = (
                near[i][i] if told else math.nan,
                sum(others) / len(others) if told else math.nan,
                carried,
                max((near[i][j] for j in known), default=math.nan) - mean,
            )
            here = [float(part[head, i]) for part in (found.own, found.others, found.carry, found.ceiling)]
            assert here == pytest.approx(expected, abs=1e-6, nan_ok=True)
    assert found.own.isfinite().any()
    assert found.carry.isfinite().any()
    assert found.carry.isnan().any()
