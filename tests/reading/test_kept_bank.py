"""What the heads write in the project's sentences stays on disk, and is held against a few that the model reads."""

from __future__ import annotations

import pytest
import torch

from headscope import Scope
from headscope.keep import tensors


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, and where the banks in it are."""
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    return tmp_path / "banks"


@pytest.fixture
def opened(build):
    """Opens the same model anew, and counts the texts that it reads."""

    def make(name="bert", **more):
        model, tokenizer = build(name)
        scope, read = Scope.from_model(model, tokenizer, **more), []
        model.base_model.embeddings.register_forward_pre_hook(
            lambda module, args, kwargs: read.append(len(kwargs["input_ids"])), with_kwargs=True
        )
        scope.read("a dog")  # the hook only watches
        read.clear()
        return scope, read

    return make


def test_another_process_reads_a_few_texts_and_finds_the_same(opened, cache):
    first, read = opened()
    made = first.bank(size=400)
    whole, read[:] = sum(read), []
    assert whole == len(made.texts)
    assert len(list(cache.iterdir())) == first.card.layers
    second, read = opened()
    found = second.bank(size=400)
    assert 0 < sum(read) < whole / 2
    assert torch.equal(found.z, made.z)
    assert torch.equal(found.ids, made.ids)
    assert found.texts == made.texts


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda scope: scope.bank(size=400, mask="causal"), id="another mask"),
        pytest.param(lambda scope: scope.bank(size=300), id="another size"),
    ],
)
def test_what_was_asked_otherwise_is_read(opened, change):
    opened()[0].bank(size=400)
    scope, read = opened()
    bank = change(scope)
    assert sum(read) >= len(bank.texts)  # and the probe of a mask


def test_other_weights_read_all(opened, build):
    made = opened()[0].bank(size=400)
    model, tokenizer = build("bert")
    with torch.no_grad():
        next(iter(model.encoder.layer)).attention.self.value.weight.mul_(1.5)
    assert not torch.allclose(Scope.from_model(model, tokenizer).bank(size=400).z, made.z)


def test_a_hook_that_changes_one_head_is_seen(opened, build):
    made = opened()[0].bank(size=400)
    model, tokenizer = build("bert")

    def louder(module, args, output):
        return torch.cat([output[..., :-1], 1.01 * output[..., -1:]], -1)

    model.encoder.layer[-1].attention.self.value.register_forward_hook(louder)
    found = Scope.from_model(model, tokenizer).bank(size=400)
    assert found.weights_sha256 == made.weights_sha256
    assert torch.allclose(found.z[:, -1, -1, -1], 1.01 * made.z[:, -1, -1, -1])


def test_a_file_that_is_damaged_or_gone_is_made_again(opened, cache):
    made = opened()[0].bank(size=400)
    for spoil in (lambda path: path.write_bytes(path.read_bytes()[:-9]), lambda path: path.unlink()):
        spoil(sorted(cache.iterdir())[0])
        scope, read = opened()
        assert torch.equal(scope.bank(size=400).z, made.z)
        assert sum(read) == len(made.texts)
        scope, read = opened()
        scope.bank(size=400)
        assert sum(read) < len(made.texts) / 2


def test_a_disk_that_is_full_costs_nothing_but_time(opened, cache, monkeypatch):
    def full(path, tensor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tensors, "write_tensor", full)
    assert len(opened()[0].bank(size=400)) >= 400
    assert not list(cache.iterdir())


def test_what_a_users_own_texts_make_the_model_write_is_on_no_disk(opened, cache):
    opened()[0].bank(["Time flies like an arrow.", "A dog by the sea."], size=4)
    assert not cache.exists()
