"""Models wrapped by PEFT: read with their adapters, as if these were merged."""

from __future__ import annotations

import pytest
import torch
import zoo

from headscope import InputError, Scope

peft = pytest.importorskip("peft")
TARGETS = {
    "bert": ["query", "value", "attention.output.dense"],
    "llama": ["q_proj", "v_proj", "o_proj"],
    "gpt2": ["c_attn", "attn.c_proj"],
}


@pytest.fixture(params=sorted(TARGETS))
def name(request):
    return request.param


def adapted(name):
    model, tokenizer = zoo.build(name)
    config = peft.LoraConfig(r=3, lora_alpha=9, target_modules=TARGETS[name], fan_in_fan_out=name == "gpt2")
    wrapped = peft.get_peft_model(model, config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for key, parameter in wrapped.named_parameters():
            if "lora_" in key:  # B begins at 0, which would hide the adapter
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return wrapped.eval(), tokenizer


@pytest.mark.slow(cases=1)
def test_a_reading_is_that_of_the_merged_model(name):
    wrapped, tokenizer = adapted(name)
    one = Scope.from_model(wrapped, tokenizer)
    before = one.read(zoo.TEXT)
    near = before.nearest(3, 2, reference="layer", k=5)
    assert one.bench.vocabulary.encoded("value", "layer", 2, one.bench.vocabulary.feed.spot(3)).way == "closed form"
    weights = one.weights(2)
    other = Scope.from_model(wrapped.merge_and_unload(), tokenizer)
    merged = other.read(zoo.TEXT)
    assert torch.allclose(before.z, merged.z, atol=2e-5)
    assert torch.allclose(near.distances, merged.nearest(3, 2, reference="layer", k=5).distances, atol=1e-5)
    assert torch.allclose(weights.w_o, other.weights(2).w_o, atol=1e-5)
    assert torch.allclose(weights.v.weight, other.weights(2).v.weight, atol=1e-5)
    plain, _ = zoo.build(name)
    assert not torch.allclose(merged.z, Scope.from_model(plain, tokenizer).read(zoo.TEXT).z, atol=1e-2)


def test_the_wrapped_model_is_left_as_it_was(name):
    wrapped, tokenizer = adapted(name)
    ids = tokenizer(zoo.TEXT, return_tensors="pt", return_token_type_ids=False)
    before = wrapped(**ids)[0]
    Scope.from_model(wrapped, tokenizer).read(zoo.TEXT).nearest(2)
    assert torch.equal(wrapped(**ids)[0], before)


@pytest.mark.slow(cases=1)
def test_an_adapter_that_is_in_training_is_read_without_its_dropout(name):
    model, tokenizer = zoo.build(name)
    config = peft.LoraConfig(
        r=3,
        target_modules=TARGETS[name],
        fan_in_fan_out=name == "gpt2",
        lora_dropout=0.5,
        init_lora_weights=False,
    )
    torch.manual_seed(0)
    wrapped = peft.get_peft_model(model, config).train()
    training = numbers(Scope.from_model(wrapped, tokenizer))
    for got, expected in zip(training, numbers(Scope.from_model(wrapped.eval(), tokenizer)), strict=True):
        assert torch.equal(got, expected)


def numbers(scope):
    reading = scope.read(zoo.TEXT)
    answers = [reading.nearest(2, 1, space, k=5).distances for space in ("value", "output", "key")]
    return [scope.weights(1).w_o, scope.weights(1).v.weight, reading.stages[1].middle, *answers]


EMBEDDINGS = {"bert": "word_embeddings", "llama": "embed_tokens", "gpt2": "wte"}


@pytest.mark.parametrize("kind", ["lora", "trainable tokens"])
def test_adapters_on_the_embeddings_are_read_as_the_merged_model_is(name, kind):
    model, tokenizer = zoo.build(name)
    target = [EMBEDDINGS[name]]
    torch.manual_seed(0)
    if kind == "lora":
        wrapped = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=target, init_lora_weights=False))
    else:
        ids = tokenizer(zoo.TEXT)["input_ids"][2:5]
        config = peft.TrainableTokensConfig(token_indices=sorted(set(ids)), target_modules=target)
        wrapped = peft.get_peft_model(model, config)
        with torch.no_grad():
            for key, parameter in wrapped.named_parameters():
                if "trainable_tokens_delta" in key:
                    parameter.normal_()
    wrapped.eval()
    spaces = ("value", "output", "embedding")
    plain = Scope.from_model(*zoo.build(name)).read(zoo.TEXT)
    reading = Scope.from_model(wrapped, tokenizer).read(zoo.TEXT)
    found = [reading.nearest([2, 3], 1, space, k=5).distances for space in spaces]
    own = reading.nearest([2, 3], 0, vector="v", metric="euclidean").own_distance
    assert float(own.max()) < 1e-5 * float(reading.v[0].norm(dim=-1).max())
    merged = Scope.from_model(wrapped.merge_and_unload(), tokenizer).read(zoo.TEXT)
    for got, space in zip(found, spaces, strict=True):
        torch.testing.assert_close(got, merged.nearest([2, 3], 1, space, k=5).distances, atol=2e-5, rtol=1e-4)
    assert not torch.allclose(reading.z, plain.z, atol=1e-2)


def test_vectors_before_the_text_are_refused():
    model, tokenizer = zoo.build("llama")
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    with pytest.raises(InputError, match="PROMPT_TUNING"):
        Scope.from_model(peft.get_peft_model(model, config), tokenizer)


def test_learned_vectors_beside_the_text_are_refused():
    model, tokenizer = zoo.build("llama")
    config = peft.AdaptionPromptConfig(adapter_len=4, adapter_layers=2, task_type="CAUSAL_LM")
    with pytest.raises(InputError, match="ADAPTION_PROMPT lets heads attend to learned vectors beside the text"):
        Scope.from_model(peft.get_peft_model(model, config), tokenizer)
