"""Checkpoints whose weights are packed, and weights that are packed on loading: what they are, they are read as."""

from __future__ import annotations

import json

import packed
import pytest
import torch
import transformers
import zoo
from safetensors.torch import load_file, save_file

from headscope import InputError, ModelError, Scope
from headscope.commands.cli import main
from headscope.model.opening.files import sha256
from headscope.studies.verify import verify

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU takes these weights as they are packed")


@pytest.fixture
def directory(tmp_path):
    """A tiny Llama as a local directory, wide enough to be packed."""
    model, tokenizer = zoo.build("llama", shape=packed.SHAPE)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def configured(directory, **told):
    """The directory, whose configuration says how its weights are packed."""
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"quantization_config": told}))
    return directory


def config_of(name):
    """What transformers is told, to pack a model as it is loaded."""
    if name == "torchao int8":
        from torchao.quantization import Int8WeightOnlyConfig

        return transformers.TorchAoConfig(Int8WeightOnlyConfig())
    return transformers.BitsAndBytesConfig(load_in_4bit="4bit" in name, load_in_8bit="8bit" in name)


@pytest.mark.parametrize("name", ["bitsandbytes 4bit", "bitsandbytes 8bit", "torchao int8"])
def test_a_packed_checkpoint_is_read_as_the_model_that_transformers_opens(directory, tmp_path, name):
    packed.need(name.split()[0])
    options = {"device_map": "cpu", "dtype": torch.float32}
    made = transformers.AutoModelForCausalLM.from_pretrained(directory, quantization_config=config_of(name), **options)
    tokenizer = zoo.build("llama")[1]
    saved = tmp_path / "packed"
    made.save_pretrained(saved)
    tokenizer.save_pretrained(saved)
    scope = Scope.from_pretrained(str(saved))
    assert scope.card.weights.startswith(name.split()[0])
    assert scope.card.weights_sha256 == sha256(saved / "model.safetensors")
    assert verify(scope).holds
    assert torch.equal(scope.read(zoo.TEXT).z, Scope.from_model(made, tokenizer).read(zoo.TEXT).z)


@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_weights_are_packed_on_loading_when_that_is_asked_for(directory, bits):
    packed.need("bitsandbytes")
    plain, scope = Scope.from_pretrained(str(directory)), Scope.from_pretrained(str(directory), quantize=bits)
    card = scope.card
    assert (card.quantize, plain.card.quantize) == (bits, None)
    assert card.weights.startswith("bitsandbytes")
    assert verify(scope).holds
    one, other = (each.read(zoo.TEXT).z for each in (scope, plain))
    assert 1e-3 < float((one - other).norm() / other.norm()) < 0.5
    # Other weights than the file's: what is kept of them on disk must not be taken for theirs.
    again = Scope.from_pretrained(str(directory), quantize=bits).card.weights_sha256
    assert len({plain.card.weights_sha256, card.weights_sha256}) == 2
    assert again == card.weights_sha256


def test_the_command_line_packs_and_says_so(directory, capsys):
    packed.need("bitsandbytes")
    with pytest.raises(SystemExit) as left:
        main(["look", zoo.TEXT, "--model", str(directory), "--quantize", "8bit", "--token", "1", "-k", "2", "--json"])
    assert not left.value.code
    shown = capsys.readouterr()
    assert "bitsandbytes Int8Params" in json.loads(shown.out)["model"]["arithmetic"]
    assert "will be cast" not in shown.err


def test_what_cannot_be_packed_is_told(directory, monkeypatch):
    with pytest.raises(InputError, match="quantize is '3bit'; open: 4bit, 8bit, or None"):
        Scope.from_pretrained(str(directory), quantize="3bit")
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes", None)
    with pytest.raises(InputError, match=r'needs bitsandbytes: pip install "headscope\[quantised\]"'):
        Scope.from_pretrained(str(directory), quantize="4bit")


def test_what_is_packed_already_is_not_packed_again(directory):
    packed.need("bitsandbytes")
    configured(directory, quant_method="fp8", activation_scheme="dynamic", weight_block_size=[64, 64])
    with pytest.raises(InputError, match=r"quantised already \(fp8\), and is not packed again: open it without 4bit"):
        Scope.from_pretrained(str(directory), quantize="4bit")


@pytest.mark.parametrize("method", ["gptq", "awq", "aqlm"])
def test_a_kind_whose_package_is_not_there_is_told(directory, method):
    configured(directory, quant_method=method, bits=4, group_size=32, version="gemm", desc_act=False)
    with pytest.raises(ModelError, match=r"cannot be loaded: .*(gptqmodel|optimum|[Aa]utoAWQ|AQLM)"):
        Scope.from_pretrained(str(directory))


def in_blocks(weight, size=32):
    """A weight as 8-bit floats with a scale a block, and what they say."""
    blocks = weight.unflatten(0, (-1, size)).unflatten(2, (-1, size))
    scale = blocks.abs().amax((1, 3)) / 448
    kept = (blocks / scale[:, None, :, None]).to(torch.float8_e4m3fn)
    unpacked = (kept.float() * scale[:, None, :, None]).reshape(weight.shape)
    return kept.reshape(weight.shape), scale, unpacked


@without_gpu
def test_8_bit_floats_in_blocks_are_unpacked_where_no_gpu_takes_them(directory):
    model, tokenizer = zoo.build("llama", shape=packed.SHAPE)
    tensors = load_file(directory / "model.safetensors")
    for name, module in model.named_modules():
        if type(module) is torch.nn.Linear and name != "lm_head":
            kept, scale, module.weight.data = in_blocks(module.weight.data)
            tensors |= {f"{name}.weight": kept, f"{name}.weight_scale_inv": scale}
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    configured(
        directory,
        quant_method="fp8",
        activation_scheme="dynamic",
        weight_block_size=[32, 32],
        modules_to_not_convert=["lm_head"],
    )
    scope = Scope.from_pretrained(str(directory))
    assert scope.card.weights == "float32, unpacked from fp8"
    expected = Scope.from_model(model, tokenizer).read(zoo.TEXT).z
    assert torch.allclose(scope.read(zoo.TEXT).z, expected, rtol=1e-5, atol=1e-5)


@without_gpu
def test_experts_of_4_bit_floats_are_unpacked_where_no_gpu_takes_them(tmp_path):
    model, tokenizer = zoo.build("gpt-oss", shape=packed.SHAPE | {"head_dim": 16})
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    for name, parameter in model.named_parameters():
        if name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            made = [packed.Mxfp4(linear_of(one.T)) for one in parameter.data]  # an expert's [in, out]
            del tensors[name]
            tensors[f"{name}_blocks"] = torch.stack([one.blocks.data for one in made])
            tensors[f"{name}_scales"] = torch.stack([one.scales.data for one in made])
            parameter.data = torch.stack([one.unpack().T for one in made])
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    left = ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]
    scope = Scope.from_pretrained(str(configured(tmp_path, quant_method="mxfp4", modules_to_not_convert=left)))
    assert scope.card.weights == "float32, unpacked from mxfp4"
    expected = Scope.from_model(model, tokenizer).read(zoo.TEXT).z
    assert torch.allclose(scope.read(zoo.TEXT).z, expected, rtol=1e-5, atol=1e-5)


def linear_of(weight):
    made = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    made.weight.data = weight.contiguous()
    return made


@pytest.mark.slow
@pytest.mark.parametrize("activations", [None, 8])
def test_compressed_tensors_are_unpacked_when_they_are_loaded(tmp_path, activations):
    """Their own layers unpack themselves in a model's first pass, and have no weight before it."""
    packed.need("compressed_tensors")
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import (
        QuantizationArgs,
        QuantizationConfig,
        QuantizationScheme,
        apply_quantization_config,
    )

    source = zoo.save("llama", tmp_path)
    model = transformers.AutoModelForCausalLM.from_pretrained(source)
    scheme = QuantizationScheme(
        targets=["Linear"],
        weights=QuantizationArgs(num_bits=4, strategy="channel"),
        input_activations=activations and QuantizationArgs(num_bits=activations, dynamic=True, strategy="token"),
    )
    config = QuantizationConfig(config_groups={"all": scheme}, ignore=["lm_head"], format="pack-quantized")
    apply_quantization_config(model, config)
    rounded = {}
    for name, layer in model.named_modules():
        if hasattr(layer, "weight_scale"):
            layer.weight_scale.data.copy_(layer.weight.detach().abs().amax(1, keepdim=True) / 7)
            scale = layer.weight_scale.detach()
            rounded[name] = (layer.weight.detach() / scale).round().clamp(-8, 7) * scale
    compressor = ModelCompressor.from_pretrained_model(model, quantization_format="pack-quantized")
    compressor.compress_model(model)
    saved = tmp_path / "packed"
    model.save_pretrained(saved)
    compressor.update_config(saved)
    zoo.build("llama")[1].save_pretrained(saved)

    plain, tokenizer = transformers.AutoModelForCausalLM.from_pretrained(source), zoo.build("llama")[1]
    for name, weight in rounded.items():
        plain.get_submodule(name).weight.data.copy_(weight)
    scope, expected = Scope.from_pretrained(str(saved)), Scope.from_model(plain, tokenizer)
    assert torch.allclose(scope.read(zoo.TEXT).z, expected.read(zoo.TEXT).z, atol=1e-5)
    said = "float32, unpacked from compressed-tensors"
    if activations:
        said += ", whose activations are rounded, too; here they are not"
    assert scope.card.weights == said
    assert verify(scope).holds
