"""Rows in a file: they come back as they were, or not at all."""

from __future__ import annotations

import math
import os
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
    path = tmp_path / "below" / "rows.parquet"
    write_rows(path, "these", Row, rows)
    assert read_rows(path, "these", Row) == rows
    assert read_rows(path, "those", Row) is None, "of something else"


def test_a_number_that_is_not_there_is_none_still(tmp_path):
    write_rows(tmp_path / "r", "these", Row, [Row("a", 1, True, math.nan)])
    (row,) = read_rows(tmp_path / "r", "these", Row) or []
    assert math.isnan(row.value)


@pytest.mark.parametrize("damage", [lambda path: os.truncate(path, 9), lambda path: path.write_bytes(b""), os.remove])
@pytest.mark.parametrize("name", ["r", "r.sha256"])
def test_damaged_rows_are_none(tmp_path, damage, name):
    write_rows(tmp_path / "r", "these", Row, [Row("a", None, False, 0.5)])
    damage(tmp_path / name)
    assert read_rows(tmp_path / "r", "these", Row) is None
