"""What no font at hand can write is told by its code point: no empty box stands for it, and nothing is warned of."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra: maps)")

from headscope.show import glyphs, paint, scatter
from headscope.show.sheet import Cell, Row
from tests.show import sheets
from tests.show.test_scatter import FACES

NOBODYS = "\U0010fffd"  # no character, and in no font


def test_the_font_that_comes_along_is_enough_for_what_it_has():
    assert glyphs.families(["flies", "αβ", "▸banana"]) == (glyphs.DRAWN_IN,)


def test_what_it_lacks_is_written_in_a_font_that_is_installed():
    found = glyphs.families(["अ", NOBODYS])  # Devanagari, which DejaVu has not
    if len(found) == 1:
        pytest.skip("no font with Devanagari is installed")
    assert glyphs.spelled_out("अ", found) == "अ"
    assert glyphs.spelled_out("अ") == "⟨U+0905⟩"


def test_what_none_has_is_told_by_its_code_point():
    assert glyphs.spelled_out(f"a{NOBODYS}b", glyphs.families([NOBODYS])) == "a⟨U+10FFFD⟩b"


@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_a_map_is_drawn_without_a_warning(kind: str, caplog: pytest.LogCaptureFixture):
    labels = (NOBODYS, "\U00011305")  # Grantha, whose font has no bold face
    strange = replace(FACES, moves=(replace(FACES.moves[0], labels=labels),))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert scatter.drawn(strange, kind)
    assert caplog.records == []


def test_a_table_is_drawn_without_a_warning_and_keeps_its_size():
    plain = sheets.plain()
    strange = replace(plain, rows=(Row(Cell(NOBODYS), tuple(Cell(NOBODYS, number="1.0") for _ in plain.columns)),))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert paint.painted([strange], "png")


def test_svg_keeps_the_character_for_its_readers_fonts():
    strange = replace(FACES, clouds=tuple(replace(cloud, labels=(NOBODYS,)) for cloud in FACES.clouds))
    assert NOBODYS.encode() in scatter.drawn(strange, "svg")
