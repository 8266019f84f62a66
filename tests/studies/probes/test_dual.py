"""Maps that are fitted in their dual form are the maps that sums over samples give."""

from __future__ import annotations

import pytest
import torch

from headscope.studies.probes import unseen
from headscope.studies.probes.dual import few


@pytest.mark.parametrize("noise", [0.0, 2.0, 20.0])
def test_both_forms_give_the_same_outputs_and_ranks(monkeypatch, noise):
    draw = torch.Generator().manual_seed(0)
    ids, groups = torch.randint(120, (400,), generator=draw), torch.arange(40).repeat_interleave(10)
    embeddings = torch.randn(120, 20, generator=draw) + 5
    image = embeddings[ids] @ torch.randn(20, 300, generator=draw)
    x = (image + noise * torch.randn(400, 300, generator=draw) + 7)[:, None]
    assert few(len(x), x.shape[2])
    dual = unseen.outcomes(x, ids, groups, embeddings)
    monkeypatch.setattr(unseen, "few", lambda samples, width: False)
    primal = unseen.outcomes(x, ids, groups, embeddings)
    assert torch.equal(dual.rank, primal.rank)
    assert dual.loss == pytest.approx(primal.loss, rel=1e-6)
    assert dual.spread == pytest.approx(primal.spread)


def test_what_is_aimed_at_serves_any_vectors():
    draw = torch.Generator().manual_seed(0)
    ids, groups = torch.randint(120, (400,), generator=draw), torch.arange(40).repeat_interleave(10)
    embeddings = torch.randn(120, 20, generator=draw) + 5
    told = (embeddings[ids] @ torch.randn(20, 300, generator=draw))[:, None]
    aims = unseen.Aims(ids, groups, embeddings, unseen.Folds.of(groups, ids, len(embeddings)), 0)
    for x in (told, torch.randn(400, 1, 300, generator=draw), told):
        one, alone = aims.outcomes(x), unseen.outcomes(x, ids, groups, embeddings)
        assert torch.equal(one.rank, alone.rank)
        assert torch.equal(one.loss, alone.loss)


def test_vectors_that_are_all_one_tell_nothing(monkeypatch):
    draw = torch.Generator().manual_seed(0)
    ids, groups = torch.randint(60, (200,), generator=draw), torch.arange(40).repeat_interleave(5)
    x = torch.ones(200, 1, 100)
    found = unseen.held_out(x, ids, groups, torch.randn(60, 20, generator=draw))
    assert found.top1.value[0] == 0
