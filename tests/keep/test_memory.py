"""What was used last, within a budget: what goes, and who waits for whom; and what is given back of freed memory."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headscope.keep.allocator import give_back
from headscope.keep.memory import Recent

STEPS = st.lists(st.tuples(st.sampled_from(["put", "get", "made"]), st.sampled_from("abcd"), st.integers(0, 6)))
PATIENCE = 30  # seconds after which a thread counts as stuck


@given(STEPS, st.integers(0, 12))
def test_what_was_used_least_recently_goes_first_and_the_newest_stays(steps, budget):
    recent, expected = Recent[str](budget, len), dict[str, str]()  # the least recently used first
    for step, key, size in steps:
        before = expected.pop(key, None)
        entry = before
        if step == "put" or (step == "made" and before is None):
            entry = key * size
        if entry is not None:
            expected[key] = entry
        if step == "put":
            recent.put(key, key * size)
        else:
            found = recent.get(key) if step == "get" else recent.made(key, lambda: key * size)  # noqa: B023
            assert found == entry
        while sum(map(len, expected.values())) > budget and len(expected) > 1:
            del expected[next(iter(expected))]
        assert recent.items() == list(expected.items())
        assert recent.nbytes == sum(map(len, expected.values()))


def waiting(work) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_a_look_up_waits_for_nothing_that_is_made():
    recent, making, looked = Recent[str](10, len), threading.Event(), threading.Event()
    recent.put("there", "x")

    def slow() -> str:
        making.set()
        assert looked.wait(PATIENCE)
        return "made"

    thread = waiting(lambda: recent.made("slow", slow))
    assert making.wait(PATIENCE)
    assert recent.get("there") == recent.made("there", lambda: "never") == "x"
    assert recent.get("slow") is None
    recent.put("meanwhile", "y")
    looked.set()
    thread.join(PATIENCE)
    assert recent.get("slow") == "made"


def test_an_entry_is_made_once_and_one_at_a_time():
    recent, begin = Recent[str](100, len), threading.Barrier(8)
    at_once, most, made = 0, 0, []

    def make(key: str) -> str:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        threading.Event().wait(0.005)  # others could come in
        made.append(key)
        at_once -= 1
        return key

    def ask() -> None:
        begin.wait()
        for key in "abc":
            assert recent.made(key, lambda: make(key)) == key  # noqa: B023

    threads = [waiting(ask) for _ in range(8)]
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(made) == ["a", "b", "c"]
    assert most == 1


def test_an_entry_may_be_made_of_others():
    recent = Recent[str](100, len)
    assert recent.made("ab", lambda: recent.made("a", lambda: "a") + recent.made("b", lambda: "b")) == "ab"
    assert [key for key, _ in recent.items()] == ["a", "b", "ab"]


def test_what_could_not_be_made_takes_no_room_and_keeps_nobody_out():
    recent = Recent[str](10, len)

    def fail() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recent.made("a", fail)
    assert (recent.nbytes, recent.items()) == (0, [])
    found: list[str] = []
    waiting(lambda: found.append(recent.made("a", lambda: "later"))).join(PATIENCE)
    assert found == ["later"]


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="of the C library glibc"
)
def test_freed_memory_between_what_is_still_used_is_given_back():
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    block, count = 100_000, 1000  # bytes: small enough to be no mapping of its own
    held = [torch.ones(block // 4) for _ in range(count)]
    before = resident()
    held = held[::20]
    gc.collect()
    give_back()
    assert before - resident() > block * count // 2
    assert all(bool((one == 1).all()) for one in held)
