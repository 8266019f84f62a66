"""Texts in a CSV and in a terminal: none is a formula, none is obeyed, and every number is itself."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headscope.keep.cells import cell, visible
from headscope.show.rows import csv_of

FORMULA = ("=", "+", "-", "@", "\t", "\r")
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text("=+-@\t\r'\x1b\x00ab", max_size=6)


@given(TEXTS)
@example("-1")
@example("\r=1")
@example("\t=1")
@example("\x00=1")
@example("\x1b]0;title\x07")
def test_no_text_is_a_formula_or_has_a_control_character(text):
    written = cell(text)
    assert isinstance(written, str)
    assert not written.startswith(FORMULA)
    assert not [c for c in written if (c < " " or "\x7f" <= c <= "\x9f") and c not in "\t\n"]


@given(st.text("=+-@\t'ab ", max_size=6))
def test_a_text_is_had_again_by_taking_one_apostrophe(text):
    written = str(cell(text))
    given_back = written[1:] if written.lstrip("'").startswith(FORMULA) and written.startswith("'") else written
    assert given_back == text


@given(st.integers() | st.floats() | st.booleans() | st.none())
def test_what_is_no_text_is_itself(value):
    assert cell(value) is value


@given(st.lists(TEXTS, min_size=1))
def test_a_csv_gives_back_its_cells(texts):
    written = csv_of([{"number": -0.5, "token": text} for text in texts])
    rows = list(csv.DictReader(io.StringIO(written, newline="")))
    assert [row["token"] for row in rows] == [cell(text) for text in texts]
    assert {row["number"] for row in rows} == {"-0.5"}


@given(TEXTS)
def test_a_terminal_gets_no_control_character_but_the_end_of_a_line(text):
    assert not [c for c in visible(text) if c != "\n" and (c < " " or "\x7f" <= c <= "\x9f")]


@pytest.mark.parametrize("text", ["the sea", "Größe ␣中文 😀", "", "two\nlines"])
def test_other_texts_are_shown_as_they_are(text):
    assert visible(text) == text
