"""GGUF files: opened by their name, unpacked, with the tokenizer that is in them; what cannot be opened is told."""

from __future__ import annotations

import shutil

import gguf_files
import pytest
import torch
import transformers
import zoo

from headscope import InputError, Scope
from headscope.commands.cli import main
from headscope.model.opening.files import sha256
from tests.conftest import SHARED
from tests.model.damage import refused

gguf = pytest.importorskip("gguf", reason="the package gguf is not installed (extra: gguf)")
SHAPE = {"hidden_size": 64, "intermediate_size": 64, "attention_bias": False}
SMOLLM = SHARED.parent / "models" / "SmolLM2-135M"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A tiny Llama as files of several kinds, in one directory."""
    directory = tmp_path_factory.mktemp("gguf")
    model, tokenizer = zoo.build("llama", shape=SHAPE)
    return {kind: gguf_files.write(directory / f"{kind}.gguf", model, tokenizer, kind) for kind in KINDS}


KINDS = ("F32", "F16", "Q8_0", "Q4_0")


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("kind", KINDS)
def test_readings_are_those_of_the_same_weights_opened_plainly(saved, kind):
    model, tokenizer = zoo.build("llama", shape=SHAPE)
    plain = Scope.from_model(gguf_files.rounded(model, kind), tokenizer).read(zoo.TEXT)
    reading = Scope.from_pretrained(str(saved[kind])).read(zoo.TEXT)
    assert [(token.id, token.label) for token in reading.tokens] == [(t.id, t.label) for t in plain.tokens]
    assert torch.allclose(reading.z, plain.z, rtol=1e-5, atol=1e-5)
    for space in ("value", "output", "unembedding"):
        one, other = (each.nearest(1, 1, space) for each in (reading, plain))
        assert torch.equal(one.ids, other.ids)
        assert torch.allclose(one.distances, other.distances, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_card_has_the_files_hash_and_says_what_it_was_unpacked_from(saved):
    card = Scope.from_pretrained(str(saved["Q8_0"])).card
    assert card.weights_sha256 == sha256(saved["Q8_0"])
    assert (card.name, card.why) == (str(saved["Q8_0"]), "asked for by name: a GGUF file")
    assert card.weights == "float32, unpacked from Q8_0, F32"
    assert Scope.from_pretrained(str(saved["F32"])).card.weights == "float32"
    assert Scope.from_pretrained(str(saved["F16"]), dtype="auto").card.dtype == "float16"


@pytest.mark.slow
def test_nothing_that_lies_beside_the_file_is_taken_in(saved, tmp_path):
    shutil.copy(saved["F32"], tmp_path / "model.gguf")
    zoo.build("bert")[1].save_pretrained(tmp_path)
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "config.json").write_text('{"model_type": "no-such-kind"}')
    one, other = (Scope.from_pretrained(str(p)).read(zoo.TEXT) for p in (tmp_path / "model.gguf", saved["F32"]))
    assert torch.equal(one.z, other.z)


@pytest.mark.slow
def test_the_factors_of_a_stretched_rotation_are_heeded(tmp_path):
    rope = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    rope |= {"original_max_position_embeddings": 16, "rope_theta": 10000.0}
    model, tokenizer = zoo.build("llama", shape=SHAPE | {"rope_parameters": rope})
    plain, _ = zoo.build("llama", shape=SHAPE)
    turns = plain.model.rotary_emb.inv_freq / model.model.rotary_emb.inv_freq
    assert float(turns.max()) > 1.5
    path = gguf_files.write(tmp_path / "long.gguf", model, tokenizer, "F32", turns)
    read, expected = Scope.from_pretrained(str(path)).read(zoo.TEXT), Scope.from_model(model, tokenizer).read(zoo.TEXT)
    assert torch.allclose(read.k, expected.k, atol=1e-5)
    assert torch.allclose(read.z, expected.z, atol=1e-5)


def test_weights_without_a_place_are_not_passed_over(tmp_path):
    model, tokenizer = zoo.build("llama", shape=SHAPE | {"attention_bias": True})
    path = gguf_files.write(tmp_path / "biased.gguf", model, tokenizer, "F32")
    refused(path, "values that LlamaForCausalLM has no place for")


@pytest.mark.parametrize("kept", [0, 3, 10, 1000, 20_000, -500])
def test_a_file_cut_short_is_told(saved, tmp_path, kept):
    path = tmp_path / "cut.gguf"
    path.write_bytes(saved["Q8_0"].read_bytes()[:kept])
    refused(path, "no GGUF file that can be read: it is damaged, or still being written")


def test_bytes_that_are_no_gguf_are_told(tmp_path):
    (tmp_path / "notes.gguf").write_bytes(b"these are notes, and no model at all" * 100)
    refused(tmp_path / "notes.gguf", "no GGUF file that can be read")


def test_an_architecture_that_transformers_cannot_open_is_told(tmp_path):
    path = tmp_path / "other.gguf"
    writer = gguf.GGUFWriter(str(path), "rwkv6")
    writer.add_context_length(8)
    writer.add_tensor("token_embd.weight", torch.zeros(8, 32).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    refused(path, f"transformers cannot open {path}: .*rwkv6")


def test_one_of_several_parts_is_told(saved, tmp_path):
    path = tmp_path / "part.gguf"
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_uint16("split.count", 3)
    writer.add_tensor("token_embd.weight", torch.zeros(8, 32).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    refused(path, "one of 3 parts of a model")


def test_what_goes_with_no_file_is_told(saved, tmp_path):
    refused(tmp_path / "nowhere.gguf", "there is no file")
    refused("nowhere.gguf", "there is no file 'nowhere.gguf'")
    refused(saved["F32"], "a revision is of a model on the Hub", InputError, revision="main")
    refused(saved["F32"].parent, f"but a GGUF file: name that, {saved['F16']}")


def test_without_the_package_it_is_named(saved, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    refused(saved["F32"], r'needs gguf: pip install "headscope\[gguf\]"', InputError)


def test_the_command_line_takes_a_file(saved, capsys):
    with pytest.raises(SystemExit) as left:
        main(["look", zoo.TEXT, "--model", str(saved["Q8_0"]), "--token", "1", "-k", "2"])
    assert not left.value.code
    shown = capsys.readouterr()
    assert "Q8_0" in " ".join(shown.out.split())
    assert "de-quantizing" not in shown.err


@pytest.mark.slow
def test_a_real_model_is_read_from_its_file_as_from_its_directory(tmp_path):
    if not SMOLLM.is_dir():
        pytest.skip(f"no real weights at {SMOLLM}")
    model = transformers.AutoModelForCausalLM.from_pretrained(SMOLLM, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(SMOLLM)
    path = gguf_files.write(tmp_path / "smollm2.gguf", model, tokenizer, "Q8_0")
    plain = Scope.from_model(gguf_files.rounded(model, "Q8_0"), tokenizer)
    text = "Time flies like an arrow; naïve 😀 fruit flies."
    one, other = Scope.from_pretrained(str(path)).read(text), plain.read(text)
    assert [(t.id, t.label) for t in one.tokens] == [(t.id, t.label) for t in other.tokens]
    assert float((one.z - other.z).abs().max() / other.z.abs().max()) < 1e-5
    assert torch.equal(one.nearest(1, 0).ids, other.nearest(1, 0).ids)
