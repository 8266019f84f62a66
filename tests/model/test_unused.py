"""A checkpoint's weights that its model has no place for: refused where they would change what is read, else told."""

from __future__ import annotations

import json

import pytest
import torch
import zoo
from safetensors.torch import load_file, save_file
from transformers import T5EncoderModel

from headscope import ModelError, Scope
from tests.model.damage import refused

MASK = torch.ones(40, 40).tril()[None, None]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Directories of the zoo, each with its weights as `change` leaves them."""
    count = iter(range(1000))

    def save(name, change, **config):
        directory = zoo.save(name, tmp_path_factory.mktemp("unused") / str(next(count)))
        path = directory / "model.safetensors"
        save_file(change(load_file(path)), path, metadata={"format": "pt"})
        told = json.loads((directory / "config.json").read_text("utf-8"))
        (directory / "config.json").write_text(json.dumps(told | config), "utf-8")
        return directory

    return save


def with_values(*names, shape=(3,)):
    return lambda tensors: tensors | {name: torch.randn(shape) for name in names}


@pytest.mark.parametrize(
    ("name", "weight"),
    [
        ("llama", "model.layers.1.self_attn.o_proj.weight_scale_inv"),  # fp8, read without its scales
        ("llama", "model.embed_tokens.weight_scale"),
        ("qwen3", "model.layers.0.self_attn.q_proj.bias"),  # a bias that the configuration does not know
        ("olmo2", "model.layers.0.input_layernorm.weight"),  # a norm more
        ("gptj", "transformer.h.2.attn.out_proj.bias"),
        ("roberta", "roberta.encoder.relative_attention_bias.weight"),
        ("albert", "encoder.albert_layer_groups.0.albert_layers.1.ffn.weight"),
    ],
)
def test_a_weight_inside_a_part_that_is_read_is_refused(saved, name, weight):
    refused(saved(name, with_values(weight)), rf"no place for, {weight}")


@pytest.mark.parametrize("name", ["distilbert", "gpt-neox", "mistral"])
def test_more_layers_than_the_configuration_says_are_refused(saved, name):
    kept = {"distilbert": "n_layers"}.get(name, "num_hidden_layers")
    refused(saved(name, dict, **{kept: 2}), r"no place for, .*\.2\..* and \d+ more")


@pytest.mark.parametrize("prefix", ["", "base_model.model."])
def test_an_adapter_that_is_not_merged_is_refused_with_the_way_to_merge_it(saved, prefix):
    name = f"{prefix}model.layers.1.self_attn.v_proj.lora_A.default.weight"
    refused(saved("mistral", with_values(name)), "adapter that is not merged .*merge_and_unload")


def test_layers_that_keep_their_own_weights_beside_an_adapter_are_refused_as_an_adapter(saved):
    def wrapped(tensors):
        named = {f"base_model.model.{k.replace('v_proj', 'v_proj.base_layer')}": v for k, v in tensors.items()}
        return with_values("base_model.model.model.layers.0.self_attn.v_proj.lora_B.default.weight")(named)

    refused(saved("mistral", wrapped), "adapter that is not merged")


@pytest.mark.parametrize(
    "weight", ["model.norm.bias", "lm_head.bias", "model.embed_positions.weight", "vision_tower.layers.0.q.weight"]
)
def test_a_weight_elsewhere_is_a_note_of_every_reading(saved, weight):
    directory = saved("llama", with_values(weight))
    reading = Scope.from_pretrained(str(directory)).read(zoo.TEXT)
    told = f"The checkpoint has weights that the model has no place for, and that are not used: {weight}."
    assert told in reading.notes
    assert told in reading.nearest(1).notes
    assert torch.equal(reading.z, Scope.from_model(*zoo.build("llama")).read(zoo.TEXT).z)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("bert", {"cls.predictions.bias": (9,), "cls.seq_relationship.weight": (2, 32)}),
        ("bert", {"classifier.weight": (2, 32), "classifier.bias": (2,)}),
        ("roberta", {"roberta.pooler.dense.weight": (32, 32), "classifier.dense.weight": (32, 32)}),
        ("distilbert", {"vocab_transform.weight": (32, 32), "qa_outputs.weight": (2, 32)}),
        ("llama", {"score.weight": (2, 32)}),
    ],
)
def test_a_head_on_top_is_left_off_without_a_word(saved, name, weights):
    directory = saved(name, lambda tensors: tensors | {key: torch.randn(shape) for key, shape in weights.items()})
    assert Scope.from_pretrained(str(directory)).read(zoo.TEXT).notes == ()


@pytest.mark.parametrize(
    ("name", "buffers"),
    [
        ("gpt2", {"transformer.h.0.attn.bias": MASK}),
        ("gpt-neo", {"transformer.h.0.attn.attention.bias": MASK.bool()}),
        ("gptj", {"transformer.h.1.attn.bias": MASK, "transformer.h.1.attn.masked_bias": torch.tensor(-1e9)}),
        ("llama", {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}),
        ("bert", {"embeddings.position_ids": torch.arange(40)[None]}),
    ],
)
def test_a_buffer_that_holds_nothing_learnt_is_no_reason(saved, name, buffers):
    directory = saved(name, lambda tensors: tensors | {key: value.clone() for key, value in buffers.items()})
    reading = Scope.from_pretrained(str(directory)).read(zoo.TEXT)
    assert reading.notes == ()
    assert torch.equal(reading.z, Scope.from_model(*zoo.build(name)).read(zoo.TEXT).z)


def test_what_has_the_name_of_a_mask_and_is_none_is_refused(saved):
    refused(saved("gptj", with_values("transformer.h.1.attn.bias", shape=(1, 1, 40, 40))), "no place for")


def test_other_shapes_than_the_configuration_describes_are_told_by_name(saved):
    def turned(tensors):
        return tensors | {
            "model.layers.1.mlp.up_proj.weight": tensors["model.layers.1.mlp.up_proj.weight"].T.contiguous()
        }

    refused(saved("llama", turned), r"up_proj.weight \(\(32, 48\) in the file, \(48, 32\) by the configuration")


def test_an_encoder_alone_opens_as_what_it_is(tmp_path):
    model, tokenizer = zoo.build("t5-encoder")
    assert isinstance(model, T5EncoderModel)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert torch.equal(
        Scope.from_pretrained(str(tmp_path)).read(zoo.TEXT).z, Scope.from_model(model, tokenizer).read(zoo.TEXT).z
    )


def test_the_stack_that_is_read_needs_its_own_weights_only(saved):
    def encoder(tensors):
        return {key: value for key, value in tensors.items() if not key.startswith("model.decoder.layers")}

    directory = saved("bart/encoder", encoder)
    assert Scope.from_pretrained(str(directory), stack="encoder").card.layers == 3
    with pytest.raises(ModelError, match=r"no values for model\.decoder\.layers\.0"):
        Scope.from_pretrained(str(directory), stack="decoder")
