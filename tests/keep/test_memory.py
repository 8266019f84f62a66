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
from headscope.keep.memory import Memory, Recent, spare_room

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


def test_several_entries_are_made_at_once_of_those_that_are_not_there():
    recent, asked = Recent[str](100, len), list[list[int]]()

    def make(new: list[int]) -> list[str]:
        asked.append(new)
        return [str(n) for n in new]

    recent.put("b", "kept")
    for _ in range(2):
        assert recent.made_together({"a": 1, "b": 2, "c": 3}, make) == ["1", "kept", "3"]
    assert asked == [[1, 3]]
    assert recent.get("c") == "3"


def test_several_entries_that_leave_no_room_for_each_other_are_all_given():
    recent = Recent[str](3, len)
    assert recent.made_together({"a": 1, "b": 2}, lambda new: [str(n) * 3 for n in new]) == ["111", "222"]
    assert recent.items() == [("b", "222")]


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
    assert recent.made_together({"there": 0}, lambda new: ["never"]) == ["x"]
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


# ---- one budget for several ----


def test_several_share_a_budget_and_the_least_recently_used_of_all_goes_first():
    memory = Memory(10)
    words, numbers = Recent[str](memory, len), Recent[int](memory, lambda number: number)
    words.put("a", "1234")
    numbers.put("a", 4)
    assert words.get("a") == "1234"
    words.put("b", "123")
    assert (numbers.get("a"), words.get("a"), words.get("b")) == (None, "1234", "123")
    assert (memory.nbytes, words.nbytes, numbers.nbytes) == (7, 7, 0)
    numbers.put("large", 100)
    assert (words.items(), numbers.items()) == ([], [("large", 100)]), "the newest stays"


def test_an_entry_that_is_put_again_counts_what_it_has_become():
    memory = Memory(10)
    lists = Recent[list[int]](memory, len)
    grown = [1]
    lists.put("a", grown)
    lists.put("b", [1, 2, 3])
    grown += range(7)
    lists.put("a", grown)
    assert memory.nbytes == 8
    assert [key for key, _ in lists.items()] == ["a"]


def test_what_is_dropped_takes_no_room():
    memory = Memory(10)
    one = Recent(memory, len)
    one.put("a", "1234")
    one.put("b", "12")
    one.drop("a")
    one.drop("c")
    assert one.items() == [("b", "12")]
    assert memory.nbytes == 2


def test_what_nobody_can_ask_for_takes_no_room():
    memory = Memory(10)
    gone, stays = Recent[str](memory, len), Recent[str](memory, len)
    gone.put("a", "12345")
    stays.put("a", "123")
    del gone
    gc.collect()
    assert memory.nbytes == 3
    assert stays.get("a") == "123"


def test_within_a_smaller_budget_others_keep_what_they_have():
    memory = Memory(100)
    one, other = Recent[str](memory, len), Recent[str](memory, len)
    other.put("a", "12345678")
    with one.within(4):
        for key in "abc":
            one.put(key, "123")
        assert [key for key, _ in one.items()] == ["c"]
    one.put("d", "123")
    assert [key for key, _ in one.items()] == ["c", "d"]
    assert other.get("a") == "12345678"


def test_what_is_made_ahead_takes_spare_room_and_goes_first():
    memory = Memory(10)
    recent = Recent[str](memory, len)
    recent.put("used", "1234")
    with spare_room() as room:
        recent.put("ahead", "123")
        assert recent.get("used") == "1234", "which does not count as a use"
        assert not room.full
        recent.put("no room", "12345")
        assert room.full
    assert [key for key, _ in recent.items()] == ["ahead", "used"]
    recent.put("now", "12345")
    assert [key for key, _ in recent.items()] == ["used", "now"]


def test_what_was_made_ahead_and_is_used_stays():
    recent = Recent[str](10, len)
    recent.put("used", "1234")
    with spare_room():
        recent.put("ahead", "123")
    assert recent.get("ahead") == "123"
    recent.put("now", "12345")
    assert [key for key, _ in recent.items()] == ["ahead", "now"]
