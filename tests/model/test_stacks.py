"""Encoder-decoders: which stack is read, and what the decoder attends to."""

from __future__ import annotations

import json

import pytest
import torch
import zoo

from headscope import InputError, ModelError, Scope

BOTH = ["bart", "t5"]


@pytest.fixture(params=BOTH)
def kind(request):
    return request.param


def stack(kind, name):
    return Scope.from_model(*zoo.build(f"{kind}/{name}"), stack=name)


def test_without_a_stack_the_two_are_named(kind):
    with pytest.raises(ModelError, match=r"stack='encoder' or stack='decoder'"):
        Scope.from_model(*zoo.build(f"{kind}/encoder"))


def test_a_model_with_one_stack_takes_no_name():
    with pytest.raises(InputError, match="has one stack"):
        Scope.from_model(*zoo.build("bert"), stack="encoder")


def test_a_stack_that_does_not_exist_is_told(kind):
    model, tokenizer = zoo.build(f"{kind}/encoder")
    with pytest.raises(InputError, match="open: encoder, decoder"):
        Scope.from_model(model, tokenizer, stack="middle")


def test_the_decoder_computes_what_it_does_in_the_whole_model(kind):
    model, tokenizer = zoo.build(f"{kind}/decoder")
    scope = Scope.from_model(model, tokenizer, stack="decoder")
    reading = scope.read(zoo.TEXT, decoder_text="A bird in the hand")
    ids = [token.id for token in reading.tokens]
    model.set_attn_implementation("eager")
    source = tokenizer(zoo.TEXT, return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        whole = model(**source, decoder_input_ids=torch.tensor([ids]), output_attentions=True)
    for layer, pattern in enumerate(whole.decoder_attentions):
        assert torch.allclose(pattern[0], reading.pattern[layer], atol=1e-6)
    assert reading.tokens[0].id == model.config.decoder_start_token_id
    assert reading.text == "A bird in the hand"
    assert "cross-attention is not captured" in reading.nearest(2).notes[0]


def test_the_encoder_computes_what_it_does_in_the_whole_model(kind):
    model, tokenizer = zoo.build(f"{kind}/encoder")
    reading = Scope.from_model(model, tokenizer, stack="encoder").read(zoo.TEXT)
    model.set_attn_implementation("eager")
    source = tokenizer(zoo.TEXT, return_tensors="pt", return_token_type_ids=False)
    with torch.no_grad():
        patterns = model.get_encoder()(**source, output_attentions=True).attentions
    assert torch.allclose(torch.cat(patterns), reading.pattern, atol=1e-6)


def test_what_the_encoder_reads_changes_what_the_decoder_writes(kind):
    scope = stack(kind, "decoder")
    one, two = (scope.read(text, decoder_text="A bird") for text in (zoo.TEXT, zoo.CORPUS[1]))
    assert torch.equal(one.z[0], two.z[0])  # below the first cross-attention nothing has been heard of it
    assert not torch.allclose(one.z[1], two.z[1], atol=1e-3)


def test_the_mask_of_the_decoder_can_be_taken_off_while_it_attends_to_the_encoder(kind):
    scope = stack(kind, "decoder")
    assert scope.card.causal
    assert bool((scope.read(zoo.TEXT, "full", decoder_text="A bird in the hand").pattern > 0).all())


def test_a_decoder_text_needs_a_decoder(kind):
    with pytest.raises(InputError, match="decoder_text is for a decoder"):
        stack(kind, "encoder").read(zoo.TEXT, decoder_text="A bird")


@pytest.mark.parametrize("told", ["decoder_start_token_id", "bos_token_id"])
def test_the_start_of_a_decoder_is_looked_for_where_generate_does(kind, told):
    model, tokenizer = zoo.build(f"{kind}/decoder")
    for config in (model.config, model.generation_config):
        config.decoder_start_token_id = config.bos_token_id = None
    setattr(model.generation_config, told, 3)
    reading = Scope.from_model(model, tokenizer, stack="decoder").read(zoo.TEXT)
    assert reading.tokens[0].id == 3


def test_where_two_configs_name_another_start_of_a_decoder_it_is_that_of_generate(kind):
    model, tokenizer = zoo.build(f"{kind}/decoder")
    model.config.decoder_start_token_id, model.generation_config.decoder_start_token_id = 2, 3
    begun = model.generate(torch.tensor([[5, 6]]), max_new_tokens=1)
    reading = Scope.from_model(model, tokenizer, stack="decoder").read(zoo.TEXT)
    assert reading.tokens[0].id == int(begun[0, 0]) == 3


def test_the_start_of_a_decoder_is_read_from_a_directorys_generation_config(tmp_path, kind):
    model, tokenizer = zoo.build(f"{kind}/decoder")
    model.generation_config.decoder_start_token_id = 3
    model.config.decoder_start_token_id = model.config.bos_token_id = None
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "generation_config.json").read_text())["decoder_start_token_id"] == 3
    reading = Scope.from_pretrained(tmp_path, stack="decoder").read(zoo.TEXT)
    assert reading.tokens[0].id == 3
    (tmp_path / "generation_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"generation_config\.json cannot be read"):
        Scope.from_pretrained(tmp_path, stack="decoder")


def test_a_decoder_that_nothing_says_the_start_of_is_refused():
    model, tokenizer = zoo.build("t5/decoder")
    model.generation_config.decoder_start_token_id = model.generation_config.bos_token_id = None
    model.get_decoder().config.bos_token_id = None
    del model.config.decoder_start_token_id
    with pytest.raises(ModelError, match="does not say which token its decoder starts with"):
        Scope.from_model(model, tokenizer, stack="decoder")
