"""A head in a few words: which whole words its output resembles, and where it looked."""

from __future__ import annotations

import pytest
import torch
import zoo


def test_words_are_the_nearest_whole_ones_and_sources_the_heaviest(demo):
    reading = demo.read("Time flies like an arrow. Fruit flies like a banana.")
    near, pattern = reading.nearest("banana", 2), reading.pattern[2, :, 11]
    heads = reading.portrait("banana", 2).to_dict()["heads"]
    for head in range(12):
        listed = [near.names[id].text for id in near.ids[head].tolist()]
        words = [word for word in listed if not word.startswith(("##", "[")) and word.isalpha() and len(word) > 1]
        assert [one["token"] for one in heads[head]["resembles"]] == words[:8]
        weights = [one["number"] for one in heads[head]["looked"]]
        assert weights == pattern[head].sort(descending=True).values[:5].tolist()


@pytest.mark.parametrize(("text", "is_word"), [("Time flies", True), ("Time", True), ("The cat", False)])
def test_the_texts_first_word_is_whole_though_no_space_goes_before_it(scope_of, text, is_word):
    reading = scope_of("gpt2").read(text)  # whose words begin with a space; “The” is T, he
    near, heads = reading.nearest(0, 0), reading.portrait(0, 0).to_dict()["heads"]
    assert near.ids[:, 0].tolist() == [reading.tokens[0].id] * 4  # at the first position a head sees its own token
    assert [reading.tokens[0].id in [one["id"] for one in head["resembles"]] for head in heads] == [is_word] * 4


@pytest.mark.slow
def test_where_no_head_is_chosen_the_one_nearest_to_the_text_is_shown_and_says_so(demo):
    reading = demo.read("Time flies like an arrow. Fruit flies like a banana.")
    shown = set()
    for layer in range(6):
        near, portrait = reading.nearest("banana", layer), reading.portrait("banana", layer)
        own = {token.id for token in reading.tokens if not token.special}
        best = min(
            ((rank, apart, head) for head in range(12) for rank, apart, id in _listed(near, head) if id in own),
            default=(0, 0, 0),
        )
        assert portrait.shown == best[2]
        assert f"head {portrait.shown}" in portrait.says_shown or "here is the first" in portrait.says_shown
        shown.add(portrait.shown)
    assert len(shown) > 1, "it follows the layer"


def _listed(near, head):
    return zip(near.ranks[head].tolist(), near.distances[head].tolist(), near.ids[head].tolist(), strict=True)


@pytest.mark.slow
def test_what_a_head_is_is_said_of_this_model_and_token(demo, scope_of):
    reading = demo.read("Fruit flies like a banana.")
    assert reading.portrait("banana", 1).says == (
        "Head = one of 12 readers in layer 1. Each writes 32 numbers at “banana”; these are the words those numbers "
        "resemble."
    )
    assert "its value" in reading.portrait("banana", 1, vector="v").says
    grouped = scope_of("llama")
    assert grouped.card.kv_heads < grouped.card.heads
    assert "share keys and values." in grouped.read(zoo.TEXT).portrait(3, 1).says


def test_what_a_mask_hides_is_counted_apart(scope_of):
    reading = scope_of("llama").read(zoo.TEXT)
    last = len(reading.tokens) - 1
    card = reading.portrait(2, 1).cards()[0][1]
    assert [cell.position for cell in card.cells] == sorted(
        range(3), key=lambda at: -float(reading.pattern[1, 0, 2, at])
    )
    assert card.says == f"{last - 2} hidden by the mask"
    assert "hidden" not in reading.portrait(last, 1).cards()[0][1].says


@pytest.mark.parametrize("replaced_by", ["zero", "mean"])
def test_what_is_lost_without_a_head_is_the_effect_of_all_heads_on_its_layer(scope_of, replaced_by):
    reading = scope_of("gpt2").read(zoo.TEXT)
    whole = reading.effects(3, replaced_by)
    found = reading.removed(3, 1, replaced_by)
    assert torch.allclose(found.effects.moved[0], whole.moved[1], atol=1e-6)
    assert {row["layer"] for row in found.rows()} == {1}
    moved = whole.moved[1].tolist()
    first = max(range(len(moved)), key=moved.__getitem__)
    for head, says in enumerate(found.says()):
        assert f"moves by {moved[head]:.0%} of its length" in says or "<1%" in says
        assert ("the most of the layer" in says) is (head == first)
        assert "KL" in says


def test_it_prints_and_exports(demo):
    found = demo.read("Fruit flies like a banana.").portrait("banana", 1)
    assert "Where each head looked" in repr(found)
    assert {row["list"] for row in found.rows()} == {"resembles", "looked"}
    assert "hs-sheet" in found._repr_html_()
    assert "the most" in repr(demo.read("Fruit flies.").removed(1, 2))
