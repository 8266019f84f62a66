"""Sheets as Markdown."""

from __future__ import annotations

from headscope.show.markdown import of_sheets
from tests.show import sheets


def test_a_table_has_a_line_for_each_row_and_what_is_said_around_it():
    said = of_sheets([sheets.heat(), sheets.plain()])
    heat, plain = said.split("What the table is about.")
    assert heat.splitlines()[2:6] == [
        "| source | head 0 | head 1 |",
        "| --- | --- | --- |",
        "| ▸0 the | 0.900 | 0.500 |",
        "| 1 fox | 0.010 | 0.000 |",
    ]
    assert "| ▸fox 0.125 |" in plain
    assert "a 0.500 45% |" in plain
    assert plain.endswith("▸ own token\n\nThe text was cut.\n")


def test_hostile_labels_are_inert():
    said = of_sheets([sheets.hostile()])
    assert "<script>" not in said.replace("\\<", "")
    lines = [line for line in said.splitlines() if line.startswith("|")]
    assert len(lines) == 3
    assert all(line.replace("\\|", "").count("|") == 3 for line in lines)


def test_a_title_over_columns_leads_the_first_of_them():
    assert "| head 0 one | other | head 1 one | other |" in of_sheets([sheets.linked()])
