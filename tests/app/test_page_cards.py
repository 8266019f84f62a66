"""A head in three cards, above tables whose words are whole."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import zoo

from headscope import Scope
from headscope.app import create_app
from tests.app.browsers import Browser, Chromium
from tests.app.looks import VERDICT_STANDS, choose, shows, text
from tests.app.serving import Server

Ask = Callable[..., Any]
CUT = """[...document.querySelectorAll('#neighbors td, #positions td')].filter((e) => e.checkVisibility()
  && e.querySelector('.hs-label') && (e.scrollWidth > e.clientWidth
  || e.querySelector('.hs-num') && e.closest('tbody') && e.querySelector('.hs-label').getBoundingClientRect().right
     > e.querySelector('.hs-num').getBoundingClientRect().left + 1)).map((e) => e.textContent)"""


def words(page: Browser, card: str) -> list[str]:
    found: list[str] = page.js(f"[...document.querySelectorAll('.{card} .hs-label')].map((e) => e.textContent)")
    return found


@pytest.mark.slow
def test_cards_are_the_portrait_of_the_head_that_is_chosen(page: Browser, server: Server, demo: Scope) -> None:
    reading = demo.read("Time flies like an arrow. Fruit flies like a banana.")
    page.open(f"{server.address}/?token=11&layer=2")
    page.wait("document.querySelector('.cards')")
    portrait = reading.portrait(11, 2)
    assert text(page, "#leads") == portrait.says
    assert text(page, "#cards > .says") == portrait.says_shown
    for head in (portrait.shown, 7):
        if head == 7:
            choose(page, "head", 7)
        page.wait(f"document.querySelector('.cards h3').textContent === 'What head {head} resembles'")
        resembles, looked, _ = portrait.cards()[head]
        assert words(page, "words") == [cell.label for cell in resembles.cells]
        assert words(page, "looked") == [cell.label for cell in looked.cells]
        assert page.js("document.querySelector('.looked + .says').textContent") == looked.says
        widths = page.js(
            "[...document.querySelectorAll('.looked rect')].map((e) => parseFloat(e.getAttribute('width')))"
        )
        assert widths == [pytest.approx(100 * (cell.share or 0), abs=0.06) for cell in looked.cells]
    assert not page.js("document.querySelector('#cards > .says')"), "a head is chosen"


@pytest.mark.slow
def test_whether_the_head_matters_is_worked_out_once_nobody_clicks(page: Browser, server: Server, demo: Scope) -> None:
    page.open(f"{server.address}/?token=11&layer=1&head=8")
    page.wait("document.querySelector('.effect')?.textContent.startsWith('Without')", 30)
    says = demo.read("Time flies like an arrow. Fruit flies like a banana.").removed(11, 1).says()
    assert text(page, ".effect") == says[8]
    choose(page, "head", 3)
    page.wait(f"document.querySelector('.effect').textContent === {json.dumps(says[3])}")


@pytest.mark.long
def test_what_takes_long_is_asked_for(fresh: Callable[..., Chromium], server: Server) -> None:
    page = fresh()
    page.open(f"{server.address}/?{'text=' + '+'.join(['word'] * 100)}")
    page.wait("document.querySelector('.effect button')")
    assert "13 runs of the text" in text(page, ".effect")
    page.page.wait_for_timeout(1200)
    assert page.js("document.querySelector('.effect button') !== null"), "it is not worked out unasked"
    page.wait("document.querySelector('#verdict .surveyed') && !document.querySelector('#verdict[aria-busy]')")
    page.click(".effect button")
    page.wait("document.querySelector('.effect').textContent.startsWith('Without')", 60)


@pytest.mark.long
def test_written_against_attended_is_unfolded_and_stays_so(page: Browser, server: Server, ask: Ask) -> None:
    page.open(f"{server.address}/?token=11&layer=2&head=8")
    page.wait("document.querySelector('.against')")
    assert not page.js("document.querySelector('.against table')"), "it is asked for when it is looked at"
    page.wait("document.querySelector('#verdict .surveyed') && !document.querySelector('#verdict[aria-busy]')")
    time.sleep(1)  # the verdict above it grows once more, with what other texts give
    page.click(".against summary")
    page.wait("document.querySelectorAll('.against table').length === 2", 30)
    assert "L2H8" in text(page, ".against caption")
    page.hover(".against tbody tr:nth-child(3) td:nth-child(4)")
    page.wait("document.querySelectorAll('.against .linked').length === 2")
    answer = ask("written", layer=2, head=8)
    assert f"AUC {answer['heads'][8]['auc'][2][2]:.3f}" in text(page, ".against .told")
    choose(page, "head", 5)
    page.wait("document.querySelector('.against caption')?.textContent.startsWith('L2H5')", 30)


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("layer", [0, 2, 5])
def test_words_are_whole_and_the_others_are_a_page_further(page: Browser, server: Server, ask: Ask, layer: int) -> None:
    page.open(f"{server.address}/?token=11&layer={layer}")
    shows(page, ask(token=11, layer=layer))
    page.wait(VERDICT_STANDS, 60)
    seen = set()
    for n in range(page.js("document.querySelectorAll('#neighbors .pages button').length") or 1):
        if n:
            page.click(f"#neighbors .pages button:nth-child({n + 1})")
        page.wait(f"{CUT}.length === 0")  # once the window has settled
        assert page.js("document.documentElement.scrollWidth <= innerWidth")
        shown = "document.querySelectorAll('#neighbors tbody tr:first-child td:not([hidden])')"
        seen |= set(page.js(f"[...{shown}].map((e) => e.dataset.head)"))
    assert seen == {str(head) for head in range(12)}


@pytest.mark.slow
def test_the_page_of_the_chosen_head_is_shown_and_arrows_turn_pages(page: Browser, server: Server, ask: Ask) -> None:
    page.resize(600, 900)
    page.open(f"{server.address}/?token=11&layer=2&head=11")
    shows(page, ask(token=11, layer=2))
    page.wait("document.querySelector('#neighbors td[data-head=\"11\"]').checkVisibility()")
    assert not page.js("document.querySelector('#neighbors td[data-head=\"0\"]').checkVisibility()")
    page.js("document.querySelector('#neighbors tbody tr td:not([hidden])').focus()")
    before = page.js("document.activeElement.cellIndex")
    page.press("ArrowLeft")
    page.wait(f"document.activeElement.cellIndex === {before - 1} && document.activeElement.checkVisibility()")


@pytest.mark.slow
def test_the_nearest_has_the_longest_bar_two_decimals_and_its_number_in_full(page: Browser) -> None:
    tos, distances, titles, seen = page.js(
        "['to', 'value', 'title', 'num'].map((what) => [...document.querySelectorAll('#neighbors td[data-head=\"0\"]')]"
        ".filter((e) => e.closest('tbody')).map((e) => ({to: parseFloat(e.style.getPropertyValue('--to')),"
        " value: Number(e.dataset.value), title: e.title, num: e.querySelector('.hs-num').textContent}[what])))"
    )
    assert tos == sorted(tos, reverse=True)
    assert tos == [pytest.approx(100 * (1 - apart), abs=0.01) for apart in distances]
    for apart, title, number in zip(distances, titles, seen, strict=True):
        assert number == f"{apart:.2f}"
        assert title.startswith("cosine distance ")
        assert float(title.split()[-1]) == pytest.approx(apart, rel=1e-4)


@pytest.mark.long
def test_notes_are_one_line_that_unfolds_without_a_word_of_the_terminal(page: Browser, server: Server) -> None:
    page.open(f"{server.address}/?layer=3&reference=input&space=key&metric=dot")
    page.wait("document.querySelector('#notes p')")
    assert page.js("document.querySelector('#notes').offsetHeight") < 40
    page.click("#notes summary")
    page.wait("document.querySelector('#notes p').checkVisibility()")
    page.open(f"{server.address}/?view=journey")
    page.wait("document.querySelector('#notes').textContent.includes('was not asked for')", 60)
    assert "--" not in text(page, "#notes")


@pytest.mark.long
def test_heads_that_share_keys_and_values_are_marked(
    fresh: Callable[..., Chromium], scope_of: Callable[[str], Scope]
) -> None:
    scope = scope_of("llama")
    with Server(create_app(scope)) as tiny:
        page = fresh()
        page.open(tiny.address)
        page.wait("document.querySelector('#neighbors td')")
        size = scope.card.heads // scope.card.kv_heads
        titles = page.js("[...document.querySelectorAll('#neighbors thead .hs-before')].map((e) => e.textContent)")
        assert titles == [f"kv {head // size}" for head in range(scope.card.heads)]
        assert text(page, "#neighbors thead th[data-head]") == "kv 0 head 0"
        assert "share keys and values" in text(page, "#leads")
        assert "share keys and values" in text(page, "#model")


@pytest.mark.long
def test_what_a_causal_mask_hides_is_a_grey_dot(
    fresh: Callable[..., Chromium], scope_of: Callable[[str], Scope]
) -> None:
    with Server(create_app(scope_of("gpt2"))) as tiny:
        page = fresh()
        page.open(f"{tiny.address}/?view=attention&token=2&text={zoo.TEXT.replace(' ', '+')}")
        page.wait("document.querySelector('#attention td')")
        rows = page.js("[...document.querySelectorAll('#attention tbody tr')].map((e) => e.cells[1].textContent)")
        assert set(rows[3:]) == {"·"}
        assert "·" not in rows[:3]
