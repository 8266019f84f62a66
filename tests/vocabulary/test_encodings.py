"""Encodings of the vocabulary: the oracle is the model itself, and the closed form agrees with it."""

from __future__ import annotations

import plain
import pytest
import torch
import zoo

from headscope import Scope
from headscope.vocabulary import Encoded, Vocabulary, closed_form, forms


@pytest.fixture(params=plain.FAMILIES)
def name(request):
    """The architectures whose arithmetic is written out."""
    return request.param


def encoded(vocabulary: Vocabulary, layer: int, position: int | None) -> torch.Tensor:
    """R of every vocabulary id: [token, kv_head, d_head]."""
    return at(vocabulary, layer, position).rows(torch.arange(vocabulary.size))


def at(vocabulary: Vocabulary, layer: int, position: int | None) -> Encoded:
    spot = None if position is None else vocabulary.feed.spot(position)
    return vocabulary.encoded("value", "layer", layer, spot)


@pytest.fixture
def vocabulary(scope):
    return Vocabulary(scope.bench.opened, 2**30, scope.isolated)


def test_the_oracle_gives_a_token_the_value_it_has_in_a_text_at_that_position(scope):
    reading, feed = scope.read(zoo.TEXT), scope.bench.opened.feed
    for token in reading.tokens:
        place = feed.place(token.position)
        v = feed.vectors(torch.tensor([token.id]), 0, place)[0]
        assert torch.allclose(v, reading.v[0, token.position], atol=2e-6)


@pytest.mark.parametrize("layer", [0, 2])
@pytest.mark.parametrize("position", [None, 0, 7, 39])
def test_the_oracle_is_the_formula(name, scope, layer, position):
    feed = scope.bench.opened.feed
    place = None if position is None or not feed.positions.modules else feed.place(position)
    v = feed.vectors(torch.arange(feed.vocab_size), layer, place)
    expected = plain.encodings(name, scope.bench.opened.model, layer, place and position)
    assert torch.allclose(v.double(), expected, atol=5e-6)


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("position", [None, 0, 7, 39])
def test_the_closed_form_agrees_with_the_oracle_on_the_whole_vocabulary(scope, vocabulary, layer, position):
    feed = scope.bench.opened.feed
    place = None if position is None else feed.place(position)
    v = feed.vectors(torch.arange(feed.vocab_size), layer, place or None).double()
    assert at(vocabulary, layer, position).way == "closed form"
    assert float((encoded(vocabulary, layer, position) - v).abs().max() / v.abs().max()) < 2e-6


@pytest.mark.parametrize("layer", [0, 2])
def test_tokens_at_several_places_are_what_they_are_at_each(scope, layer):
    feed = scope.bench.opened.feed
    places = [None, *(feed.place(position) for position in (0, 7, 39) if feed.positions.modules)]
    some = [*zip(torch.arange(feed.vocab_size)[:40].tensor_split(len(places)), places, strict=True)]
    for ids, place, found in zip(*zip(*some, strict=True), feed.vectors_at(some, layer), strict=True):
        assert torch.allclose(found, feed.vectors(ids, layer, place), atol=2e-6)
    for one, found in zip(feed.vectors_at(some, layer), feed.everywhere_at(some)[layer], strict=True):
        assert torch.allclose(one, found, atol=2e-6)


def test_what_many_places_do_is_what_each_does_by_itself(scope):
    feed = scope.bench.opened.feed
    spots = [feed.spot(position) for position in range(feed.positions.limit or 40)]
    one_by_one, together = (Vocabulary(scope.bench.opened, 2**30, scope.isolated) for _ in range(2))
    together.expect("value", "layer", 1, spots)
    together.expect_arrivals(spots)
    for spot in spots:
        for one, other in (
            (one_by_one.encoded("value", "layer", 1, spot).place, together.encoded("value", "layer", 1, spot).place),
            (one_by_one.arriving(spot).place, together.arriving(spot).place),
        ):
            assert (one.scale is None) == (other.scale is None)
            assert one.scale is None or torch.equal(one.scale, other.scale)
            assert (one.shift is None) == (other.shift is None)
            assert one.shift is None or torch.equal(one.shift, other.shift)


@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2"])
def test_what_many_places_do_takes_a_few_runs_of_the_model(scope_of, name):
    scope = scope_of(name)
    vocabulary, feed = Vocabulary(scope.bench.opened, 2**30, scope.isolated), scope.bench.opened.feed
    spots = [feed.spot(position) for position in range(30)]
    vocabulary.encoded("value", "layer", 1, spots[0])
    runs = []
    hook = feed.model.get_input_embeddings().register_forward_hook(lambda *given: runs.append(given))
    vocabulary.expect("value", "layer", 1, spots)
    hook.remove()
    assert 0 < len(runs) <= 2  # of all, and of one by itself
    runs.clear()
    for spot in spots:
        vocabulary.encoded("value", "layer", 1, spot)
    assert not runs


@pytest.mark.parametrize("reference", ["isolated", "layer"])
def test_nothing_is_found_of_places_that_no_closed_form_asks_for(scope_of, monkeypatch, reference):
    monkeypatch.setattr(forms, "TOLERANCE", -1.0 if reference == "layer" else forms.TOLERANCE)
    scope = scope_of("roberta")
    vocabulary, feed = Vocabulary(scope.bench.opened, 2**30, scope.isolated), scope.bench.opened.feed
    found, motions = [], closed_form.motions
    monkeypatch.setattr(closed_form, "motions", lambda *given: found.append(given) or motions(*given))
    spots = [feed.spot(position) for position in range(9)]
    vocabulary.expect("value", reference, 1, spots)
    assert not [given for given in found if len(given[-1]) > 1]  # a proof asks for one at a time
    monkeypatch.setattr(forms, "TOLERANCE", 1e-5)
    Vocabulary(scope.bench.opened, 2**30, scope.isolated).expect("value", "layer", 1, spots)
    assert [given for given in found if len(given[-1]) == len(spots)]


def test_a_form_is_proved_at_all_places_by_one_run_of_the_layers_before(scope_of, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))  # no other test has kept what is proved here
    scope = scope_of("roberta")
    vocabulary, feed = Vocabulary(scope.bench.opened, 2**30, scope.isolated), scope.bench.opened.feed
    vocabulary.encoded("value", "layer", 1, None)  # what all layers share
    runs = []
    hook = feed.anatomy.blocks[1].module.intermediate.register_forward_hook(lambda *given: runs.append(given))
    vocabulary.encoded("value", "layer", 2, None)
    vocabulary.encoded("value", "layer", 0, None)  # whoever asked for two layers had all of them run
    hook.remove()
    assert len(runs) == 1


def test_where_the_closed_form_misses_the_model_itself_answers_the_same(scope, vocabulary, monkeypatch):
    monkeypatch.setattr(forms, "TOLERANCE", -1.0)
    by_model = Vocabulary(scope.bench.opened, 2**30, scope.isolated)
    assert at(by_model, 1, 5).way == "model"
    for position in (None, 5):
        assert torch.allclose(encoded(by_model, 1, position), encoded(vocabulary, 1, position), atol=5e-6)


def test_a_reading_by_the_oracle_gives_the_same_neighbours(name, build, monkeypatch):
    model, tokenizer = build(name)
    fast = Scope.from_model(model, tokenizer).read(zoo.TEXT).nearest([2, 4], 1, reference="layer", k=5)
    monkeypatch.setattr(forms, "TOLERANCE", -1.0)
    slow = Scope.from_model(model, tokenizer).read(zoo.TEXT).nearest([2, 4], 1, reference="layer", k=5)
    assert torch.equal(fast.ids, slow.ids)
    assert torch.equal(fast.own_rank, slow.own_rank)


def test_half_precision_weights_are_encoded_in_float32(name, build):
    model, tokenizer = build(name)
    half = Scope.from_model(model.to(torch.bfloat16), tokenizer)
    r = encoded(half.bench.vocabulary, 1, None)
    assert half.bench.vocabulary.encoded("value", "layer", 1, None).way == "closed form"
    widened, _ = build(name)
    widened.load_state_dict({key: value.float() for key, value in model.state_dict().items()})
    expected = plain.encodings(name, widened, 1, None)
    assert torch.allclose(r, expected, atol=5e-6)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}


@pytest.mark.parametrize("of", ["t5-encoder", "t5/decoder", "mt5/encoder"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_so_are_those_of_a_model_that_casts_to_its_weights_precision(of, dtype):
    """T5's norm does: its answer is then rounded, if it is let to."""
    (model, tokenizer), (widened, _) = zoo.build(of), zoo.build(of)
    half = Scope.from_model(model.to(dtype), tokenizer, stack=zoo.stack_of(of))
    widened.load_state_dict({key: value.float() for key, value in model.state_dict().items()})
    whole = Scope.from_model(widened, tokenizer, stack=zoo.stack_of(of))
    ids = torch.arange(half.card.vocab_size)
    for layer in range(half.card.layers):
        got, expected = (scope.bench.opened.feed.vectors(ids, layer, None) for scope in (half, whole))
        assert torch.allclose(got, expected, atol=1e-5 * float(expected.abs().amax()))
        closed = encoded(half.bench.vocabulary, layer, None).float()
        assert torch.allclose(closed, expected, atol=1e-5 * float(expected.abs().amax()))


def test_a_second_text_computes_no_encoding_anew(name, build):
    scope = Scope.from_model(*build(name))
    for _ in range(4):  # so often that a table pays
        scope.read(zoo.TEXT).nearest(3, 2, reference="layer")
    held = scope.bench.vocabulary.nbytes
    scope.read("A bird in the hand is worth two").nearest(3, 2, reference="layer")
    assert scope.bench.vocabulary.nbytes == held


def test_the_byte_budget_bounds_what_is_kept(name, build):
    one = Scope.from_model(*build(name))
    one.read(zoo.TEXT).nearest(3, 0)
    budget = one.bench.vocabulary.nbytes
    scope = Scope.from_model(*build(name), cache_bytes=budget)
    reading = scope.read(zoo.TEXT)
    answers = [reading.nearest(3, layer, reference="layer").ids for layer in (0, 1, 2, 0)]
    assert scope.bench.vocabulary.nbytes <= budget
    assert torch.equal(answers[0], answers[3])
