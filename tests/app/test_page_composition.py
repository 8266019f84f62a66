"""One composition: the tables in sight, text and tokens always, one selection for all views, single keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.app.browsers import Browser
from tests.app.looks import ATLAS_STANDS, GRID, choose, chosen, shows, text, unfold
from tests.app.serving import Server

Ask = Callable[..., Any]
TOP = "document.querySelector('{}').getBoundingClientRect().top"
with_a_focused_window = pytest.mark.engines("chromium", "webkit")


@pytest.mark.slow
@pytest.mark.engines(long=("firefox", "webkit"))
def test_the_verdict_and_the_cards_stand_above_the_fold_whole(page: Browser) -> None:
    for whole in ("#verdict", "#cards"):
        bottom = page.js(f"document.querySelector('{whole}').getBoundingClientRect().bottom")
        assert bottom < page.js("innerHeight"), whole
    assert page.js("document.querySelector('#neighbors .scroll').scrollWidth") <= page.js(
        "document.querySelector('#neighbors .scroll').clientWidth"
    ), "every head of the page is in sight"


@pytest.mark.slow
@pytest.mark.engines(long=("firefox", "webkit"))
def test_what_is_out_of_sight_is_drawn_after_what_is_seen(page: Browser) -> None:
    page.resize(1440, 900)
    assert page.js(TOP.format("#positions")) > page.js("innerHeight")
    page.js(
        "window.seen = [], new MutationObserver((all) => window.seen.push(...all.map((one) => one.target.id)))"
        ".observe(document.querySelector('#view'), {childList: true, subtree: true}), 0"
    )
    page.click("#tokens [data-position='3']")
    page.wait("window.seen.includes('positions')")
    assert page.js("window.seen.indexOf('neighbors')") < page.js("window.seen.indexOf('positions')")
    page.wait(f"{TOP.format('#positions')} > innerHeight")
    for figure in ("neighbors", "positions"):
        assert "3" in page.js(f"document.querySelector('#{figure} caption').textContent")
    # What is in sight is drawn with all the rest.
    page.js("document.querySelector('#positions').scrollIntoView({behavior: 'instant'}), window.seen = [], 0")
    page.js(
        "document.querySelector('#tokens [data-position=\"4\"]').click()"
    )  # a driver's pointer may scroll to it first
    page.wait("window.seen.includes('neighbors')")
    assert page.js("window.seen.includes('positions')")


@pytest.mark.slow
@pytest.mark.engines(long=("firefox", "webkit"))
@pytest.mark.parametrize("width", [1440, 390])
def test_text_and_tokens_stay_in_view_and_hide_nothing_that_has_the_focus(page: Browser, width: int) -> None:
    page.resize(width, 844)
    # At once: a smooth scroll would still be on its way when the focus asks for the next one.
    page.js("scrollTo({top: document.body.scrollHeight, behavior: 'instant'})")
    page.wait(f"{TOP.format('#bar')} === 0")
    assert 0 <= page.js(TOP.format("#tokens [aria-pressed=true]")) < 150
    # What is scrolled to stops below the bar.
    page.js("document.querySelector('#neighbors tbody td').focus()")
    page.wait(f"{TOP.format('#neighbors tbody td')} >= document.querySelector('#bar').offsetHeight")


@pytest.mark.slow
def test_a_narrow_page_has_its_tokens_in_one_row_and_its_controls_folded(page: Browser) -> None:
    page.resize(390, 844)
    tops = page.js("new Set([...document.querySelectorAll('#tokens button')].map((e) => e.offsetTop)).size")
    assert tops == 1
    page.wait("!document.querySelector('#side').checkVisibility()")
    page.click("#tokens [data-position='11']")
    page.wait("document.querySelector('#tokens').scrollLeft > 0")
    page.click("#fold")
    page.wait("document.querySelector('#side').checkVisibility()")
    assert page.js("document.querySelector('#fold').getAttribute('aria-expanded')") == "true"


def test_the_controls_can_be_folded_away_for_a_wider_table(page: Browser) -> None:
    wide = "document.querySelector('#neighbors').offsetWidth"
    before = page.js(wide)
    page.click("#fold")
    page.wait(f"{wide} > {before} + 200")
    assert not page.js("document.querySelector('#side').checkVisibility()")


@pytest.mark.long
def test_every_control_says_what_it_means_where_it_stands(page: Browser) -> None:
    names = page.js(
        "[...document.querySelectorAll('#controls [data-control]:not([hidden])')].map((e) => e.dataset.control)"
    )
    assert len(names) == 14
    for name in names:
        says = f"[data-control={name}] .says"
        unfold(page, f"[data-control={name}]")
        assert not page.js(f"document.querySelector('{says}').checkVisibility()")
        assert page.js(f"document.querySelector('[data-control={name}] summary').title") == text(page, says)
        page.click(f"[data-control={name}] summary")
        page.wait(f"document.querySelector('{says}').checkVisibility()")
    # One at a time.
    assert page.js("document.querySelectorAll('#controls details[name=explain][open]').length") == 1


@pytest.mark.long
def test_the_selected_head_is_marked_in_every_view(page: Browser, server: Server) -> None:
    choose(page, "layer", 2)
    choose(page, "head", 7)
    page.wait("document.querySelectorAll('#neighbors .head[aria-pressed=true]').length === 1")
    page.wait("document.querySelectorAll('#neighbors tbody td.chosen').length === 15")
    assert page.js("[...document.querySelectorAll('td.chosen')].every((e) => e.dataset.head === '7')")
    choose(page, "view", "atlas")
    page.wait(f"document.querySelectorAll('{GRID} button.chosen').length === 1")
    assert page.js("[...document.querySelectorAll('#atlas .chosen')].every((e) => e.dataset.layer === '2')")
    choose(page, "view", "attention")
    page.wait("document.querySelector('#pattern caption')?.textContent.startsWith('L2H7')")
    page.click("#attention tbody tr:nth-child(6) td:nth-of-type(3)")
    page.wait("document.querySelector('#tokens [aria-pressed=true]').dataset.position === '5'")
    assert chosen(page)["head"] == "7"


@pytest.mark.slow
def test_pointing_at_a_head_marks_it_wherever_it_stands(page: Browser) -> None:
    page.hover("#neighbors tbody td:nth-child(5)")
    page.wait("document.querySelectorAll('.head.marked').length === 2")
    assert page.js("[...document.querySelectorAll('.head.marked')].map((e) => e.dataset.choose)") == ["3", "3"]


@pytest.mark.slow
def test_a_position_in_the_second_table_leads_to_its_token(page: Browser, ask: Ask) -> None:
    position = page.js("document.querySelector('#positions tbody tr:nth-child(3) td').dataset.position")
    page.click("#positions tbody tr:nth-child(3) td")
    shows(page, ask(token=int(position)))


@pytest.mark.slow
@pytest.mark.engines(long=("firefox", "webkit"))
def test_single_keys_press_what_the_page_shows(page: Browser, ask: Ask) -> None:
    page.js("document.activeElement.blur()")
    page.press("ArrowRight", "ArrowDown", "ArrowDown", "r")
    shows(page, ask(token=2, layer=2, reference="input"))
    page.press("ArrowUp", "ArrowLeft", "m")
    shows(page, ask(token=1, layer=1, reference="input", metric="euclidean"))
    page.press("h", "h")
    page.wait("document.querySelector('#neighbors .head[aria-pressed=true]')?.dataset.choose === '1'")
    page.press("2")
    page.wait(ATLAS_STANDS)
    page.press("1", "c")
    page.wait("document.querySelector('#neighbors .versus')")
    page.press("\\")
    page.wait("!document.querySelector('#side').checkVisibility()")


@pytest.mark.slow
@with_a_focused_window
def test_a_text_is_written_with_the_keys_and_no_letter_of_it_acts(page: Browser, ask: Ask) -> None:
    page.press("t")
    page.wait("document.activeElement.id === 'text'")
    page.press("hmrt 12", "Enter")
    shows(page, ask(text="hmrt 12"))
    assert chosen(page)["view"] == "heads"


@pytest.mark.long
def test_the_shortcuts_are_listed_and_can_be_switched_off(page: Browser, ask: Ask) -> None:
    page.js("document.activeElement.blur()")
    page.press("?")
    page.wait("document.querySelector('#keys').matches(':popover-open')")
    assert page.js("document.querySelectorAll('#keys dt').length") >= 10
    page.click("#keys-on")
    page.click("#keys .quiet")
    page.wait("!document.querySelector('#keys').matches(':popover-open')")
    page.js("document.activeElement.blur()")
    page.press("ArrowDown")
    assert chosen(page)["layer"] == "0"
    page.go(0)
    page.wait("document.querySelector('#neighbors td')")
    assert page.js("document.querySelector('#keys-on').checked") is False
    page.js("localStorage.clear()")


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("size", [(720, 450), (1440, 560)])  # 1440 × 900 at 200 %, and a low window
def test_a_low_page_leaves_its_height_to_the_tables(page: Browser, size: tuple[int, int]) -> None:
    page.resize(*size)
    stay = "['#bar', '#readout', '#side'].map((e) => getComputedStyle(document.querySelector(e)).position)"
    assert page.js(stay) == ["static"] * 3
    page.js("document.querySelector('#neighbors tbody tr').scrollIntoView({block: 'start', behavior: 'instant'})")
    bottoms = "[...document.querySelectorAll('#neighbors tbody tr')].map((e) => e.getBoundingClientRect().bottom)"
    assert page.js(f"{bottoms}.filter((bottom) => bottom <= innerHeight).length") > 5
    page.resize(1440, 900)
    assert page.js(stay) == ["sticky"] * 3
