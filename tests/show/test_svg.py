"""Sheets as figures: SVG, and the same as PDF and PNG."""

from __future__ import annotations

import struct
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from headscope import InputError
from headscope.show.paint import painted
from headscope.show.sheet import Cell, Row
from headscope.show.svg import svg
from tests.show import sheets

SVG = "{http://www.w3.org/2000/svg}"


def words(drawn: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(drawn).iter(f"{SVG}text")]


def test_a_figure_has_the_labels_the_numbers_and_the_legend():
    said = words(svg([sheets.plain()]))
    assert {"What is nearest", "head 11", "▸fox", "0.125", "own", "#7", "▸ own token"} <= set(said)
    assert "What the table is about." not in said


def test_only_figures_are_drawn_and_a_legend_once():
    plain = sheets.plain()
    said = words(svg([plain, replace(plain, figure=None, caption="no figure"), replace(plain, caption="another")]))
    assert said.count("▸ own token") == 1
    assert "no figure" not in said
    assert said.index("What is nearest") < said.index("another")


def test_labels_can_be_drawn_alone():
    wide, narrow = (ET.fromstring(svg([replace(sheets.plain(), figure=how)])) for how in ("cells", "labels"))
    assert int(narrow.attrib["width"]) < int(wide.attrib["width"])
    assert "0.125" not in [element.text for element in narrow.iter(f"{SVG}text")]


def test_a_share_is_the_strength_of_a_ground():
    grounds = [box.attrib["fill"] for box in ET.fromstring(svg([sheets.heat()])).iter(f"{SVG}rect")]
    assert len(grounds) == 4  # the paper, and three shares that are not 0
    assert grounds[1] < grounds[2] < grounds[3]  # the more, the darker


def test_a_long_caption_is_broken_and_within_the_figure():
    drawn = ET.fromstring(svg([replace(sheets.heat(), caption="a caption of many words " * 20)]))
    bold = [one for one in drawn.iter(f"{SVG}text") if one.attrib.get("font-weight") == "bold"]
    assert len(bold) > 5
    assert all(8 * len(one.text or "") < int(drawn.attrib["width"]) for one in bold)


def test_a_long_legend_is_broken_and_within_the_figure():
    drawn = ET.fromstring(svg([replace(sheets.heat(), legend=("what a sign means, " * 20,))]))
    lines = [one.text or "" for one in drawn.iter(f"{SVG}text") if "sign" in (one.text or "")]
    assert len(lines) > 3
    assert all(6 * len(line) < int(drawn.attrib["width"]) for line in lines)
    assert int(drawn.attrib["height"]) > 12 * len(lines)


def test_columns_of_numbers_are_as_wide_as_the_widest():
    narrow = sheets.heat()
    wide = replace(narrow, rows=(Row(Cell("0"), (Cell(number="12.3 [10.1, 14.5]"), Cell(number="1"))),))
    before, after = (int(ET.fromstring(svg([one])).attrib["width"]) for one in (narrow, wide))
    assert after > before + 50


def test_a_column_of_numbers_has_room_for_its_name():
    plain = sheets.heat()
    said = words(svg([replace(plain, columns=("+ LayerNorm", "head 1"))]))
    assert {"+ LayerNorm", "head 1"} <= set(said)


def test_hostile_labels_are_inert():
    drawn = ET.fromstring(svg([sheets.hostile()]))
    assert {element.tag for element in drawn.iter()} <= {SVG + tag for tag in ("svg", "title", "rect", "path", "text")}


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("sheet", [sheets.plain, sheets.heat, sheets.hostile])
def test_pdf_and_png_are_the_same_figure_every_time(sheet):
    pytest.importorskip("matplotlib")
    drawn = ET.fromstring(svg([sheet()]))
    png = painted([sheet()], "png")
    for n, side in enumerate(("width", "height")):
        wanted = int(drawn.attrib[side]) * 300 / 96
        assert struct.unpack(">I", png[16 + 4 * n : 20 + 4 * n])[0] == pytest.approx(wanted, abs=1)
    pdf = painted([sheet()], "pdf")
    assert pdf.startswith(b"%PDF")
    assert painted([sheet()], "pdf") == pdf


def test_a_png_that_is_too_large_is_refused_and_what_has_room_for_it_is_named():
    pytest.importorskip("matplotlib")
    tall = replace(sheets.heat(), rows=sheets.heat().rows * 600)
    with pytest.raises(InputError, match=r"a PNG of 75,\d{3} pixels a side, where 65,535 .* \.svg or \.pdf"):
        painted([tall], "png")
    assert 'height="24' in svg([tall])[:200]


def test_without_matplotlib_a_sentence_names_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r'pip install "headscope\[maps\]"'):
        painted([sheets.plain()], "png")
