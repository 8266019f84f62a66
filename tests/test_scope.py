"""A scope and the model it reads: changed weights are noticed, and what is not open is told."""

from __future__ import annotations

import copy
import pickle
import threading

import pytest
import torch
import zoo

from headscope import InputError, Scope


@pytest.fixture
def handed_over():
    """A model in train mode with dropout, a hook of its own and sdpa attention, as its owner left it."""
    model, tokenizer = zoo.build("bert")
    model.train()
    model.encoder.layer[1].eval()  # a part that its owner froze
    model.set_attn_implementation("sdpa")
    return model, tokenizer


def test_weights_that_training_changed_are_seen_by_the_next_read(handed_over):
    model, tokenizer = handed_over
    scope = Scope.from_model(model, tokenizer)
    old, hash_before = scope.read(zoo.TEXT), scope.card.weights_sha256
    old.nearest(2)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.5)
    model(**tokenizer(zoo.TEXT, return_tensors="pt")).last_hidden_state.square().mean().backward()
    optimiser.step()
    new = scope.read(zoo.TEXT)
    fresh = Scope.from_model(model, tokenizer)
    assert scope.card.weights_sha256 == fresh.card.weights_sha256 != hash_before
    assert torch.equal(new.nearest(2).distances, fresh.read(zoo.TEXT).nearest(2).distances)
    with pytest.raises(InputError, match="read it again"):
        old.nearest(2)


def test_a_glance_sees_new_weights_while_another_thread_works(handed_over):
    model, tokenizer = handed_over
    scope = Scope.from_model(model, tokenizer)
    reached, left = threading.Event(), threading.Event()

    def work():
        with scope.bench.lock:
            reached.set()
            left.wait(60)

    other = threading.Thread(target=work)
    other.start()
    try:
        assert reached.wait(60)
        assert scope.known_card() is not None
        with torch.no_grad():
            next(model.parameters()).mul_(2)
        assert scope.known_card() is None, "what was found with the former weights would be taken for theirs"
    finally:
        left.set()
        other.join()


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "gemma3"])
def test_a_glance_beside_a_run_finds_nothing_moved(family):
    scope = Scope.from_model(*zoo.build(family))
    scope.read(zoo.TEXT)
    card, ended, failed = scope.card, threading.Event(), []

    def work():
        try:
            for _ in range(30):
                scope.read(zoo.TEXT)
        except Exception as error:
            failed.append(error)
        finally:
            ended.set()

    other = threading.Thread(target=work)
    other.start()
    glances = 0
    while not ended.is_set():
        assert scope.known_card() is card, "what is at hand would wait for the run"
        glances += 1
    other.join()
    assert glances > 30
    assert not failed


def test_only_transformers_models_and_tokenizers_are_taken(build):
    model, tokenizer = build("bert")
    with pytest.raises(InputError, match="not Linear"):
        Scope.from_model(torch.nn.Linear(2, 2), tokenizer)
    with pytest.raises(InputError, match="not str"):
        Scope.from_model(model, "bert")


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"layer": 3}, "no layer 3; the model's layers are 0 to 2"),
        ({"layer": -1}, "no layer -1"),
        ({"layer": "one"}, "no layer 'one'"),
        ({"k": 0}, "a number from 1 to"),
        ({"k": 10**6}, "a number from 1 to"),
        ({"k": 2.5}, "k is 2.5"),
        ({"metric": "manhattan"}, "open: cosine, euclidean, dot"),
        ({"space": "residual"}, "no space 'residual'; open: value"),
        ({"reference": "output"}, "open: input, layer"),
        ({"candidates": "nouns"}, "open: all, words"),
        ({"token": 14}, "positions 0 to 13"),
        ({"token": "zebra"}, "no token of the text is 'zebra'"),
        ({"token": "flies"}, "stands at positions 2 and 8"),
        ({"token": []}, "list of tokens is empty"),
    ],
)
def test_a_choice_that_is_not_open_is_told_with_those_that_are(demo, choice, sentence):
    reading = demo.read("Time flies like an arrow. Fruit flies like a banana.")
    if "layer" in choice and choice["layer"] == 3:
        choice, sentence = {"layer": 6}, "no layer 6; the model's layers are 0 to 5"
    with pytest.raises(InputError, match=sentence):
        reading.nearest(**choice)


def test_an_unknown_mask_or_list_of_texts_is_refused(scope_of):
    with pytest.raises(InputError, match="open: model, full, causal"):
        scope_of("bert").read(zoo.TEXT, "none")
    with pytest.raises(InputError, match="list of strings"):
        scope_of("bert").read_many(zoo.TEXT)


@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2", "llama", "opt"])
def test_a_text_longer_than_the_model_is_refused_with_both_numbers_or_cut_when_asked(scope):
    text = "the sea " * 60
    with pytest.raises(InputError, match=r"has \d+ tokens, and the model reads at most 40"):
        scope.read(text)
    reading = scope.read(text, truncate=True)
    assert len(reading.tokens) == 40
    assert "was cut" in reading.nearest(1).notes[0]


def test_read_many_of_no_texts_is_no_readings(scope_of):
    assert scope_of("bert").read_many([]) == []


@pytest.mark.parametrize("away", [pickle.dumps, copy.deepcopy])
@pytest.mark.parametrize("of", [lambda scope: scope, lambda scope: scope.read(zoo.TEXT), lambda scope: scope.isolated])
def test_what_holds_a_model_says_what_can_be_sent_to_another_process(of, away, handed_over):
    with pytest.raises(InputError, match=r"^a \w+ holds its model, .* open the model in every process"):
        away(of(Scope.from_model(*handed_over)))


def test_a_copy_of_a_reading_reads_on(handed_over):
    reading = Scope.from_model(*handed_over).read(zoo.TEXT)
    again = copy.copy(reading)
    assert again is not reading
    assert again.z is reading.z
    assert torch.equal(again.nearest(2).ids, reading.nearest(2).ids)


@pytest.mark.parametrize("given", ["demo", zoo.build("bert")[0]])
def test_what_is_given_to_scope_itself_is_sent_to_where_it_is_opened(given):
    with pytest.raises(InputError, match=r"opened by Scope\.from_pretrained\(name\) or Scope\.from_model") as caught:
        Scope(given)
    assert "\n" not in str(caught.value)
