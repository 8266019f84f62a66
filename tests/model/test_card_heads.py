"""Which heads share keys and values is told wherever a model says what it is."""

from __future__ import annotations

import zoo

from headscope import Scope
from headscope.show.sheet import grouped
from headscope.show.terminal import text


def test_the_card_says_which_heads_share_and_nothing_where_none_do(scope_of):
    card = scope_of("llama").card
    assert card.kv_heads < card.heads
    assert "share keys and values" in card.shape
    assert scope_of("bert").card.shared == ""


def test_tables_of_heads_name_the_group_that_each_is_in(scope_of):
    scope = scope_of("llama")
    heads, kv_heads = scope.card.heads, scope.card.kv_heads
    sheets = scope.read(zoo.TEXT).nearest(2, 1, k=2).sheets()
    told = text(grouped(sheets, heads, kv_heads))
    assert all(f"kv {head * kv_heads // heads} head {head}" in told for head in range(heads))
    assert grouped(sheets, heads, heads) == tuple(sheets)


def test_the_card_says_which_of_the_models_own_layers_are_read(monkeypatch, scope_of):
    """Mllama's cross-attention to images does not run on a text: headscope counts the others."""
    options = zoo.GROUPED | {
        "num_hidden_layers": 4,
        "cross_attention_layers": [1],
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    }
    monkeypatch.setitem(zoo.ZOO, "mllama", (zoo.llama_like, ("MllamaForCausalLM", options)))
    card = Scope.from_model(*zoo.build("mllama")).card
    assert card.numbers == (0, 2, 3)
    assert card.shape.startswith("3 layers (the model's own 0, 2, 3: its others do not run on a text alone) × 4 heads")
    assert scope_of("llama").card.numbers == ()
    assert "the model's own" not in scope_of("llama").card.shape
