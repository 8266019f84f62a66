"""A mask that is asked for changes what is seen, and nothing else; where it cannot, it is refused."""

from __future__ import annotations

import pytest
import torch
import zoo

from headscope import ModelError, Scope
from headscope.model.capture import capture


def doge(monkeypatch, window):
    """Adds to every key's score what it learned for it, merged with the mask, and then sees the best `window` alone."""
    options = zoo.HEADS_OF_8 | {"keep_window_size": window}
    monkeypatch.setitem(zoo.ZOO, "doge", (zoo.llama_like, ("DogeForCausalLM", options)))
    model, tokenizer = zoo.build("doge")
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.A.normal_(generator=torch.Generator().manual_seed(0))
    return Scope.from_model(model, tokenizer)


def test_a_bias_that_is_merged_with_the_mask_stays_under_the_same_mask(monkeypatch):
    scope = doge(monkeypatch, 2048)
    own, causal = scope.read(zoo.TEXT), scope.read(zoo.TEXT, "causal")
    assert torch.equal(own.z, causal.z)
    assert torch.equal(own.pattern, causal.pattern)


@pytest.mark.parametrize(("window", "mask"), [(2048, "full"), (6, "causal"), (6, "full")])
def test_a_mask_is_refused_that_shows_what_no_bias_is_known_for(monkeypatch, window, mask):
    scope = doge(monkeypatch, window)
    said = f"the mask '{mask}' has no hold on this model: it merges a bias of its own with its mask, and has none for"
    with pytest.raises(ModelError, match=said):
        scope.read(zoo.TEXT, mask)
    scope.read(zoo.TEXT)


def test_a_mask_that_shows_what_the_models_own_does_must_change_nothing(monkeypatch):
    scope = doge(monkeypatch, 2048)
    monkeypatch.setattr(capture, "with_bias", lambda other, own: other)
    with pytest.raises(ModelError, match="the mask 'causal' does not do on DogeForCausalLM what it promises"):
        scope.read(zoo.TEXT, "causal")
