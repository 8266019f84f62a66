"""A bank holds what the heads write in other texts."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib.resources import files

import pytest
import torch
import zoo

from headscope import InputError, Scope
from headscope.question.stopping import Stopped, while_wanted
from headscope.reading import bank as bank_module

TEXTS = [*zoo.CORPUS, "A dog by the sea.", "She was sure of the arrow."]


@pytest.mark.parametrize("name", ["bert", "llama", "gpt2"])
def test_it_holds_the_outputs_at_every_position_that_is_not_special(scope):
    bank = scope.bank(TEXTS, size=40)
    for number, text in enumerate(bank.texts):
        reading = scope.read(text)
        mine = (bank.text_of == number).nonzero()[:, 0].tolist()
        ordinary = [token for token in reading.tokens if not token.special]
        assert [int(bank.positions[n]) for n in mine] == [token.position for token in ordinary]
        assert [int(bank.ids[n]) for n in mine] == [token.id for token in ordinary]
        for n, token in zip(mine, ordinary, strict=True):
            assert torch.allclose(bank.z[n], reading.z[:, token.position], atol=2e-5)
    assert bank.z.shape[1:] == (scope.card.layers, scope.card.heads, scope.card.d_head)
    assert bank.z.dtype == torch.float32


def test_it_holds_enough_whichever_text_is_left_out(scope_of):
    bank = scope_of("bert").bank(TEXTS, size=30)
    assert bank.texts == tuple(TEXTS[: len(bank.texts)])
    for text in bank.texts:
        rest = bank.without(text)
        assert len(rest) >= 30
        assert rest.texts == tuple(one for one in bank.texts if one != text)
        assert len(rest) == len(bank) - int((bank.text_of == bank.texts.index(text)).sum())
        for n in (0, len(rest) - 1):  # still told by their texts
            of = rest.texts[int(rest.text_of[n])]
            same = (bank.text_of == bank.texts.index(of)) & (bank.positions == rest.positions[n])
            assert torch.equal(bank.z[same][0], rest.z[n])
    assert bank.without("something else") is bank


def test_the_model_reads_the_banks_texts_and_no_others(build):
    scope = Scope.from_model(*build("bert"))
    read = []
    hook = scope.bench.opened.anatomy.blocks[0].module.register_forward_pre_hook(
        lambda module, args: read.append(len(args[0]))
    )
    bank = scope.bank(TEXTS * 50 + [f"{text} sea" for text in TEXTS], size=12)
    hook.remove()
    assert len(bank.texts) < len(TEXTS)
    assert sum(read) - 1 == len(bank.texts)  # one is the probe that tells whether the hook only watches


def test_a_file_is_its_lines_each_once_and_is_read_again_when_it_changed(scope_of, tmp_path):
    scope, file = scope_of("bert"), tmp_path / "texts.txt"
    file.write_text("\n\n".join(["  " + TEXTS[0], *TEXTS, TEXTS[1]]), "utf-8")
    bank = scope.bank(file, size=60)
    listed = scope.bank(TEXTS, size=60)
    assert bank.texts == listed.texts == tuple(TEXTS)
    assert torch.equal(bank.z, listed.z)
    assert bank.name == "texts.txt"
    file.write_text("\n".join(TEXTS[1:]), "utf-8")
    assert scope.bank(str(file), size=50).texts == tuple(TEXTS[1:])


def test_it_is_made_once_for_its_weights_texts_and_mask(build):
    scope = Scope.from_model(*build("bert"))
    bank = scope.bank(TEXTS, size=40)
    assert scope.bank(list(TEXTS), size=40) is bank
    causal = scope.bank(TEXTS, size=40, mask="causal")
    assert not torch.allclose(causal.z, bank.z)
    with torch.no_grad():
        next(scope.bench.opened.model.parameters()).mul_(1.5)
    again = scope.bank(TEXTS, size=40)
    assert again.weights_sha256 != bank.weights_sha256
    near = scope.read(zoo.TEXT).nearest(2, k=3)
    assert near.reading is not None
    with pytest.raises(InputError, match="other weights"):
        near.reading.background(near, bank)


def test_what_was_read_before_its_end_is_not_read_again(build, monkeypatch):
    scope, other = Scope.from_model(*build("bert")), Scope.from_model(*build("bert"))
    monkeypatch.setattr(bank_module, "_TOKENS", 16)  # several passes
    read, most = [], []
    for one in (scope, other):
        one.bench.opened.anatomy.blocks[0].module.register_forward_pre_hook(
            lambda module, args: read.append(len(args[0]))
        )
    whole = other.bank(TEXTS, size=40)
    passes, read[:] = len(read), []
    for _ in range(100):  # each is ended in its second pass
        begun = len(read)
        with suppress(Stopped), while_wanted(lambda begun=begun: len(read) < begun + 2):
            bank = scope.bank(TEXTS, size=40)
            break
        most.append(len(read) - begun)
    assert len(most) > 1
    assert max(most) <= 3
    assert len(read) <= passes + 3 * len(most) < 100
    assert torch.equal(bank.z, whole.z)
    assert torch.equal(bank.text_of, whole.text_of)
    assert scope.bank(TEXTS, size=40) is bank
    assert not [key for key, _ in scope.bench.kept.items() if "so far" in key], "it is held twice"


def test_the_compiled_search_is_loaded_while_the_texts_are_read(build, monkeypatch):
    scope, asked = Scope.from_model(*build("bert")), []
    monkeypatch.setattr(bank_module, "warm_up", lambda: asked.append(len(asked)))
    scope.bank([zoo.TEXT, "a banana"], size=4)
    assert asked == [0]


def test_the_window_is_the_smallest_that_holds_enough(scope_of):
    bank = scope_of("bert").bank(TEXTS, size=40)
    for position, least in [(1, 3), (5, 20), (30, 4), (5, 10**6)]:
        window = bank.around(position, least)
        apart = (bank.positions - position).abs()
        assert len(window) >= min(least, len(bank))
        radius = int(apart[window].max())
        assert len(window) == int((apart <= radius).sum())
        assert int((apart < radius).sum()) < least


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        (
            {"texts": TEXTS, "size": 5000},
            r"6 texts give \d+ outputs .* is to hold 5,000: give more texts, or in Python a smaller size",
        ),
        ({"texts": []}, "0 texts give 0 outputs"),
        ({"texts": "nowhere.txt"}, "'nowhere.txt' is not there"),
        ({"texts": [1, 2]}, "path of a text file, or a list of strings"),
        ({"size": 1}, "2 or more"),
        ({"size": True}, "2 or more"),
        ({"mask": "half"}, "open: model, full, causal"),
    ],
)
def test_what_cannot_be_a_bank_is_told(scope_of, choice, sentence):
    with pytest.raises(InputError, match=sentence):
        scope_of("bert").bank(**choice)


def test_a_file_that_is_no_text_is_told(scope_of, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="no UTF-8 text"):
        scope_of("bert").bank(file)


def test_texts_that_the_tokenizer_does_not_know_are_told(scope_of):
    scope = scope_of("bert")
    assert "unknown words" in scope.bank(["Ж Ж Ж a dog", "Ж Ж"], size=2).notes[0]
    assert not scope.bank(TEXTS, size=40).notes


@pytest.mark.slow
def test_the_projects_sentences_are_many_varied_and_enough_for_the_demo_weights(demo):
    sentences = (files("headscope.reading") / "sentences.txt").read_text("utf-8").splitlines()
    assert len(sentences) == len(set(sentences)) >= 250
    assert all(6 <= len(sentence.split()) <= 30 for sentence in sentences)
    assert len({word.lower() for sentence in sentences for word in sentence.split()}) > 1000
    bank = demo.bank()
    assert len(bank) >= 2000
    assert not bank.notes
    assert len(set(bank.ids.tolist())) > 500


@pytest.mark.parametrize("kind", ["directory", "pipe"])
def test_what_is_no_file_to_be_read_twice_is_not_said_to_be_nowhere(scope_of, tmp_path, kind):
    place = tmp_path / "texts"
    os.mkfifo(place) if kind == "pipe" else place.mkdir()
    with pytest.raises(InputError, match=r"texts' is no regular file: a bank is made of a text file"):
        scope_of("bert").bank(place)
    with pytest.raises(InputError, match=r"nowhere' is not there: a bank is made of a text file"):
        scope_of("bert").bank(tmp_path / "nowhere")
