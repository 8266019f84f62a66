"""Paths as callers hand them over: what Python takes for one, addresses, and what is neither."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import zoo

from headscope import InputError, ModelError, Scope
from headscope.corpus.files import find_sources
from headscope.keep.files import directory_to_write, file_to_write
from headscope.keep.remote import is_remote
from headscope.reading.alive import View
from headscope.studies.probes import LinearLens
from headscope.studies.survey.opened import open_survey


class Named(os.PathLike):  # type: ignore[type-arg]
    """A path of another library."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


@pytest.fixture
def model(tmp_path):
    made, tokenizer = zoo.build("gpt2")
    made.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("kind", [Path, Named])
def test_a_model_is_named_by_any_path(kind, model):
    scope, known = Scope.from_pretrained(kind(model)), Scope.from_pretrained(str(model))
    assert (scope.card.name, scope.card.weights_sha256) == (known.card.name, known.card.weights_sha256)


@pytest.mark.parametrize("given", [{"adapter": Path("nowhere")}, {"adapter": "nowhere"}])
def test_an_adapter_is_looked_for_where_the_path_leads(given, model):
    with pytest.raises(Exception, match="there is no directory 'nowhere'; an adapter is one"):
        Scope.from_pretrained(model, **given)


@pytest.mark.parametrize("given", [{"name": 99}, {"name": "demo", "adapter": 99}, {"name": "demo", "revision": 99}])
def test_a_number_names_no_model(given):
    with pytest.raises(InputError, match=r"^.{1,100} is a string.*, not 99\.$"):
        Scope.from_pretrained(**given)


def test_what_is_written_and_read_is_named_by_any_path(scope_of, tmp_path):
    scope = scope_of("gpt2")
    near = scope.read(zoo.TEXT).nearest(1, k=2)
    for save in (near.save, View((near,)).save):
        assert save(Named(tmp_path / "near.html")) == tmp_path / "near.html"
        assert (tmp_path / "near.html").read_bytes().startswith(b"<!doctype html>")
    (tmp_path / "texts.txt").write_text("\n".join([zoo.TEXT, "A dog by the sea.", "I am sure of it."]))
    assert len(scope.bank(Named(tmp_path / "texts.txt"), size=5)) >= 5
    assert [one.name for one in find_sources([Named(tmp_path / "texts.txt")])] == [str(tmp_path / "texts.txt")]


@pytest.mark.parametrize("given", [None, 99, ["a.html"]])
def test_what_is_no_path_is_told(given, scope_of):
    reading = scope_of("gpt2").read(zoo.TEXT)
    near = reading.nearest(1, k=2)
    asks = [near.save, View((near,)).save, LinearLens.load, file_to_write, directory_to_write, open_survey]
    for ask in (*asks, lambda path: find_sources([path])):
        with pytest.raises(InputError, match="is a string or a path, not"):
            ask(given)


def test_what_is_no_lens_is_told(scope_of):
    with pytest.raises(InputError, match="use_lens takes a lens, the path of its file, or None, not 99"):
        scope_of("gpt2").use_lens(99)


def test_an_empty_name_is_not_the_current_directory():
    for ask in (directory_to_write, file_to_write, open_survey, lambda path: find_sources([path])):
        with pytest.raises(InputError, match="has an empty name"):
            ask("")


@pytest.mark.parametrize("scheme", ["ftp", "https", "s3a", "file", "hdfs"])
def test_an_address_of_another_kind_is_no_directory(scheme, scope_of):
    scope = scope_of("gpt2")
    near = scope.read(zoo.TEXT).nearest(1, k=2)
    address = f"{scheme}://host/x.html"
    asks = {
        "which is not known; known are s3://": [is_remote, lambda path: find_sources([path])],
        "and .* files of this machine only": [
            *(directory_to_write, near.save, View((near,)).save),  # where no scheme is of use, none is named
            *(scope.bank, scope.use_lens, LinearLens.load, open_survey),
        ],
    }
    for given in (address, Path(address)):
        for said, several in asks.items():
            for ask in several:
                with pytest.raises(InputError, match=rf"'{address}' begins with {scheme}://, {said}"):
                    ask(given)


def test_what_is_read_here_alone_is_not_looked_for_under_the_name_of_a_store(scope_of):
    scope = scope_of("gpt2")
    for ask in (scope.bank, scope.use_lens, LinearLens.load, open_survey):
        with pytest.raises(InputError, match=r"s3://bucket/x is on an object store, and .* of this machine only"):
            ask("s3://bucket/x")


@pytest.mark.parametrize("name", ["https://huggingface.co/bert-base", "s3://bucket/x", "https://host/x.gguf"])
def test_a_model_is_not_opened_by_an_address(name):
    for asked in ({"name": name}, {"name": "demo", "adapter": name}):
        with pytest.raises(ModelError, match="not opened by an address: name an id of the Hub"):
            Scope.from_pretrained(**asked)


def test_an_address_without_a_bucket_is_told():
    with pytest.raises(InputError, match="names no bucket"):
        is_remote("s3:///texts")


def test_a_name_with_a_colon_is_a_path():
    assert not any(map(is_remote, ["C:/texts", "notes:/x", "a:b", "x/s3://y", "12://x"]))


def test_a_file_is_not_written_on_a_store(scope_of):
    near = scope_of("gpt2").read(zoo.TEXT).nearest(1, k=2)
    for save in (near.save, View((near,)).save):
        with pytest.raises(InputError, match=r"s3://bucket/x\.html is on an object store"):
            save("s3://bucket/x.html")


def test_a_file_that_the_disk_does_not_take_is_told(scope_of, tmp_path, monkeypatch):
    near = scope_of("gpt2").read(zoo.TEXT).nearest(1, k=2)

    def full(path, what):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("headscope.keep.files.write_bytes", full)
    for save in (near.save, View((near,)).save):
        with pytest.raises(InputError, match=r"x\.html' cannot be written: No space left on device\.$"):
            save(tmp_path / "x.html")
