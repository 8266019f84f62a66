"""Sheets as HTML."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from headscope.show.html import fragment, steps, tables
from headscope.show.sheet import Cell, Row, Sheet
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
    assert '<td class="hs-own"><span class="hs-sign" aria-hidden="true">▸</span><bdi class="hs-label">fox</bdi>' in html
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


def test_a_notebook_has_the_style_and_a_step_has_none():
    html = fragment([sheets.plain()])
    assert ".hs-own .hs-label {" in html
    assert tables([sheets.plain()]) in html
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
        steps(sheets.HOSTILE, [sheets.hostile()]),
    ):
        parsed = Text(html)
        assert "script" not in parsed.tags
        assert parsed.said.count("<script>alert(1)</script>") >= 9


def test_a_cell_says_what_it_is_about_and_a_title_what_stands_under_it():
    html = tables([sheets.linked()])
    assert 'data-sheet="linked"' in html
    assert '<th scope="col" data-measure="distance">' in html
    assert '<th scope="colgroup" colspan="2" data-head="1">' in html
    assert '<th scope="row" data-layer="4">' in html
    cell = (
        '<td class="hs-text" data-id="7" data-position="3" data-label="fox" data-value="-0.125" '
        'data-says="rank 1, in the text"><span class="hs-sign" aria-hidden="true">•</span>'
        '<small class="hs-before">3</small> <bdi class="hs-label">fox</bdi>'
        '<span class="hs-hidden"> (rank 1, in the text)</span> <small class="hs-num">−0.125</small></td>'
    )
    assert html.count(cell) == 2
    assert html.count('<td class="hs-shared" data-id="8" data-label="hen">') == 2  # inf is no number for a bar
    assert html.count("(on both sides)") == 2


def test_rows_that_stand_apart_at_the_end_are_the_foot():
    html = tables([sheets.linked()])
    assert html.index("<tfoot>") < html.index('<tr class="hs-apart"><th scope="row" title="its rank">')
    assert "<tfoot>" not in tables([sheets.heat()])


def test_signs_of_a_label_are_set_apart_from_its_text():
    cells = tuple(map(Cell, ("##ed", "␣a", "a⟨F0⟩", "a#b")))
    html = tables([Sheet("signs", "Signs", ("one", "two", "three", "four"), (Row(Cell("1"), cells),))])
    signs = re.findall(r'<span class="hs-sign">([^<]*)</span>', html)
    assert signs == ["##", "␣", "⟨F0⟩"]
    assert '<bdi class="hs-label">a#b</bdi>' in html
