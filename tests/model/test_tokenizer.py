"""Tokenizers as files: what opens, and what is refused before it costs time or memory."""

from __future__ import annotations

import contextlib
import json

import pytest
import torch
import zoo
from transformers import ByT5Tokenizer, T5Config, T5EncoderModel

from headscope import InputError, ModelError, Scope
from headscope.model.opening.default import is_complete
from tests.model.damage import refused


@pytest.fixture
def directory(tmp_path):
    return zoo.save("bert", tmp_path / "model")


def changed(directory, file, **fields):
    path = directory / file
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | fields), "utf-8")


def test_a_tokenizer_of_bytes_needs_no_file_of_a_vocabulary(tmp_path):
    tokenizer = ByT5Tokenizer()
    config = T5Config(vocab_size=384, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4)
    model = zoo.randomise(T5EncoderModel(config).eval())
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert is_complete(tmp_path)
    reading = Scope.from_pretrained(str(tmp_path)).read("naïve")
    assert [token.id for token in reading.tokens] == tokenizer("naïve")["input_ids"]
    assert torch.equal(reading.z, Scope.from_model(model, tokenizer).read("naïve").z)


@pytest.mark.parametrize("named", ["BertTokenizer", "T5Tokenizer", "NoSuchTokenizer"])
def test_a_tokenizer_whose_vocabulary_is_not_there_is_none(directory, named):
    (directory / "tokenizer.json").unlink()
    changed(directory, "tokenizer_config.json", tokenizer_class=named)
    assert not is_complete(directory)
    refused(directory, "has no tokenizer")


def test_a_vocabulary_of_special_tokens_alone_is_none(directory):
    model = json.loads((directory / "tokenizer.json").read_text("utf-8"))["model"]
    added = [{"id": 0, "content": "[UNK]", "special": True}]
    fields = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [token | fields for token in added]
    changed(directory, "tokenizer.json", model=model | {"vocab": {"[UNK]": 0}}, added_tokens=added, post_processor=None)
    refused(directory, "no vocabulary: no token that is not special")


def test_a_word_that_the_tokenizer_can_make_nothing_of_is_told(directory):
    model = json.loads((directory / "tokenizer.json").read_text("utf-8"))["model"]
    changed(directory, "tokenizer.json", model=model | {"unk_token": "<none>"})
    scope = Scope.from_pretrained(str(directory))
    with pytest.raises(InputError, match="makes no tokens of this text: WordPiece error"):
        scope.read("naïve 😀")


def replaced(pattern, content):
    return {"type": "Replace", "pattern": pattern, "content": content}


@pytest.mark.parametrize(
    "step",
    [
        replaced({"String": "a"}, "aa"),
        replaced({"String": " "}, "  "),
        replaced({"Regex": "[α-ω]"}, "αω"),
        replaced({"Regex": ""}, "x"),
        {"type": "Sequence", "normalizers": [replaced({"String": "e"}, "ee")]},
    ],
)
def test_a_normalizer_that_grows_without_end_is_refused_before_it_is_used(directory, step):
    changed(directory, "tokenizer.json", normalizer={"type": "Sequence", "normalizers": [step] * 70})
    refused(directory, "times as long")


def test_one_replacement_by_a_very_long_text_is_refused_too(directory):
    changed(directory, "tokenizer.json", normalizer=replaced({"String": "e"}, "e" * 10**6))
    refused(directory, "times as long")


def test_a_normalizer_that_changes_every_letter_is_used(directory):
    steps = [{"type": "NFKD"}, {"type": "Lowercase"}, replaced({"String": "\t"}, "    "), {"type": "StripAccents"}]
    changed(directory, "tokenizer.json", normalizer={"type": "Sequence", "normalizers": steps})
    assert Scope.from_pretrained(str(directory)).read("TIME\tflíes").tokens[1].text == "time"


def test_padding_to_a_fixed_length_is_left_off(directory):
    padding = {"strategy": {"Fixed": 10**9}, "direction": "Right", "pad_to_multiple_of": None}
    changed(directory, "tokenizer.json", padding=padding | {"pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"})
    assert len(Scope.from_pretrained(str(directory)).read("time flies").tokens) == 4


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model_max_length", "x"),
        ("model_max_length", []),
        ("unk_token", ""),
        ("unk_token", 3),
        ("added_tokens_decoder", {"a": 1}),
        ("extra_special_tokens", {"a": 1}),
        ("tokenizer_class", "RagTokenizer"),
    ],
)
def test_a_field_of_a_wrong_type_is_told(directory, field, value):
    changed(directory, "tokenizer_config.json", **{field: value})
    refused(directory, "the tokenizer in .* cannot be loaded")


def test_a_file_without_its_parts_is_told(directory):
    (directory / "tokenizer.json").write_text("{}", "utf-8")
    refused(directory, r"the tokenizer in .* cannot be loaded: it has no 'added_tokens'\.$")


def test_code_and_templates_that_come_with_a_tokenizer_are_not_run(directory, tmp_path):
    left = tmp_path / "left"
    (directory / "mine.py").write_text(f"open({str(left)!r}, 'w')\nclass T: pass", "utf-8")
    template = "{% for x in ().__class__.__base__.__subclasses__() %}{{ x.__init__.__globals__ }}{% endfor %}"
    changed(
        directory, "tokenizer_config.json", auto_map={"AutoTokenizer": ["mine.T", "mine.T"]}, chat_template=template
    )
    reading = Scope.from_pretrained(str(directory)).read(zoo.TEXT)  # its own class is known
    assert torch.equal(reading.z, Scope.from_model(*zoo.build("bert")).read(zoo.TEXT).z)
    changed(directory, "tokenizer_config.json", tokenizer_class="T")
    with contextlib.suppress(ModelError):
        Scope.from_pretrained(str(directory))
    assert not left.exists()
