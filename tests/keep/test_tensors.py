"""Tensors on disk: what is read is what was written, or nothing."""

from __future__ import annotations

import os
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

from headscope.keep.tensors import Tensors, read_layer, write_tensor


@pytest.mark.slow
def test_a_turned_bit_anywhere_is_noticed_or_changes_nothing(tmp_path):
    rows, path = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)), tmp_path / "x.safetensors"
    write_tensor(path, rows)
    whole = path.read_bytes()
    noticed = 0
    for bit in range(8 * len(whole)):
        with path.open("r+b") as file:  # in place: a file that is emptied first is put on the disk each time
            for at, byte in ((bit // 8 - 1, whole[bit // 8 - 1]), (bit // 8, whole[bit // 8] ^ 1 << bit % 8)):
                file.seek(max(0, at))
                file.write(bytes([byte]))
        found = [read_layer(path, (2, 3, 4), layer) for layer in range(2)]
        noticed += any(one is None for one in found)
        assert all(one is None or torch.equal(one, rows[layer]) for layer, one in enumerate(found))
    assert noticed > 8 * rows.nbytes


def test_shards_of_before_they_said_which_they_are_are_read(tmp_path):
    rows, path = torch.ones(1, 2, 3), tmp_path / "x.safetensors"
    write_tensor(path, rows)
    with safe_open(path, framework="pt") as file:
        sums = file.metadata()["crc32"]
    path.write_bytes(save({"v": rows}, {"crc32": sums}))
    kept = read_layer(path, (1, 2, 3), 0)
    assert kept is not None
    assert torch.equal(kept, rows[0])


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_tensor_is_found_by_its_name_and_shape(cache):
    kept, rows = Tensors("some", 2**20), torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    assert kept.get("a", (4, 3)) is None
    kept.put("a", rows)
    assert torch.equal(Tensors("some", 2**20).get("a", (4, 3)), rows)
    assert kept.get("a", (3, 4)) is None
    shutil.copy(cache / "some" / "a.safetensors", cache / "some" / "b.safetensors")
    assert kept.get("b", (4, 3)) is None, "another's"


def test_what_was_used_the_longest_ago_goes_first(cache):
    kept = Tensors("some", 2**20)
    for n, name in enumerate("abc"):
        kept.put(name, torch.full((64,), float(n)))
        os.utime(cache / "some" / f"{name}.safetensors", (1000 + n,) * 2)
    assert kept.get("a", (64,)) is not None  # used again
    size = (cache / "some" / "a.safetensors").stat().st_size
    Tensors("some", 3 * size).put("d", torch.zeros(64))
    assert [kept.get(name, (64,)) is None for name in "abcd"] == [False, True, False, False]


def test_without_a_home_nothing_is_there(monkeypatch):
    for name in ("HEADSCOPE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pathlib.Path.home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert Tensors("some", 1).get("a", (1,)) is None
