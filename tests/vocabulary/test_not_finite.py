"""Vocabulary rows that are no numbers: left out, and named."""

from __future__ import annotations

import plain
import pytest
import torch
import zoo

from headscope import InputError, ModelError, Scope

TEXT = "the bird in the bush"


def broken(name, ids=None):
    """A model whose embeddings of two tokens (without `ids`: two that are not in the text) are no numbers."""
    model, tokenizer = zoo.build(name)
    ids = ids or sorted(set(range(20, len(tokenizer))) - set(tokenizer(TEXT)["input_ids"]))[-2:]
    with torch.no_grad():
        model.get_input_embeddings().weight[ids[0]] = torch.nan
        model.get_input_embeddings().weight[ids[1]] = torch.inf
    return Scope.from_model(model, tokenizer), ids


@pytest.mark.slow
@pytest.mark.parametrize("name", plain.FAMILIES)
def test_they_are_nobodys_neighbours_and_the_notes_name_them(name):
    scope, ids = broken(name)
    reading = scope.read(TEXT)
    for layer in range(scope.card.layers):
        near = reading.nearest(2, layer, reference="layer", k=scope.card.vocab_size - 2)
        assert (
            scope.bench.vocabulary.encoded("value", "layer", layer, scope.bench.vocabulary.feed.spot(2)).way
            == "closed form"
        )
        assert not set(ids) & set(near.ids.flatten().tolist())
        assert bool(near.distances.isfinite().all())
        names = scope.bench.opened.names
        assert f"not finite: {names[ids[0]].label}, {names[ids[1]].label}." in near.notes[-1]


def test_asking_for_more_neighbours_than_are_left_is_told():
    scope, _ = broken("gpt2")
    with pytest.raises(InputError, match=f"only {scope.card.vocab_size - 2} tokens can be neighbours"):
        scope.read(TEXT).nearest(2, k=scope.card.vocab_size)


def test_a_text_that_makes_the_model_compute_no_numbers_is_told():
    _, tokenizer = zoo.build("bert")
    scope, _ = broken("bert", tokenizer(TEXT)["input_ids"][2:4])
    with pytest.raises(ModelError, match="outputs of layer 0 at position 2"):
        scope.read(TEXT).nearest(2)
