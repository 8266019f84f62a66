"""What a model is asked for by: names that are no model, files where a directory is expected, devices."""

from __future__ import annotations

import pytest
import torch
import zoo

from headscope import HeadscopeError, InputError, ModelError, Scope
from headscope.model.opening.loading import pick_device
from headscope.model.telling import first_line


def refused(name, sentence, kind=ModelError, **options):
    with pytest.raises(kind, match=sentence) as caught:
        Scope.from_pretrained(str(name), **options)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("pytorch_model.bin", "as a pickle, and a model is a directory. .*Convert it once"),
        ("model.ckpt", "as a pickle, and a model is a directory"),
        ("model.safetensors", "the weights alone, and a model is a directory: name the one that has config.json"),
        ("notes.txt", "a file, and a model is a directory"),
    ],
)
def test_a_file_is_told_what_it_is_and_what_would_work(tmp_path, name, sentence):
    (tmp_path / name).write_bytes(b"some bytes")
    refused(tmp_path / name, sentence)


def test_a_revision_of_a_directory_is_told_and_cut(tmp_path):
    directory = zoo.save("bert", tmp_path / "model")
    with pytest.raises(InputError, match="a revision is of a model on the Hub") as error:
        Scope.from_pretrained(str(directory), revision="a" * 5000)
    assert len(str(error.value)) < 1500


def test_the_directory_of_the_weights_that_were_named_is_told(tmp_path):
    directory = zoo.save("bert", tmp_path / "model")
    refused(directory / "model.safetensors", f"name its directory, {directory}")


@pytest.mark.parametrize(
    "name",
    [
        *("", "  ", "a\nb", "model\x1b[31m", "some/model\n", "a\0b", "\ud800", "a\\b", "c:model", "..", "some/model/"),
        *("/" + "x" * 5000, "x" * 5000, "x/" * 3000, "some/" + "y" * 300, "~nosuch", "~nosuch/model"),
    ],
)
def test_a_name_that_is_no_model_s_is_told_in_one_sentence(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(name, r"\.$", HeadscopeError)


@pytest.mark.parametrize(
    ("device", "sentence"),
    [
        ("meta", "holds no values"),
        ("cpu:5", "one 'cpu'"),
        ("cuda:99", "cannot be used here"),
        ("nowhere", "cannot be used here"),
        ("", "cannot be used here"),
        (None, "cannot be used here"),
        (2.5, "cannot be used here"),
    ],
)
def test_a_device_that_nothing_can_be_read_on_is_told(device, sentence):
    with pytest.raises(InputError, match=sentence):
        pick_device(device)


def test_the_first_processor_is_the_processor():
    assert pick_device("cpu:0").type == torch.device("cpu").type


def test_what_another_library_says_is_told_without_pointing_to_what_is_not_shown():
    error = RuntimeError(
        "You set `x` to `False`, thus raising an error. For details look at the above report!\nA table"
    )
    assert first_line(error) == "You set `x` to `False`, thus raising an error."
    assert first_line(ValueError("Validation error for 'a':\n    expected int, got str")) == (
        "Validation error for 'a': expected int, got str."
    )
    assert first_line(ValueError()) == "ValueError."
