"""Sheets as HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from headscope.show.html import fragment, page, steps, tables
from tests.show import sheets


class Text(HTMLParser):
    """The text and the tags of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.said, self.tags = "", [""]
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.said += data + "\n"

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)


def test_a_table_has_every_cell_its_marks_and_what_is_said_around_it():
    html = tables([sheets.plain()])
    assert html.count("<tr>") + html.count('<tr class="hs-apart">') == 4
    assert html.count("<td") == 3 * sheets.HEADS + 1  # and the corner
    assert (
        '<td class="hs-own"><span class="hs-sign" aria-hidden="true">▸</span><span class="hs-label">fox</span>' in html
    )
    assert '<small class="hs-beside">45%</small>' in html
    for line in (
        "<caption><span>What is nearest</span></caption>",
        ">What the table is about.</p>",
        ">▸ own token</p>",
    ):
        assert line in html
    assert html.endswith('<p class="hs-note">The text was cut.</p></div>')


def test_a_share_is_the_strength_of_a_ground():
    html = tables([sheets.heat()])
    assert re.findall(r"<td class=\"([^\"]*)\"", html) == [
        "hs-number hs-9",
        "hs-number hs-5",
        "hs-number",
        "hs-number",
    ]


def test_a_notebook_and_a_file_have_the_style_and_a_step_has_none():
    for html in (fragment([sheets.plain()]), page("Plain", [sheets.plain()])):
        assert ".hs-own .hs-label {" in html
        assert tables([sheets.plain()]) in html
    assert page("Plain", [sheets.plain()]).startswith("<!doctype html>")
    assert "style" not in steps("Worked out", [sheets.plain()])


def test_a_step_is_named_by_its_caption_and_led_to_by_its_sentences():
    html = steps("Worked <out>", [sheets.plain(), sheets.heat()])
    assert html.startswith(
        '<section><h3>Worked &lt;out&gt;</h3><ol><li><h4>What is nearest</h4><p class="hs-lead">What'
    )
    assert html.count("<li>") == html.count('role="region"') == 2


def test_hostile_labels_are_inert():
    for html in (
        fragment([sheets.hostile()]),
        page(sheets.HOSTILE, [sheets.hostile()]),
        steps(sheets.HOSTILE, [sheets.hostile()]),
    ):
        parsed = Text(html)
        assert "script" not in parsed.tags
        assert parsed.said.count("<script>alert(1)</script>") >= 9
