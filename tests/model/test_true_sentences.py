"""A model that cannot be read is refused with what is true of it; one that only looks so is read."""

from __future__ import annotations

import copy

import pytest
import torch
import transformers
import zoo
from torch import nn

from headscope import InputError, ModelError, Scope


def refusal(model, tokenizer):
    with pytest.raises(ModelError) as caught:
        Scope.from_model(model, tokenizer)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def z(model, tokenizer):
    return Scope.from_model(model, tokenizer).read(zoo.TEXT).z


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("bert", "encoder.layer.1.attention.self.value.weight"),
        ("bert", "encoder.layer.0.output.LayerNorm.bias"),
        ("gpt2", "transformer.h.1.attn.c_attn.weight"),
        ("gpt-neo", "transformer.h.1.attn.attention.v_proj.weight"),
        ("llama", "model.layers.1.mlp.down_proj.weight"),
    ],
)
def test_a_weight_that_is_no_number_is_named_with_the_first_layer_that_it_spoils(build, name, weight):
    model, tokenizer = build(name)
    layer = next(int(part) for part in weight.split(".") if part.isdigit())
    with torch.no_grad():
        model.get_parameter(weight).view(-1)[3] = torch.nan
    said = refusal(model, tokenizer)
    assert f"not finite, first in layer {layer}: its weight {weight} holds some" in said


def test_what_overflows_is_said_with_its_layer_and_its_dtype(build):
    model, tokenizer = build("gpt2")
    model = model.half()
    with torch.no_grad():
        model.transformer.h[1].mlp.c_proj.weight.mul_(2e4)
    said = refusal(model, tokenizer)
    assert "not finite, first in layer 1: they are too large for float16; another dtype may hold them" in said


def test_a_model_without_one_table_of_embeddings_is_said_to_have_none():
    """CANINE hashes characters into several tables."""
    config = transformers.CanineConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, num_hash_buckets=64
    )
    assert refusal(transformers.CanineModel(config), transformers.CanineTokenizer()) == (
        "CanineModel has no table of token embeddings, so it has no vocabulary to compare with."
    )


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_weights_that_are_placeholders_are_said_to_be(build, name):
    model, tokenizer = build(name)
    blocks = model.encoder.layer if name == "bert" else model.transformer.h
    blocks[1].to("meta")
    assert "has weights that are placeholders on the device meta" in refusal(model, tokenizer)


def test_only_what_cannot_be_run_on_token_ids_is_said_not_to_be(build):
    class Needy(transformers.BertModel):
        def forward(self, input_ids=None, attention_mask=None, bbox=None, **options):
            if bbox is None:
                raise ValueError("where are the boxes?")
            return super().forward(input_ids, attention_mask, **options)

    class Watchful(transformers.BertModel):
        def forward(self, input_ids=None, attention_mask=None, **options):
            if "headscope" in self.config._attn_implementation:
                raise ValueError("another attention?")
            return super().forward(input_ids, attention_mask, **options)

    _, tokenizer = build("bert")
    config = transformers.BertConfig(vocab_size=len(tokenizer), **zoo.BERT)
    assert refusal(Needy(config), tokenizer) == ("Needy cannot be run on token ids alone: where are the boxes?.")
    assert refusal(Watchful(config), tokenizer) == (
        "Watchful runs on token ids, but not under the eyes of headscope: another attention?."
    )


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("Qwen2ForSequenceClassification", zoo.GROUPED),
        ("OPTForSequenceClassification", zoo.ZOO["opt"][1][1]),
        ("ElectraForMultipleChoice", zoo.BERT),
    ],
)
def test_a_head_on_top_that_takes_no_batch_is_no_hindrance(kind, shape):
    tokenizer = zoo.llama_like()
    model_class = getattr(transformers, kind)
    config = model_class.config_class(vocab_size=len(tokenizer), bos_token_id=None, eos_token_id=None, **shape)
    config.pad_token_id = None
    model = zoo.randomise(model_class(config))
    scope = Scope.from_model(model, tokenizer)
    inner = Scope.from_model(model.base_model, tokenizer)
    assert torch.equal(scope.read(zoo.TEXT).z, inner.read(zoo.TEXT).z)
    together = scope.read_many([zoo.TEXT, "A bird."])
    assert torch.allclose(together[1].z, scope.read("A bird.").z, atol=2e-5)
    assert scope.read("A bird.").effects(1).kl is None


@pytest.mark.parametrize("name", ["gpt2", "bert"])
def test_a_compiled_model_is_read_as_it_is_written(build, name):
    model, tokenizer = build(name)
    expected = z(model, tokenizer)
    assert torch.equal(z(torch.compile(model, backend="eager"), tokenizer), expected)
    in_place = copy.deepcopy(model)
    in_place.compile(backend="eager")
    assert torch.equal(z(in_place, tokenizer), expected)
    model.forward = torch.compile(model.forward, backend="eager")
    assert torch.equal(z(model, tokenizer), expected)


class Packed(nn.Module):
    """In the manner of GPTQ and AWQ: integers and scales in buffers, and no parameter."""

    def __init__(self, weight, bias):
        super().__init__()
        scales = weight.abs().amax(0, keepdim=True) / 127
        self.register_buffer("packed", (weight / scales).round().to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("added", bias)

    def forward(self, x):
        return x @ (self.packed.float() * self.scales) + self.added


def test_projections_without_a_parameter_are_measured(build):
    model, tokenizer = build("gpt2")
    for block in model.transformer.h:
        for part in ("c_attn", "c_proj"):
            layer = getattr(block.attn, part)
            setattr(block.attn, part, Packed(layer.weight.detach(), layer.bias.detach()))
    scope = Scope.from_model(model, tokenizer)
    assert scope.card.capture_error < 2e-6
    packed = model.transformer.h[1].attn.c_proj
    assert torch.allclose(scope.weights(1).w_o.flatten(0, 1), packed.packed.float() * packed.scales, atol=1e-5)
    near = scope.read(zoo.TEXT).nearest(2, 0, vector="v", metric="euclidean", k=1)
    assert near.own_rank.tolist() == [1] * 4


@pytest.mark.parametrize("name", ["bert", "t5-encoder", "gpt-neo"])
def test_modules_may_hold_another_configuration_than_the_model(build, name):
    model, tokenizer = build(name)
    expected = z(model, tokenizer)
    inner = model.config
    model.config = copy.deepcopy(inner)
    before = inner._attn_implementation, model.config._attn_implementation
    assert torch.equal(z(model, tokenizer), expected)
    assert (inner._attn_implementation, model.config._attn_implementation) == before


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_an_encoder_decoder_made_of_two_models_is_read(stack):
    tokenizer = zoo.roberta_like()
    parts = {"is_decoder": True, "add_cross_attention": True, "bos_token_id": None, "eos_token_id": None}
    encoder = transformers.BertModel(transformers.BertConfig(vocab_size=len(tokenizer), **zoo.BERT))
    decoder = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4, n_positions=40, **parts)
    )
    model = transformers.EncoderDecoderModel(encoder=encoder, decoder=decoder)
    model.config.decoder_start_token_id, model.config.pad_token_id = 0, 1
    scope = Scope.from_model(zoo.randomise(model), tokenizer, stack=stack)
    assert scope.card.capture_error < 2e-6
    reading = scope.read(zoo.TEXT)
    assert reading.nearest(2, 0, vector="v", metric="euclidean", k=1).own_rank.tolist() == [1] * 4


@pytest.mark.parametrize("kind", ["DeepseekV2ForCausalLM", "DeepseekV3ForCausalLM"])
def test_keys_and_queries_may_be_wider_than_values(kind):
    tokenizer = zoo.llama_like()
    model_class = getattr(transformers, kind)
    config = model_class.config_class(
        vocab_size=len(tokenizer),
        **zoo.GROUPED | {"num_key_value_heads": 4},
        q_lora_rank=12,
        kv_lora_rank=16,
        qk_rope_head_dim=4,
        qk_nope_head_dim=6,
        v_head_dim=8,
        n_routed_experts=4,
        num_experts_per_tok=2,
        first_k_dense_replace=3,
        n_group=1,
        topk_group=1,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=1,
    )
    scope = Scope.from_model(zoo.randomise(model_class(config)), tokenizer)
    reading = scope.read("Time flies like")
    assert (reading.k.shape[-1], reading.z.shape[-1]) == (10, 8)
    everyone = list(range(len(reading.tokens)))
    for part, space in (("k", "key"), ("q", "query"), ("v", "value")):
        near = reading.nearest(everyone, 0, space, vector=part, metric="euclidean", k=1)
        assert float(near.own_distance.max()) < 1e-5 * float(reading.vectors(part, 0).norm(dim=-1).max())
    assert reading.seeks(1, 1, k=2).ids.shape == (4, 2)
    with pytest.raises(InputError, match=r"have 10 numbers here, and what is to be compared with them has 8"):
        reading.nearest(1, 0, "key", k=2)
