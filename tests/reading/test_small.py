"""Long lists of positions: what is small is one row, what the mask hides another, and nothing is lost of the sums."""

from __future__ import annotations

import pytest
import torch
import zoo
from hypothesis import given
from hypothesis import strategies as st

from headscope.reading.small import WHOLE, listed, together


@given(st.lists(st.floats(0, 1), min_size=1, max_size=120), st.data())
def test_every_position_is_in_one_part(sizes, data):
    seen = data.draw(st.lists(st.booleans(), min_size=len(sizes), max_size=len(sizes)))
    found = listed(torch.tensor(sizes, dtype=torch.float64), seen)
    assert sorted((*found.shown, *found.small, *found.hidden)) == list(range(len(sizes)))
    assert all(sizes[at] < found.bound for at in found.small)
    if len(sizes) <= WHOLE:
        assert len(found.shown) == len(sizes)
    else:
        assert len(found.shown) <= WHOLE
        assert not any(seen[at] for at in found.hidden)


def test_what_is_small_is_told_with_its_bound_and_its_sum():
    assert together([0.00005] * 412) == "412 positions with less than .001 each, together .021"


@pytest.fixture
def long(scope_of):
    return scope_of("llama").read(" ".join([zoo.TEXT] * 3))


def test_a_long_text_has_the_heavy_sources_and_the_sums_of_the_others(long):
    assert len(long.tokens) > WHOLE
    at = len(long.tokens) // 2
    found = long.attention(at, 1)
    (sheet,) = found.sheets()
    shown = [row for row in sheet.rows if row.head.position is not None]
    rest = {row.head.label.split()[1]: row for row in sheet.rows if row.head.position is None}
    assert len(shown) <= WHOLE + 1
    assert at in [row.head.position for row in shown]
    assert rest["hidden"].head.label == f"{len(long.tokens) - at - 1} hidden"
    for head in range(len(found.shares)):
        told = sum(row.cells[head].value for row in shown) + (
            rest["others"].cells[head].value if "others" in rest else 0
        )
        assert told == pytest.approx(float(found.shares[head].sum()), abs=1e-6)
    assert len(found.rows()) == len(long.tokens) * len(found.shares), "files have every row"


def test_reasons_of_a_long_text_are_folded_and_add_up(long):
    near = long.nearest(len(long.tokens) - 1, 1)
    why = near.why(0, int(near.ids[0, 0]))
    (sheet,) = why.sheets()
    *shown, score = (row.cells[0].number for row in sheet.rows)
    assert len(sheet.rows) < len(long.tokens)
    assert sum(map(float, shown)) == pytest.approx(float(score), abs=1e-3)


def test_what_the_mask_hides_is_a_dot(scope_of):
    reading = scope_of("llama").read(zoo.TEXT)
    (sheet,) = reading.attention(2, 1).sheets()
    numbers = [row.cells[0].number for row in sheet.rows]
    assert all(number == "·" for number in numbers[3:])
    assert "·" not in numbers[:3]


def test_as_many_as_may_stand_do_and_one_more_takes_the_next_bound():
    rest = [0.0001] * 10
    for more, bound in ((0, 0.001), (1, 0.002)):
        found = listed(torch.tensor([0.001] * more + [0.0025] * WHOLE + rest).double(), [True] * (WHOLE + 10 + more))
        assert found.shown == tuple(range(more, WHOLE + more))
        assert found.bound == bound
