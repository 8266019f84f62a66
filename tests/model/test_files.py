"""The files that are hashed are the files that are loaded, and no other is."""

from __future__ import annotations

import hashlib
import json
import os
import shutil

import pytest
import torch
import zoo
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from headscope import ModelError, Scope
from headscope.model.opening import files
from tests.model.damage import refused

INDEX = "model.safetensors.index.json"


@pytest.fixture
def directory(tmp_path):
    return zoo.save("llama", tmp_path / "model")


@pytest.fixture
def honest():
    """What the model in `directory` writes."""
    return Scope.from_model(*zoo.build("llama")).read(zoo.TEXT).z


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def opens(directory, z):
    """It opens as the weights in model.safetensors, and says their hash."""
    scope = Scope.from_pretrained(str(directory))
    assert torch.equal(scope.read(zoo.TEXT).z, z)
    assert scope.card.weights_sha256 == sha256(directory / "model.safetensors")


@pytest.fixture
def other(tmp_path):
    """A directory of the same kind of model with other weights."""
    return zoo.save("llama", tmp_path / "other", seed=7)


def test_an_adapter_s_configuration_leads_to_no_other_directory(directory, other, honest):
    (directory / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "base_model_name_or_path": str(other)}), "utf-8"
    )
    opens(directory, honest)


def test_a_model_with_an_adapter_beside_it_stands_for_two_and_is_refused(directory):
    peft = pytest.importorskip("peft")
    model, _ = zoo.build("llama")
    peft.get_peft_model(model, peft.LoraConfig(target_modules=["v_proj"])).save_pretrained(directory)
    refused(directory, r"a whole model and a PEFT adapter for it \(adapter_model.safetensors\)")


def test_an_adapter_alone_is_told_what_it_is(directory):
    for name in ("model.safetensors", "config.json"):
        (directory / name).unlink()
    (directory / "adapter_config.json").write_text("{}", "utf-8")
    refused(directory, "a PEFT adapter, not a whole model")


def split(source, directory):
    """The weights of `source` as two shards with an index, put into `directory`."""
    tensors = load_file(source / "model.safetensors")
    names = sorted(tensors)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for shard, kept in shards.items():
        save_file({name: tensors[name] for name in kept}, directory / shard, metadata={"format": "pt"})
    weight_map = {name: shard for shard, kept in shards.items() for name in kept}
    (directory / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}), "utf-8")


def test_one_file_beside_shards_is_the_one_that_transformers_takes_and_its_hash_is_told(directory, other, honest):
    split(other, directory)
    opens(directory, honest)


def test_shards_that_are_not_all_there_are_waited_for_also_beside_one_file(directory, other):
    split(other, directory)
    (directory / "model-00002-of-00002.safetensors").unlink()
    refused(directory, r"model-00002-of-00002.safetensors is missing")


def test_shards_are_hashed_together(directory, other):
    (directory / "model.safetensors").unlink()
    split(other, directory)
    scope = Scope.from_pretrained(str(directory))
    hashes = "\n".join(sha256(path) for path in sorted(directory.glob("model-*.safetensors")))
    assert scope.card.weights_sha256 == hashlib.sha256(hashes.encode()).hexdigest()
    assert torch.equal(scope.read(zoo.TEXT).z, Scope.from_pretrained(str(other)).read(zoo.TEXT).z)


def test_a_tensor_that_is_in_two_shards_is_refused(directory, other):
    (directory / "model.safetensors").unlink()
    split(other, directory)
    first, second = sorted(directory.glob("model-*.safetensors"))
    name, tensor = next(iter(load_file(first).items()))
    save_file(load_file(second) | {name: tensor + 1}, second)
    refused(directory, rf"{name} is in model-00002-of-00002.safetensors and in another file")


@pytest.mark.parametrize(
    ("weight_map", "sentence"),
    [
        ({}, "names no file of weights"),
        (None, "no table of file names"),
        ({"a": 3}, "no table of file names"),
        ({"a": "../other/model.safetensors"}, "no safetensors file in its own directory"),
        ({"a": "/etc/passwd"}, "no safetensors file in its own directory"),
        ({"a": "pytorch_model.bin"}, "no safetensors file in its own directory"),
        ({"a": ".."}, "no safetensors file in its own directory"),
    ],
)
def test_an_index_leads_to_safetensors_files_of_its_own_directory_only(directory, other, weight_map, sentence):
    (directory / "model.safetensors").unlink()
    (directory / INDEX).write_text(json.dumps({"weight_map": weight_map}), "utf-8")
    refused(directory, sentence)


def test_other_weights_that_the_configuration_names_are_refused(directory, other):
    shutil.copy(other / "model.safetensors", directory / "secret.safetensors")
    config = json.loads((directory / "config.json").read_text("utf-8"))
    (directory / "config.json").write_text(json.dumps(config | {"transformers_weights": "secret.safetensors"}), "utf-8")
    refused(directory, r"transformers_weights: 'secret.safetensors'")


def as_blob(path, cache, name):
    """A file moved into a cache's blobs under `name`, with a symbolic link in its place, as the Hub's client does."""
    blob = cache / "models--somebody--model" / "blobs" / name
    blob.parent.mkdir(parents=True, exist_ok=True)
    path.rename(blob)
    path.symlink_to(blob)


def test_a_link_s_name_is_no_hash_outside_the_hub_s_cache(directory, tmp_path, honest):
    as_blob(directory / "model.safetensors", tmp_path / "elsewhere", "ab" * 32)
    opens(directory, honest)


def test_in_the_hub_s_cache_a_blob_s_name_is_its_hash(directory, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    as_blob(directory / "model.safetensors", tmp_path / "cache", "ab" * 32)
    assert files.sha256(directory / "model.safetensors") == "ab" * 32


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "_attn_implementation_internal"])
def test_a_kernel_that_the_configuration_names_is_neither_fetched_nor_run(directory, honest, key, monkeypatch):
    from transformers import modeling_utils

    def fetch(*args, **kwargs):
        raise AssertionError(f"a kernel was asked for: {args}")

    monkeypatch.setattr(modeling_utils, "lazy_import_flash_attention", fetch)
    config = json.loads((directory / "config.json").read_text("utf-8"))
    (directory / "config.json").write_text(json.dumps(config | {key: "somebody/kernel"}), "utf-8")
    opens(directory, honest)
    assert Scope.from_pretrained(str(directory)).bench.opened.model.config._attn_implementation == "eager"


@pytest.mark.parametrize("kernel", ["sonicmoe", "deepgemm"])
def test_a_kernel_for_experts_that_the_configuration_names_is_not_run(tmp_path, kernel):
    directory = zoo.save("mixtral", tmp_path)
    config = json.loads((directory / "config.json").read_text("utf-8"))
    (directory / "config.json").write_text(json.dumps(config | {"experts_implementation": kernel}), "utf-8")
    z = Scope.from_model(*zoo.build("mixtral")).read(zoo.TEXT).z
    assert torch.equal(Scope.from_pretrained(str(directory)).read(zoo.TEXT).z, z)


def test_another_arithmetic_that_the_configuration_asks_for_is_not_used(directory, honest):
    config = json.loads((directory / "config.json").read_text("utf-8"))
    fused = {"fusion_config": {"patch_embeddings": True, "no_such_fusion": True}}
    (directory / "config.json").write_text(json.dumps(config | fused), "utf-8")
    opens(directory, honest)


@pytest.mark.parametrize("name", ["tokenizer.json", "special_tokens_map.json", "chat_template.jinja", "config.json"])
def test_a_file_beside_the_weights_that_has_no_end_is_not_read(tmp_path, name):
    directory = zoo.save("bert", tmp_path / "model")
    with (directory / name).open("wb") as file:
        file.truncate(3 * 2**30)  # takes no room
    with pytest.raises(ModelError, match=rf"{name} cannot be read: it has 3,221,225,472 bytes"):
        Scope.from_pretrained(str(directory))


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt"])
def test_a_pipe_among_its_files_is_not_waited_for(tmp_path, name):
    directory = zoo.save("bert", tmp_path / "model")
    (directory / name).unlink(missing_ok=True)
    os.mkfifo(directory / name)
    if name == "tokenizer.json":
        with pytest.raises(ModelError, match=r"tokenizer\.json cannot be read: it is no regular file\."):
            Scope.from_pretrained(str(directory))
    else:
        Scope.from_pretrained(str(directory))
