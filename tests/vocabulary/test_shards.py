"""Shards on disk: killed, damaged, written twice at once or not at all, they are right or made again."""

from __future__ import annotations

import errno
import os
import random
import resource
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
import zoo
from aside import Program

from headscope import Scope
from headscope.errors import ModelError
from headscope.keep import tensors
from headscope.vocabulary import isolated

STEP = 8
CHILD = f"""
import torch, zoo
from headscope import Scope
from headscope.keep import tensors
torch.set_num_threads(1)
tensors.STEP = {STEP}
Scope.from_model(*zoo.build("roberta")).isolate(lambda done, total: print(done, total, flush=True))
"""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache, of small shards."""
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tensors, "STEP", STEP)
    return tmp_path / "cache"


def anew() -> Scope:
    return Scope.from_model(*zoo.build("roberta"))


def begin(cache: Path) -> Program:
    """A process that makes all shards, and tells of each."""
    return Program(CHILD, folder=cache.with_name("said"))


def told(child: Program) -> list[str]:
    return [line for line in child.out.splitlines() if line.strip()]  # training the tokenizer prints empty ones


def values(cache: Path) -> list[torch.Tensor]:
    """Every layer of what is in `cache` when nothing is missing."""
    scope = anew()
    assert scope.isolated.done() == scope.card.vocab_size
    return [scope.isolated.table(layer).rows for layer in range(scope.card.layers)]


def assert_same(one: list[torch.Tensor], other: list[torch.Tensor]) -> None:
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a, b)  # bit for bit


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What one process makes that nothing disturbs."""
    place = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSCOPE_CACHE", str(place))
        patch.setattr(tensors, "STEP", STEP)
        anew().isolate()
        return values(place)


@pytest.mark.long
def test_killed_at_any_moment_it_goes_on_where_it_was(cache, undisturbed):
    moments, had = random.Random(7), 0
    for _ in range(3):
        child, lines = begin(cache), moments.randrange(2, 12)
        child.until(lambda child=child, lines=lines: len(told(child)) >= lines)
        time.sleep(moments.random() * 0.02)
        child.kill()
        assert child.wait() == -signal.SIGKILL
        there = anew().isolated.done()
        assert had < there < len(zoo.build("roberta")[1])
        had = there
    counts: list[int] = []
    anew().isolate(lambda done, total: counts.append(done))
    assert counts[0] == had
    assert_same(values(cache), undisturbed)


@pytest.mark.long
def test_two_processes_at_once_leave_one_table(cache, undisturbed):
    children = [begin(cache), begin(cache)]
    assert [child.wait() for child in children] == [0, 0]
    assert_same(values(cache), undisturbed)
    assert not list(cache.rglob("*.part"))


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 5)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def turn_a_bit(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    whole[-1000] ^= 1
    path.write_bytes(whole)


def overwrite(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


def another(path: Path) -> None:
    shutil.copy(path.with_name("sample.safetensors"), path)


def exchange(path: Path) -> None:
    """With the next shard, of the same shape: its sums are right, and its tokens are others."""
    other = path.with_name("000004.safetensors")
    path.rename(path.with_name("aside"))
    other.rename(path)
    path.with_name("aside").rename(other)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.slow(cases=3)
@pytest.mark.parametrize("damage", [truncate, empty, turn_a_bit, overwrite, another, exchange, pipe, Path.unlink])
def test_a_damaged_shard_is_made_again(cache, undisturbed, damage):
    directory = Path(anew().isolate().directory)
    damage(directory / "000003.safetensors")
    scope = anew()
    scope.isolate()
    assert_same([scope.isolated.table(layer).rows for layer in range(3)], undisturbed)
    assert_same(values(cache), undisturbed)


@pytest.mark.slow
def test_a_shard_that_is_damaged_while_the_scope_is_open_is_made_again(undisturbed):
    scope = anew()
    directory = Path(scope.isolate().directory)
    shutil.rmtree(directory)
    assert_same([scope.isolated.table(layer).rows for layer in range(3)], undisturbed)


def test_an_interruption_keeps_what_was_made():
    def interrupt(done: int, total: int) -> None:
        if done >= 5 * STEP:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        anew().isolate(interrupt)
    assert anew().isolated.done() == 5 * STEP


@pytest.mark.slow
def test_a_full_disk_is_told_and_costs_nothing(cache, undisturbed):
    def fill(done: int, total: int) -> None:
        if done >= 5 * STEP:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most))

    had, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(ModelError, match="HEADSCOPE_CACHE") as refused:
            anew().isolate(fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (had, most))
    assert str(cache) in str(refused.value)
    assert os.strerror(errno.EFBIG) in str(refused.value)
    assert not list(cache.rglob("*.part"))
    told: list[int] = []
    anew().isolate(lambda done, total: told.append(done))
    assert told[0] == 5 * STEP
    assert_same(values(cache), undisturbed)


def test_too_little_room_is_told_before_anything_is_made(cache, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(isolated.shutil, "disk_usage", lambda place: usage)
    with pytest.raises(ModelError, match=r"MiB more on disk.*0 MiB free.*HEADSCOPE_CACHE"):
        anew().isolate()
    assert not cache.exists()


def test_a_place_that_is_no_directory_is_told(cache):
    cache.write_text("")
    with pytest.raises(ModelError, match=r"cannot be kept in .*HEADSCOPE_CACHE"):
        anew().isolate()


def test_what_a_killed_process_had_begun_is_swept_and_what_another_writes_is_not(cache):
    directory = anew().isolated.directory
    directory.mkdir(parents=True)
    old, new = directory / "000001.safetensors.a.part", directory / "000001.safetensors.b.part"
    for begun in (old, new):
        begun.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    anew().isolate()
    assert (old.exists(), new.exists()) == (False, True)
