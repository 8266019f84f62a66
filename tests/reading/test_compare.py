"""Two answers side by side: masks, references, models with one tokenizer."""

from __future__ import annotations

import pytest
import torch
import zoo

from headscope import InputError, Scope


def test_a_reading_compared_with_itself_has_not_changed(scope_of):
    reading = scope_of("gpt2").read(zoo.TEXT)
    found = reading.compare(reading, 2, 1)
    assert torch.equal(found.overlap, torch.ones(4))
    assert not found.moved.any()


def test_overlap_and_moved_are_counted_from_both_answers(scope_of):
    scope = scope_of("gpt2")
    causal, full = scope.read(zoo.TEXT), scope.read(zoo.TEXT, "full")
    found = causal.compare(full, 2, 1, reference="layer", k=6)
    one, other = (reading.nearest(2, 1, reference="layer", k=6) for reading in (causal, full))
    for head in range(4):
        shared = set(one.ids[head].tolist()) & set(other.ids[head].tolist())
        assert float(found.overlap[head]) == pytest.approx(len(shared) / 6)
        assert found.moved[head] == other.own_rank[head] - one.own_rank[head]
    assert found.moved.any()


def test_two_references_of_one_reading(scope_of):
    reading = scope_of("bert").read(zoo.TEXT)
    found = reading.compare(reading, 2, 2, other_reference="input")
    assert torch.equal(found.one.ids, reading.nearest(2, 2, reference="layer").ids)
    assert torch.equal(found.other.ids, reading.nearest(2, 2, reference="input").ids)
    assert float(found.overlap.min()) < 1


def test_two_models_with_one_tokenizer(build):
    readings = []
    for seed in (0, 1):
        model, tokenizer = zoo.build("bert", seed)
        readings.append(Scope.from_model(model, tokenizer).read(zoo.TEXT))
    found = readings[0].compare(readings[1], 3)
    assert float(found.overlap.mean()) < 0.5


def test_two_tokenizers_cannot_be_compared(scope_of):
    with pytest.raises(InputError, match="same token of one tokenizer"):
        scope_of("bert").read(zoo.TEXT).compare(scope_of("roberta").read(zoo.TEXT), 3)


def test_it_prints_and_exports(scope_of):
    scope = scope_of("llama")
    found = scope.read(zoo.TEXT).compare(scope.read(zoo.TEXT, "full"), 2)
    assert "What changed" in repr(found)
    for said in ("Own mask", "Mask full", "of 15 shared", "nearer"):
        assert said in repr(found)
    assert found._repr_html_().count("<table") == 1
    assert list(found.to_pandas()["moved"]) == found.moved.tolist()
    assert found.to_dict()["heads"][0]["overlap"] == float(found.overlap[0])


def test_an_edited_reading_is_told_from_the_one_beside_it(scope_of):
    scope = scope_of("gpt2")
    plain_one, edited = scope.read(zoo.TEXT), scope.read(zoo.TEXT, edit={(0, 1): "zero"})
    assert plain_one.compare(edited, 2, layer=1).sides == ("As it is", "Edited")
    assert edited.compare(plain_one, 2, layer=1).sides == ("Edited", "As it is")
