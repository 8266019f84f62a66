"""Which heads share keys and values is told wherever a model says what it is."""

from __future__ import annotations

import zoo

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
