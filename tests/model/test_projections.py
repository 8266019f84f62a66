"""W_Q, W_K, W_V, W_O per head, measured: what the attention used comes out, whatever the layout."""

from __future__ import annotations

import plain
import pytest
import torch
import zoo

from headscope import InputError
from headscope.model.feed.projections import normalised_error

VALUES_NORMALISED = {
    *("deepseek-v2", "deepseek-v3", "deepseek-v3.2", "gemma4-text", "glm-moe-dsa", "glm4-moe-lite", "minicpm3"),
    "mistral4",
}
NORMALISED_AFTERWARDS = {
    *VALUES_NORMALISED,
    *("apertus", "chameleon", "dots1", "embeddinggemma", "esmc", "exaone-moe", "exaone4", "flex-olmo", "fuyu"),
    *("gemma3", "gemma3-vl", "glm4-moe", "minimax-m2", "minimax-m3", "nanochat", "olmo2", "olmo3", "olmoe"),
    *("persimmon", "qwen3", "qwen3-moe", "qwen3-vl"),
}


def attention_inputs(scope, text, layer):
    """What the attention module of a layer gets while the text is read: [position, d_model]."""
    seen = []
    module = scope.bench.opened.anatomy.blocks[layer].attention

    def keep(module, args, kwargs):
        seen.append(next(x for x in (*args, *kwargs.values()) if isinstance(x, torch.Tensor) and x.dim() == 3)[0])

    handle = module.register_forward_pre_hook(keep, with_kwargs=True)
    reading = scope.read(text)
    handle.remove()
    turn = layer if len({block.attention for block in scope.bench.opened.anatomy.blocks}) == 1 else 0
    return seen[turn], reading


def test_w_v_gives_the_values_that_the_attention_used_where_it_is_one_matrix(name, scope):
    layer = scope.card.layers - 1
    x, reading = attention_inputs(scope, zoo.TEXT, layer)
    weights = scope.weights(layer)
    if name in VALUES_NORMALISED:
        assert weights.v is None
        assert "W_V cannot be written as one matrix" in weights.notes[-1]
        assert normalised_error(scope.bench.opened.feed, layer, "v") < 1e-5
        return
    v = torch.einsum("sd,hde->she", x, weights.v.weight) + weights.v.bias
    assert torch.allclose(v, reading.v[layer], atol=1e-5)


@pytest.mark.parametrize("changed", [lambda v: v.clamp(-0.01, 0.01), torch.tanh, lambda v: v.sign()])
@pytest.mark.parametrize("name", ["llama", "deepseek-v3"], indirect=True)
def test_values_that_are_clipped_or_bent_are_not_taken_for_normalised(scope, monkeypatch, changed):
    feed = scope.bench.opened.feed
    original = feed.projected
    monkeypatch.setattr(feed, "projected", lambda *given: changed(original(*given)))
    assert normalised_error(feed, 0, "v") > 0.01


def test_w_q_and_w_k_give_q_and_k_at_position_0_where_they_are_one_matrix(name, scope):
    layer = scope.card.layers - 1
    x, reading = attention_inputs(scope, zoo.TEXT, layer)
    weights = scope.weights(layer)
    if name in NORMALISED_AFTERWARDS:
        assert weights.q is None
        assert weights.k is None
        assert "cannot be written as one matrix" in weights.notes[0]
    else:
        q = torch.einsum("d,hde->he", x[0], weights.q.weight) + weights.q.bias
        k = torch.einsum("d,hde->he", x[0], weights.k.weight) + weights.k.bias
        assert torch.allclose(q, reading.q[layer, 0], atol=1e-5)
        assert torch.allclose(k, reading.k[layer, 0], atol=1e-5)
        assert not weights.notes


def test_the_heads_and_b_o_sum_to_what_the_output_projection_returns(scope):
    layer = 1
    block = scope.bench.opened.anatomy.blocks[layer]
    seen = []
    handle = block.output.register_forward_hook(lambda module, args, output: seen.append(output))
    reading = scope.read(zoo.TEXT)
    handle.remove()
    weights = scope.weights(layer)
    written = torch.einsum("she,hed->sd", reading.z[layer], weights.w_o) + weights.b_o
    turn = layer if len({b.output for b in scope.bench.opened.anatomy.blocks}) == 1 else 0
    assert torch.allclose(written, seen[turn].reshape(written.shape), atol=1e-5)


@pytest.mark.parametrize("name", plain.FAMILIES)
def test_they_are_the_models_own_weights(name, scope):
    measured, own = scope.weights(2), plain.heads(name, scope.bench.opened.model, 2)
    assert torch.allclose(measured.v.weight, own.w_v.transpose(1, 2), atol=1e-7)
    assert torch.allclose(measured.v.bias, own.b_v, atol=1e-7)
    assert torch.equal(measured.w_o, own.w_o)
    assert torch.equal(measured.b_o, own.b_o)


def test_a_layer_that_is_not_there_is_refused(scope_of):
    with pytest.raises(InputError, match="0 to 2"):
        scope_of("bert").weights(3)


def test_a_layers_weights_show_their_shapes_and_what_is_to_be_known_of_them(scope_of):
    assert repr(scope_of("bert").weights(0)).startswith("HeadWeights: q [4, 32, 8], k [4, 32, 8], v [4, 32, 8], w_o [")
    weights = scope_of("qwen3").weights(0)
    assert weights.q is None
    assert repr(weights).splitlines() == [repr(weights).splitlines()[0], *weights.notes]
    assert "q [" not in repr(weights).splitlines()[0]
