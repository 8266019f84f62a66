"""Attention by weights and by the lengths of what they let through, against the formula written out."""

from __future__ import annotations

import plain
import pytest
import torch
import zoo

from headscope import InputError


@pytest.mark.parametrize("name", plain.FAMILIES)  # llama's heads are grouped
def test_norms_are_the_lengths_of_what_each_source_adds_to_the_residual_stream(name, scope_of):
    scope = scope_of(name)
    reading = scope.read(zoo.TEXT)
    w_o = plain.heads(name, scope.bench.opened.model, 1).w_o.detach().double()
    found = reading.attention(3, 1, "norms")
    whole = reading.pattern_of(1, "norms")
    for head in range(scope.card.heads):
        values = reading.v[1, :, head * scope.card.kv_heads // scope.card.heads].double()
        for source in range(len(reading.tokens)):
            added = float(reading.pattern[1, head, 3, source]) * values[source] @ w_o[head]
            assert float(found.shares[head, source]) == pytest.approx(float(added.norm()), rel=1e-5, abs=1e-7)
    assert torch.equal(whole[:, 3], found.shares)


def test_norms_and_weights_in_every_architecture(scope):
    reading = scope.read(zoo.TEXT)
    weights = reading.attention(3, 1)
    assert torch.equal(weights.shares, reading.pattern_of(1)[:, 3])
    w_o = scope.weights(1).w_o
    added = torch.einsum("hs,she,hed->hsd", weights.shares, reading.vectors("v", 1), w_o)
    norms = reading.attention(3, 1, "norms").shares
    assert torch.allclose(norms, added.norm(dim=-1), rtol=1e-4, atol=1e-6)


def test_a_sink_takes_weight_from_the_text_and_is_said(scope_of):
    found = scope_of("gpt-oss").read(zoo.TEXT).attention(3, 1)
    assert float(found.shares.sum(-1).max()) < 1
    assert any("sink" in note for note in found.notes)
    assert not scope_of("llama").read(zoo.TEXT).attention(3, 1).notes


def test_it_prints_and_exports(scope_of):
    found = scope_of("bert").read(zoo.TEXT).attention("arrow", 2, "norms")
    assert "head 3" in repr(found)
    assert found._repr_html_().count("<tr>") == len(found.tokens) + 1
    assert found.to_dict()["heads"][2]["shares"] == found.shares[2].tolist()
    frame = found.to_pandas()
    assert list(frame[frame["head"] == 1]["share"]) == found.shares[1].tolist()


def test_another_way_to_weigh_is_refused(scope_of):
    with pytest.raises(InputError, match="open: weights, norms"):
        scope_of("bert").read(zoo.TEXT).attention(1, 0, "rollout")
