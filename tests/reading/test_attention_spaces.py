"""Keys and queries: the vocabulary's are those that its tokens have in a text, whatever the model does to positions."""

from __future__ import annotations

import pytest
import torch
import zoo


@pytest.mark.parametrize(("space", "vector"), [("key", "k"), ("query", "q")])
def test_at_layer_0_the_own_key_and_query_are_nearest_to_themselves(scope, space, vector):
    reading = scope.read(zoo.TEXT)
    everything = list(range(len(reading.tokens)))
    near = reading.nearest(everything, 0, space, "input", "euclidean", k=1, vector=vector)
    size = reading.vectors(vector, 0).norm(dim=-1).mean()
    assert float(near.own_distance.max() / size) < 2e-5
    # Tokens whose keys are alike (padding, unused) share the place.
    assert float((near.distances[..., 0] - near.own_distance).abs().max() / size) < 2e-5


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "qwen3", "phi", "olmo2"])
def test_what_a_head_seeks_is_what_it_attends_to(name, scope_of):
    """At layer 0, the softmax of q·k over the text's tokens, each sought at its own position, is the pattern."""
    scope = scope_of(name)
    reading, query = scope.read(zoo.TEXT), 6
    logits = []
    for source, token in enumerate(reading.tokens):
        near = reading.seeks(query, 0, source, k=scope.card.vocab_size)
        logits.append(-near.distances.masked_fill(near.ids != token.id, 0.0).sum(-1))
    scores = torch.stack(logits, -1) / scope.card.d_head**0.5  # (H, S)
    if scope.card.causal:
        scores[:, query + 1 :] = -torch.inf
    assert torch.allclose(scores.softmax(-1), reading.pattern[0, :, query], atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "llama"])
def test_what_would_attend_to_a_key_is_the_same_product_from_the_other_side(name, scope_of):
    scope = scope_of(name)
    reading, source, query = scope.read(zoo.TEXT), 3, 6
    near = reading.sought(source, 0, query, k=scope.card.vocab_size)
    token = reading.tokens[query].id
    logit = -near.distances.masked_fill(near.ids != token, 0.0).sum(-1)
    keys = reading.vectors("k", 0)[source]
    assert torch.allclose(logit, (reading.q[0, query] * keys).sum(-1), rtol=1e-4, atol=1e-4)


def test_the_position_switch_leaves_out_the_rotation(scope_of):
    scope = scope_of("llama")
    reading = scope.read(zoo.TEXT)
    on = reading.nearest(5, 0, "key", vector="k", metric="euclidean")
    off = reading.nearest(5, 0, "key", vector="k", metric="euclidean", position=False)
    assert on.own_distance.max() < 1e-4 < off.own_distance.min()
    assert any("after the rotation (RoPE)" in note for note in on.notes)
    assert any("switch off" in note for note in off.notes)


@pytest.mark.parametrize("space", ["key", "query"])
def test_z_against_keys_or_queries_says_that_the_bases_are_unrelated(space, scope_of):
    near = scope_of("bert").read(zoo.TEXT).nearest(2, 0, space)
    assert any("basis of their own" in note for note in near.notes)
