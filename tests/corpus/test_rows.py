"""Rows in a file come back as they were; those of a shard that are damaged count as not there."""

from __future__ import annotations

import math
import os
from functools import partial
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headscope.corpus.run import RowFiles
from headscope.keep.rows import read_rows, write_rows


class Row(NamedTuple):
    name: str
    head: int | None
    control: bool
    value: float


ROWS = st.lists(
    st.builds(Row, st.text(), st.none() | st.integers(-(2**62), 2**62), st.booleans(), st.floats(allow_nan=False))
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(ROWS)
def test_rows_come_back_as_they_were(tmp_path, rows):
    write_rows(tmp_path / "rows.parquet", Row, rows)
    assert read_rows(tmp_path / "rows.parquet", Row) == rows


def test_a_number_that_is_not_there_is_none_still(tmp_path):
    write_rows(tmp_path / "r", Row, [Row("a", 1, True, math.nan)])
    (row,) = read_rows(tmp_path / "r", Row)
    assert math.isnan(row.value)


def kept(path, about="these"):
    write = lambda place, rows: write_rows(place, Row, rows)  # noqa: E731
    return RowFiles(lambda shard: path / "r", lambda shard: about, write, partial(read_rows, kind=Row))


def test_rows_of_a_shard_are_there_for_who_asks_for_them_and_for_nobody_else(tmp_path):
    with kept(tmp_path).writing(0) as rows:
        rows.append(Row("a", None, False, 0.5))
    assert kept(tmp_path).has(0)
    assert kept(tmp_path).read(0) == [Row("a", None, False, 0.5)]
    assert not kept(tmp_path, "those").has(0), "of something else"


def test_what_fails_while_it_is_measured_is_not_there(tmp_path):
    with pytest.raises(ZeroDivisionError), kept(tmp_path).writing(0) as rows:
        rows.append(1 / 0)
    assert not kept(tmp_path).has(0)


@pytest.mark.parametrize("damage", [lambda path: os.truncate(path, 9), lambda path: path.write_bytes(b""), os.remove])
@pytest.mark.parametrize("name", ["r", "r.sha256"])
def test_damaged_rows_are_not_there(tmp_path, damage, name):
    with kept(tmp_path).writing(0) as rows:
        rows.append(Row("a", None, False, 0.5))
    damage(tmp_path / name)
    assert not kept(tmp_path).has(0)
