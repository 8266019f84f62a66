"""What differs between the versions of transformers: the readings are right on each, or there is a sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import transformers
import zoo
from torch import nn
from transformers.masking_utils import causal_mask_function

from headscope import ModelError, Scope
from headscope.model.capture.capture import _mask_of_watched
from headscope.model.capture.parts import Parts
from headscope.model.capture.versions import MaskShape, has_own_table, hides_by_itself, mask_shape

VERSION = tuple(map(int, transformers.__version__.split(".")[:2]))
AT_FIRST = VERSION < (5, 3)  # masks are asked for by the queries' positions


def options() -> dict[str, object]:
    lengths = {"cache_position": torch.arange(4)} if AT_FIRST else {"q_length": 4}
    return {"batch_size": 2, "kv_length": 4, "mask_function": causal_mask_function, "dtype": torch.float64, **lengths}


def test_the_size_of_a_mask_is_read_off_however_it_is_asked_for():
    assert mask_shape((), options()) == MaskShape(2, 4, 4, torch.float64, torch.device("cpu"))


def test_a_watched_models_own_mask_is_transformers_eager_one():
    mask = _mask_of_watched(**options())
    assert mask.shape[-2:] == (4, 4)
    assert ((mask[0, 0] < 0) == ~torch.ones(4, 4).bool().tril()).all()


def test_a_triangle_among_a_modules_buffers_is_seen_for_what_it_is():
    module = nn.Module()
    assert not hides_by_itself(module)
    module.register_buffer("padding", torch.ones(1, 1, 5, 5).bool())
    assert not hides_by_itself(module)
    module.register_buffer("bias", torch.ones(1, 1, 5, 5).bool().tril())
    assert hides_by_itself(module)


def test_attention_that_hides_by_itself_is_watched_under_the_name_that_it_knows(monkeypatch):
    """GPT-2 as it was: a triangle of its own in the eager function, whatever the mask."""
    model, tokenizer = zoo.build("gpt2")
    expected = Scope.from_model(model, tokenizer).read(zoo.TEXT, "full").z
    file = transformers.models.gpt2.modeling_gpt2
    before = file.eager_attention_forward

    def hiding(module, query, key, value, attention_mask, **kwargs):
        weights = torch.matmul(query, key.transpose(-1, -2)) / value.shape[-1] ** 0.5
        lowest = torch.full([], torch.finfo(weights.dtype).min)
        weights = torch.where(module.bias[:, :, : query.shape[2], : key.shape[2]], weights, lowest)
        if attention_mask is not None:
            weights = weights + attention_mask[:, :, :, : key.shape[-2]]
        weights = weights.softmax(-1)
        return torch.matmul(weights, value).transpose(1, 2), weights

    monkeypatch.setattr(file, "eager_attention_forward", hiding)
    assert before is not hiding
    for block in model.transformer.h:
        block.attn.register_buffer("bias", torch.ones(1, 1, 40, 40).bool().tril(), persistent=False)
    scope = Scope.from_model(model, tokenizer)
    assert not Parts.of(model).take_attention_by_name
    assert torch.allclose(scope.read(zoo.TEXT, "full").z, expected, atol=1e-5)
    assert (scope.read(zoo.TEXT).pattern.triu(1) == 0).all()


def test_a_table_of_attention_functions_in_a_models_own_file_is_seen(monkeypatch):
    model, _ = zoo.build("bert")
    assert not has_own_table(model)
    file = transformers.models.bert.modeling_bert
    monkeypatch.setattr(file, "BERT_ATTENTION_FUNCTION", {"eager": None, "sdpa": None}, raising=False)
    assert has_own_table(model)


def test_a_decoder_whose_attention_is_computed_in_the_open_is_refused_in_a_sentence(monkeypatch):
    """As T5's is at first: its cross-attention could not be told from its own."""
    monkeypatch.setattr(Parts, "_can_be_named", property(lambda parts: False))
    with pytest.raises(ModelError, match=r"is not told from what it attends to of its encoder: read the encoder"):
        Scope.from_model(*zoo.build("t5/decoder"), stack="decoder")


def test_the_oldest_version_that_is_allowed_is_the_one_that_is_named_in_the_documentation():
    root = Path(__file__).parents[2]
    oldest = re.search(r'"transformers>=([\d.]+),<6"', (root / "pyproject.toml").read_text("utf-8"))
    assert oldest is not None
    assert f"transformers {oldest[1]}" in (root / "docs" / "models.md").read_text("utf-8")
