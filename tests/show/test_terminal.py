"""Sheets as tables for a terminal."""

from __future__ import annotations

import builtins
import io

import pytest
from rich.console import Console

from headscope.show.sheet import Cell, Row, Sheet
from headscope.show.terminal import Disarmed, tables, text
from tests.show import sheets


def test_every_cell_is_there_in_blocks_that_fit_100_columns():
    shown = text([sheets.plain()])
    lines = shown.splitlines()
    assert lines[0] == "What is nearest"
    assert lines[1] == "What the table is about."
    assert max(map(len, lines)) <= 100
    assert shown.count("own ") > 1  # more than one block
    for n in range(sheets.HEADS):
        assert f"head {n}" in shown
        assert f"#{n} " in shown
    assert "▸fox" in shown
    assert "0.125" in shown
    assert "45%" in shown
    assert lines[-3:] == ["▸ own token", "", "Note: The text was cut."]


def test_numbers_stand_below_each_other_and_what_stands_apart_below_a_line():
    labels = (Cell("a", "0.100"), Cell("a long label that is cut", "12.35"), Cell("#3", "0.900"))
    rows = tuple(Row(Cell(str(n)), (cell,), apart=n == 2) for n, cell in enumerate(labels))
    _, _, _, *body = text([Sheet("numbers", "Numbers", ("head 0",), rows)]).splitlines()
    assert [line.rstrip()[-5:] for line in body if line.strip()] == ["0.100", "12.35", "0.900"]
    assert len({len(line) for line in body if line.strip()}) == 1
    assert "a long label that i…" in body[1]
    assert body[2] == ""


def test_columns_that_belong_together_are_never_parted():
    columns = tuple(name for n in range(9) for name in (f"raw{n}", f"aware{n}"))
    rows = (Row(Cell("1"), tuple(Cell("label", "0.123") for _ in columns)),)
    for width in (40, 60, 100):
        console = Console(file=io.StringIO(), width=width)
        for table in tables([Sheet("pairs", "Pairs", columns, rows, together=2)], width):
            console.print(table)
        shown = console.file.getvalue()  # type: ignore[attr-defined]
        assert shown.count("raw") == 9
        for line in shown.splitlines():
            assert line.count("raw") == line.count("aware")


def test_sentences_are_broken_into_lines_and_never_cut():
    says = "a sentence of many words " * 12
    rows = tuple(Row(Cell(f"S{n}"), (Cell(says), Cell("holds", "0.5", beside="[0.4, 0.6]"))) for n in range(2))
    shown = text([Sheet("prose", "What is said", ("says", "verdict"), rows, prose=True)])
    assert max(map(len, shown.splitlines())) <= 100
    assert shown.count("sentence") == 24
    assert shown.count("holds 0.5 [0.4, 0.6]") == 2
    assert "…" not in shown


def test_the_largest_share_of_a_column_stands_out_and_hardly_any_steps_back():
    written = io.StringIO()
    console = Console(file=written, width=80, force_terminal=True, color_system="standard", legacy_windows=False)
    for table in tables([sheets.heat()], 80):
        console.print(table)
    assert "\x1b[1m 0.900" in written.getvalue()
    assert "\x1b[2m 0.010" in written.getvalue()
    assert "\x1b[1;32m" in written.getvalue()  # the own token


def test_what_stands_beside_a_label_or_a_number_alone_is_there():
    rows = (
        Row(Cell("0 the", beside="function"), (Cell(number="12.3%", beside="mean 9.0%"),)),
        Row(Cell("1 a rather long word", beside="content"), (Cell(number="9.0%", beside="mean 12.3%"),)),
    )
    *_, one, other = text([Sheet("beside", "Beside", ("ratio",), rows, stub="token, word")]).splitlines()
    assert one.split() == ["0", "the", "function", "12.3%", "mean", "9.0%"]
    assert other.split() == ["1", "a", "rather", "lo…", "content", "9.0%", "mean", "12.3%"]
    assert len(one) == len(other)


def test_nothing_stands_out_of_a_column_without_anything():
    written = io.StringIO()
    console = Console(file=written, width=80, force_terminal=True, color_system="standard", legacy_windows=False)
    rows = (Row(Cell("0 the"), (Cell(number="1", share=0.0),)),)
    for table in tables([Sheet("ranks", "Ranks", ("input",), rows, stub="token")], 80):
        console.print(table)
    assert "\x1b[1m" not in written.getvalue().splitlines()[-2]


def test_what_runs_from_right_to_left_turns_nothing_beside_it():
    row = Row(Cell("1"), (Cell("שלום", "0.123"), Cell("مرحبا", "0.456")))
    line = text([Sheet("s", "s", ("head 0", "head 1"), (row,))]).rstrip().splitlines()[-1]
    assert line.split() == ["1", "\u2068שלום\u2069", "0.123", "\u2068مرحبا\u2069", "0.456"]


def test_hostile_labels_are_inert():
    written = io.StringIO()
    console = Console(file=written, width=80, markup=False)
    for table in tables([sheets.hostile()], 80):
        console.print(Disarmed(table))
    for shown in (written.getvalue(), text([sheets.hostile()])):
        assert not {"\x1b", "\x00", "\u202e"} & set(shown)
        assert "\\x1b[31m" in shown


def test_the_text_is_the_same_in_a_notebook(monkeypatch: pytest.MonkeyPatch):
    """rich takes what answers `get_ipython` in a kernel for a notebook, and displays there what it should write."""
    outside = text([sheets.plain()])
    monkeypatch.setenv("FORCE_COLOR", "1")  # as a kernel does
    kernel = type("ZMQInteractiveShell", (), {})()
    monkeypatch.setattr(builtins, "get_ipython", lambda: kernel, raising=False)
    assert Console().is_jupyter
    assert text([sheets.plain()]) == outside


def test_a_title_stands_over_the_columns_that_it_is_of():
    _, over, titles, *_ = text([sheets.linked()]).splitlines()
    assert over.split() == ["head", "0", "head", "1"]
    assert titles.split() == ["one", "other", "one", "other"]
    assert over.index("head 1") == titles.index("one", titles.index("other"))


@pytest.mark.parametrize("width", [80, 200])
def test_words_stay_whole_and_heads_that_do_not_fit_begin_another_block(width):
    words = ("▸11 banana", "photosynthese", "wolf", "##ly")
    rows = tuple(
        Row(Cell(str(rank)), tuple(Cell(words[(n + rank) % 4], "0.123") for n in range(12))) for rank in (1, 2)
    )
    console = Console(file=io.StringIO(), width=width)
    for table in tables([Sheet("heads", "Heads", tuple(f"head {n}" for n in range(12)), rows)], width):
        console.print(table)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in shown
    assert [shown.count(word) for word in words] == [6] * 4
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= width
    assert len([line for line in shown.splitlines() if "head" in line]) == {80: 4, 200: 2}[width]
