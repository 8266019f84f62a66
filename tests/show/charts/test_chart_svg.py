"""Charts as SVG files."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra: maps)")

from headscope.show.charts.chart import canvas
from headscope.show.charts.svg import to_svg


@pytest.mark.filterwarnings("error:Glyph")  # no font has it; the reader's may
def test_what_xml_cannot_write_does_not_spoil_a_chart():
    figure = canvas(2, 1)
    figure.text(0, 0, "a\x01b")
    drawn = ElementTree.fromstring(to_svg(figure, "chart"))
    assert "a\ufffdb" in "".join(drawn.itertext())
