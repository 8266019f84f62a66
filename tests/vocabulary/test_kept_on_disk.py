"""From the second start on nothing is measured: forms and numbers are on disk, for these weights and no others."""

from __future__ import annotations

import pytest
import torch
import zoo
from safetensors.torch import load

from headscope import Scope
from headscope.neighbors.shared import Numbers
from headscope.vocabulary import closed_form

SPACES = ["value", "output", "key", "query"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture(params=["bert", "gpt2", "llama", "gemma3"])
def name(request):
    return request.param


def atlases(scope: Scope) -> list[torch.Tensor]:
    reading = scope.read(zoo.TEXT)
    return [torch.stack([a.ids, a.own_rank]) for space in SPACES for a in [reading.atlas(3, space)]]


def files(cache) -> dict[str, bytes]:
    return {str(path.relative_to(cache)): path.read_bytes() for path in cache.rglob("*.safetensors")}


def refuse(*args, **kwargs):
    raise AssertionError("this is on disk")


@pytest.mark.slow(cases=1)
def test_a_second_start_measures_nothing_and_says_the_same(name, build, monkeypatch, cache):
    first = atlases(Scope.from_model(*build(name)))
    assert any(path.startswith("numbers") for path in files(cache))
    monkeypatch.setattr(Numbers, "of", refuse)
    if name != "gemma3":  # whose keys and queries are normed: that is theirs alone
        monkeypatch.setattr(closed_form, "fit", refuse)
    for one, other in zip(first, atlases(Scope.from_model(*build(name))), strict=True):
        assert torch.equal(one, other)


@pytest.mark.slow(cases=1)
def test_what_is_damaged_is_made_again(name, build, cache):
    first = atlases(Scope.from_model(*build(name)))
    before = files(cache)
    for path in before:
        damaged = bytearray(before[path])
        damaged[-5] ^= 1
        (cache / path).write_bytes(damaged)
    for one, other in zip(first, atlases(Scope.from_model(*build(name))), strict=True):
        assert torch.equal(one, other)
    for path, whole in files(cache).items():
        assert torch.equal(load(whole)["v"], load(before[path])["v"])


@pytest.mark.slow(cases=1)
def test_a_weight_that_changes_finds_what_is_its_own(name, build, cache):
    model, tokenizer = build(name)
    scope = Scope.from_model(model, tokenizer)
    first = atlases(scope)
    before = set(files(cache))
    with torch.no_grad():
        model.get_input_embeddings().weight[7:30].mul_(-2.0)
    changed = atlases(scope)
    assert any(not torch.equal(one, other) for one, other in zip(first, changed, strict=True))
    assert set(files(cache)) > before
    fresh, _ = build(name)
    fresh.load_state_dict(model.state_dict())
    for one, other in zip(changed, atlases(Scope.from_model(fresh, tokenizer)), strict=True):
        assert torch.equal(one, other)


@pytest.mark.slow(cases=1)
def test_what_the_files_do_not_tell_is_seen_on_the_model(name, build, cache):
    atlases(Scope.from_model(*build(name)))
    model, tokenizer = build(name)
    scope = Scope.from_model(model, tokenizer)
    plain = scope.read(zoo.TEXT).atlas(3)
    # Not a weight: a hook of the user's that doubles what one layer's norm makes, there before the model is opened.
    hooked, _ = build(name)
    norm = scope.bench.opened.feed.norm(1, "v")
    path = next(path for path, module in model.named_modules() if module is norm.module)
    hooked.get_submodule(path).register_forward_hook(lambda module, args, output: 2 * output)
    other = Scope.from_model(hooked, tokenizer)
    vocabulary = other.bench.vocabulary
    ids = torch.arange(20)
    expected = vocabulary.feed.vectors(ids, 1, None)
    got = vocabulary.encoded("value", "layer", 1, None, 0).rows(ids)
    assert torch.allclose(got.float(), expected, atol=1e-4)
    assert plain.ids.shape == other.read(zoo.TEXT).atlas(3).ids.shape


@pytest.mark.slow(cases=1)
def test_where_there_is_no_cache_all_is_made_and_nothing_said(name, build, monkeypatch, tmp_path):
    first = atlases(Scope.from_model(*build(name)))
    blocked = tmp_path / "a file"
    blocked.write_text("no directory")
    monkeypatch.setenv("HEADSCOPE_CACHE", str(blocked))
    for one, other in zip(first, atlases(Scope.from_model(*build(name))), strict=True):
        assert torch.equal(one, other)
