"""Directories that lie. Each opens as the model that transformers makes of it, or is refused in one sentence."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path

import pytest
import zoo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headscope import ModelError, Scope
from headscope.model.opening import sizes
from tests.model.damage import (
    AUTO_MAP,
    WRONG,
    arm,
    header_of,
    opens_right_or_is_refused,
    places,
    put,
    with_header,
)

KINDS = ("bert", "gpt2", "llama")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    root = tmp_path_factory.mktemp("honest")
    return {kind: zoo.save(kind, root / kind) for kind in KINDS}


@pytest.fixture
def directory(saved, tmp_path):
    return Path(shutil.copytree(saved["llama"], tmp_path / "model"))


@pytest.fixture(autouse=True)
def bounded():
    """An end to what would hang: the test fails."""

    def end(*_):
        raise TimeoutError("this took more than a minute")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def refused(directory, sentence):
    start = time.monotonic()
    with pytest.raises(ModelError, match=sentence) as caught:
        Scope.from_pretrained(str(directory))
    assert "\n" not in str(caught.value)
    return time.monotonic() - start


FILES = ("config.json", "tokenizer_config.json", "tokenizer.json", "model.safetensors")


@pytest.mark.long
@given(data=st.data(), kind=st.sampled_from(KINDS), file=st.sampled_from(FILES), value=st.sampled_from(WRONG))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_value_of_a_wrong_kind_anywhere_in_a_file(saved, tmp_path, data, kind, file, value):
    directory = tmp_path / "model"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(saved[kind], directory)
    path = directory / file
    told, values = header_of(path) if file == "model.safetensors" else (json.loads(path.read_text("utf-8")), b"")
    extra = [("quantization_config",), ("num_labels",), ("dtype",), ("auto_map",)] if file == "config.json" else []
    place = data.draw(st.sampled_from([*places(told), *extra]))
    changed = put(told, place, value)
    if values:
        with_header(path, changed, values)
    else:
        path.write_text(json.dumps(changed), "utf-8")
    signal.alarm(60)
    opens_right_or_is_refused(directory)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors.index.json", "tokenizer.json"])
@pytest.mark.parametrize(
    "content", [b"null", b"3", b"[]", b'"x"', b"", b"\0" * 9, b'{"a": "\xe9"}', b"[" * 10**5, b'{"a":' * 10**5]
)
def test_a_file_that_holds_no_json_object(directory, file, content):
    (directory / file).write_bytes(content)
    refused(directory, rf"{file} cannot be read")


@pytest.mark.parametrize("depth", [300, 900])
def test_json_that_is_nested_deeply(directory, depth):
    for file, inside in (("config.json", '{"model_type": "llama", "a":'), ("tokenizer.json", '{"normalizer":')):
        (directory / file).write_text(inside + '{"normalizers": [' * depth + "1" + "]}" * depth + "}", "utf-8")
    opens_right_or_is_refused(directory)


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("llama", "num_hidden_layers"),
        ("gpt2", "n_layer"),
        ("bert", "num_labels"),
        ("bert", "hidden_size"),
        ("bert", "intermediate_size"),
        ("bert", "vocab_size"),
        ("bert", "max_position_embeddings"),
        ("gpt2", "n_positions"),
        ("llama", "num_key_value_heads"),
        ("llama", "vocab_size"),
    ],
)
def test_a_model_that_is_far_larger_than_its_weights_is_refused_before_it_is_built(saved, tmp_path, kind, field):
    directory = Path(shutil.copytree(saved[kind], tmp_path / "model"))
    config = json.loads((directory / "config.json").read_text("utf-8"))
    (directory / "config.json").write_text(json.dumps(config | {field: 10**9}), "utf-8")
    assert refused(directory, f"{field} = 1,000,000,000|much larger than the weights beside it") < 20


def test_room_is_made_for_no_more_than_the_weights_hold_again(saved, tmp_path, monkeypatch):
    """A model of twice the width is stopped before room is made for it, though it is built on the meta device."""
    monkeypatch.setattr(sizes, "_FREE_VALUES", 1000)
    directory = Path(shutil.copytree(saved["llama"], tmp_path / "model"))
    config = json.loads((directory / "config.json").read_text("utf-8"))
    wide = {"hidden_size": 64, "head_dim": 16}
    (directory / "config.json").write_text(json.dumps(config | wide), "utf-8")
    refused(directory, "much larger than the weights beside it")


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("layers", [4, 9_000])
def test_more_layers_than_the_weights_have_are_refused(directory, layers):
    config = json.loads((directory / "config.json").read_text("utf-8"))
    (directory / "config.json").write_text(json.dumps(config | {"num_hidden_layers": layers}), "utf-8")
    refused(directory, "no values for model.layers.3|much larger than the weights beside it")


@pytest.mark.parametrize("value", WRONG)
def test_an_entry_of_the_weights_header_of_a_wrong_kind(directory, value):
    path = directory / "model.safetensors"
    header, values = header_of(path)
    for field in ("dtype", "shape", "data_offsets"):
        with_header(path, put(header, ("model.norm.weight", field), value), values)
        refused(directory, "header")
    with_header(path, header | {"model.norm.weight": value}, values)
    refused(directory, "header")


def test_a_model_of_a_kind_that_is_two_models(tmp_path):
    from transformers import EncoderDecoderConfig, EncoderDecoderModel

    encoder, tokenizer = zoo.build("bert")
    decoder, _ = zoo.build("gpt2")
    config = EncoderDecoderConfig.from_encoder_decoder_configs(encoder.config, decoder.config)
    EncoderDecoderModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    refused(tmp_path, "of the kind 'encoder-decoder', which headscope does not open from a directory")


@pytest.mark.long
def test_a_configuration_in_utf8_opens_whatever_the_locale(saved, tmp_path):
    import os
    import subprocess
    import sys

    directory = Path(shutil.copytree(saved["gpt2"], tmp_path / "model"))
    config = json.loads((directory / "config.json").read_text("utf-8"))
    told = json.dumps(config | {"task_specific_params": {"a": "négatif 正面"}}, ensure_ascii=False)
    (directory / "config.json").write_text(told, "utf-8")
    program = f"from headscope import Scope; print(Scope.from_pretrained({str(directory)!r}).card.layers)"
    env = os.environ | {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout == "3\n", done.stderr


def test_no_code_from_a_checkpoint_is_run(directory, tmp_path):
    """README: no code from a checkpoint is run. Pickles, modules and templates that would leave a file leave none."""
    left = tmp_path / "left"
    arm(directory, left)
    assert opens_right_or_is_refused(directory) == ""
    (directory / "config.json").write_text(json.dumps({"model_type": "mine", "auto_map": AUTO_MAP}), "utf-8")
    refused(directory, "runs no code from a checkpoint")
    (directory / "model.safetensors").unlink()
    refused(directory, r"as a pickle \(adapter_model.bin\)")
    assert not left.exists()
