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


def test_a_reading_is_that_of_the_merged_model(name):
    wrapped, tokenizer = adapted(name)
    one = Scope.from_model(wrapped, tokenizer)
    before = one.read(zoo.TEXT)
    near = before.nearest(3, 2, reference="layer", k=5)
    assert one._vocabulary.encoded("value", "layer", 2, one._vocabulary.feed.spot(3)).way == "closed form"
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


def test_vectors_before_the_text_are_refused():
    model, tokenizer = zoo.build("llama")
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    with pytest.raises(InputError, match="PROMPT_TUNING"):
        Scope.from_model(peft.get_peft_model(model, config), tokenizer)
