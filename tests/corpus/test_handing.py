"""Pieces of work are handed out until each is done once, or was lost too often."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headscope.corpus.fleet.asked import Fleet
from headscope.corpus.fleet.cluster import Share
from headscope.corpus.fleet.handing import PATIENCE, TRIES, Handing
from headscope.corpus.run import InTurn
from headscope.errors import InputError


@given(st.integers(1, 12), st.integers(1, 5), st.randoms(use_true_random=False))
def test_whatever_happens_every_piece_is_done_once_or_given_up(pieces, workers, draw):
    handing = Handing(range(pieces), fruitless=10**6)
    out, done, losses = [], [], {}
    while not handing.over:
        while len(out) < workers and (handed := handing.next()) is not None:
            out.append(handed[0])
        piece = out.pop(draw.randrange(len(out)))
        fate = draw.choice(["done", "lost", "elsewhere"])
        if fate == "done":
            handing.done(piece)
            done.append(piece)
        elif fate == "lost":
            handing.lost(piece, "gone")
            losses[piece] = losses.get(piece, 0) + 1
        else:
            handing.elsewhere(piece)
    assert sorted([*done, *handing.given_up]) == list(range(pieces))
    assert {piece for piece, count in losses.items() if count == TRIES} == set(handing.given_up)
    assert max(losses.values(), default=0) <= TRIES


def test_what_was_lost_goes_out_first_and_is_given_up_with_what_was_said_last():
    handing = Handing("abc", fruitless=9)
    assert handing.next() == ("a", 0.0)
    for why in ("one", "two", "three"):
        handing.lost("a", why)
        following = handing.next()
    assert following == ("b", 0.0)
    assert handing.given_up == {"a": "three"}


def test_what_another_run_does_is_waited_for_when_nothing_else_is_left():
    handing = Handing("ab", fruitless=9)
    handing.next()
    handing.elsewhere("a")
    assert handing.next() == ("b", 0.0)
    assert handing.next() == ("a", PATIENCE)
    handing.done("a")
    assert not handing.over
    handing.done("b")
    assert handing.over


def test_losses_in_a_row_are_hopeless_and_one_piece_done_ends_the_row():
    handing = Handing(range(9), fruitless=3)
    for _ in range(2):
        handing.lost(handing.next()[0], "gone")
    assert not handing.hopeless
    handing.done(handing.next()[0])
    for _ in range(3):
        assert not handing.hopeless
        handing.lost(handing.next()[0], "gone")
    assert handing.hopeless


class Counted:
    """Shards that count how often they are read from the front."""

    def __init__(self, count):
        self.count, self.passes = count, 0

    def __len__(self):
        return self.count

    def read(self, wanted):
        self.passes += 1
        yield from ((number, f"shard {number}") for number in sorted(wanted))


def test_shards_of_rising_numbers_are_read_in_one_pass():
    shards = Counted(9)
    in_turn = InTurn(shards)
    assert [in_turn.shard(number) for number in (0, 1, 4, 8)] == [f"shard {number}" for number in (0, 1, 4, 8)]
    assert shards.passes == 1
    assert [in_turn.shard(number) for number in (3, 5)] == ["shard 3", "shard 5"]
    assert shards.passes == 2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"workers": 0}, "workers is 0"),
        ({"cpus": -1}, "cpus per worker is -1"),
        ({"gpus": 1.5}, "gpus per worker is 1.5"),
        ({"gpus": -1.0}, "gpus per worker is -1.0"),
        ({"gpus": float("nan")}, "gpus per worker is nan"),
        ({"gpus": float("inf")}, "gpus per worker is inf"),
        ({"address": ""}, "the address is ''"),
        ({"address": "local"}, "the address is 'local'"),
        ({"address": "ray://head:10001"}, "run the command on one of its machines"),
    ],
)
def test_a_fleet_that_cannot_be_is_refused(asked, said):
    with pytest.raises(InputError) as refused:
        Fleet(**asked)
    assert said in str(refused.value)


def test_a_machine_has_room_by_what_is_scarcest():
    assert Share(4, 0).room({"CPU": 16, "GPU": 2}) == 4
    assert Share(4, 1).room({"CPU": 16, "GPU": 2}) == 2
    assert Share(4, 0.25).room({"CPU": 16, "GPU": 1}) == 4
    assert Share(1, 1).room({"CPU": 16}) == 0
    assert Share(1, 0).room({}) == 0
