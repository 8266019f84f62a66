"""The verdict above the tables: its line and strips are the API's, and follow token, layer and head."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import plain
import pytest
import zoo

from headscope import Scope
from headscope.app import create_app
from headscope.reading.standing_words import ordinal
from tests.app.browsers import Browser, Chromium
from tests.app.looks import VERDICT_STANDS, choose, text
from tests.app.serving import Server

Ask = Callable[..., Any]
SAYS = "document.querySelector('#verdict .verdict-says')?.textContent"
MARKS = (
    "[...document.querySelectorAll('#verdict .strip line[data-id]')].map((e) => "
    "[+e.dataset.id, e.dataset.where.split(',').slice(0, -1).join('').replace('rank ', '')])"
)


def says(page: Browser, words: str) -> None:
    page.wait(f"{SAYS} === {words!r}", 30)


def test_the_line_follows_token_layer_and_head_and_is_the_answers(page: Browser, server: Server, ask: Ask) -> None:
    found = ask("standing", others=True)
    says(page, found["says"])
    assert text(page, "#verdict .surveyed") == "One sentence, not tested yet."
    assert page.js("document.querySelectorAll('#verdict .strips button').length") == 12
    assert not page.js("document.querySelector('#verdict .strip')")
    page.click("#verdict .strips [data-choose='3']")
    says(page, found["heads"][3]["says"])
    assert page.js("document.activeElement.dataset.choose") == "3"
    choose(page, "layer", 2)
    page.click("#tokens [data-position='4']")
    found = ask("standing", token=4, layer=2, others=True)
    says(page, found["heads"][3]["says"])
    tokens = {token["id"]: token["rank"] for token in found["heads"][3]["tokens"]}
    assert {id: int(rank) for id, rank in page.js(MARKS)} == tokens
    table = [row["rank"] for row in sorted(found["heads"][3]["tokens"], key=lambda token: token["rank"])]
    page.click("#verdict summary")
    cells = page.js("[...document.querySelectorAll('#verdict tbody tr')].map((row) => row.cells[1].textContent)")
    assert [int(cell.replace(",", "")) for cell in cells] == table


@pytest.mark.slow
def test_what_is_pressed_while_the_verdict_comes_is_chosen(page: Browser, server: Server, ask: Ask) -> None:
    assert isinstance(page, Chromium)
    asked = "performance.getEntriesByType('resource').filter((one) => one.name.endsWith('/standing')).length"
    page.wait(f"{asked} === 2 && {VERDICT_STANDS}", 30)
    page.js("window.strips = document.querySelector('#verdict .strips')")
    page.click("#tokens [data-position='4']")
    page.hover("#verdict .strips [data-choose='5']")
    page.page.mouse.down()
    page.wait(f"{asked} === 3", 30)
    assert page.js("document.querySelector('#verdict .strips') === window.strips")  # until it is let go
    page.page.mouse.up()
    says(page, ask("standing", token=4, others=True)["heads"][5]["says"])


@pytest.mark.slow
def test_how_we_know_leads_to_the_matrix_and_the_chance(page: Browser, server: Server, ask: Ask) -> None:
    page.open(f"{server.address}/?layer=2&head=5")
    says(page, ask("standing", layer=2, others=True)["heads"][5]["says"])
    page.click("#verdict summary")
    page.click("#verdict [data-go*=hubs]")
    page.wait("document.querySelector('#neighbors .hubs')", 30)
    assert "hubs=true" in page.js("location.search")
    if not page.js("document.querySelector('#verdict details').open"):
        page.click("#verdict summary")
    page.click("#verdict [data-go*=written]")
    page.wait("document.querySelector('#title').textContent === 'Layer 2, head 5: what it writes where'", 30)
    assert page.js("document.querySelector('#verdict').childElementCount") == 0


@pytest.mark.long
def test_what_is_no_output_has_no_verdict(page: Browser, server: Server) -> None:
    page.open(f"{server.address}/?vector=v")
    page.wait("document.querySelector('#neighbors td')", 30)
    assert page.js("document.querySelector('#verdict').childElementCount") == 0


@pytest.mark.slow
@pytest.mark.parametrize("trained", [True, False], ids=["planted", "untrained"])
def test_its_words_are_of_this_model_and_an_untrained_one_gets_no_claim(
    browser: Browser, scope_of: Callable[[str], Scope], tmp_path: Path, trained: bool
) -> None:
    """Numbers from the model in float64 and from the survey's file: no sentence of the demo weights can stand here."""
    pytest.importorskip("pyarrow", reason="surveys are not installed (extra: survey)")
    from tests.studies.survey.corpora import sentences, surveyed, written
    from tests.studies.survey.test_planted_within import ELSEWHERE, EVERYWHERE, PREVIOUS, contrasts, planted

    scope = planted() if trained else scope_of("bert").randomised(77)
    texts = written(tmp_path / "t.txt", sentences(40, seed=5, least=7, most=7))
    survey = surveyed(scope, texts, tmp_path / "s", ("random",), references=("layer",))
    model, tokens = scope.bench.opened.model, scope.read(zoo.TEXT).tokens
    at = len(tokens) - 2
    z = plain.z("bert", model, [token.id for token in tokens], 0)[at]
    rows = plain.encodings("bert", model, 0, at)
    found = contrasts(survey)
    with Server(create_app(scope, survey=survey)) as server:
        for head in (PREVIOUS, ELSEWHERE, EVERYWHERE):
            browser.open(f"{server.address}/?text={zoo.TEXT}&token={at}&layer=0&head={head}&space=value")
            browser.wait(f"{SAYS}?.startsWith('Layer 0, head {head}:')", 30)
            browser.wait("document.querySelector('#verdict .surveyed')?.textContent.includes('Over 40 texts')", 30)
            apart = plain.distance("cosine", z[head], rows[:, head]).detach()
            best = min({token.id for token in tokens if not token.special}, key=lambda id: float(apart[id]))
            rank = 1 + int((apart < apart[best]).sum())
            assert f"{ordinal(rank)} of {len(rows)}" in text(browser, "#verdict .verdict-says")
            told = text(browser, "#verdict .surveyed")
            of_head = found[(found.layer == 0) & (found["head"] == head) & (found.statistic == "carry")]
            for difference in of_head.difference:
                assert f"{abs(difference):.2f}".lstrip("0") in told
            assert ("writes what it attends to" in told) == (trained and head == PREVIOUS)
            assert ("nothing is claimed" in told) == (not trained or head != PREVIOUS)


@pytest.mark.slow
def test_how_it_is_known_scrolls_in_its_own_place_where_a_page_is_narrow(page: Browser, server: Server) -> None:
    page.resize(320, 844)  # WCAG's reflow
    page.open(f"{server.address}/?layer=1&head=2")
    page.wait(VERDICT_STANDS)
    page.js("(document.querySelector('#verdict details').open = true)")
    page.wait("document.querySelector('#verdict table').checkVisibility()")
    assert page.js("document.documentElement.scrollWidth") == 320
    ends = "['#verdict table', '#verdict .hs-scroll'].map((e) => document.querySelector(e).scrollWidth)"
    assert len(set(page.js(ends))) == 1, "all of it can be scrolled to"
