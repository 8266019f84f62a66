"""Everything can be reached and done with the keyboard alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headscope import Scope
from headscope.app import create_app
from tests.app.browsers import Browser
from tests.app.looks import GRID, chosen, shows
from tests.app.serving import Server

Ask = Callable[..., Any]


# Headless Firefox never counts its window as the active one, and matches no :focus in it. What the keys do there is
# checked below; what focus looks like, in the other two.
with_a_focused_window = pytest.mark.engines("chromium", "webkit")


def _tab_to(page: Browser, condition: str) -> None:
    """Press Tab until the focused element meets a condition, as a reader would."""
    for _ in range(60):
        page.press("Tab")
        if page.js(f"((e) => Boolean({condition}))(document.activeElement)"):
            return
    raise AssertionError(f"Tab never leads to {condition}")


@pytest.mark.slow
@pytest.mark.engines
def test_a_reading_from_text_to_table_without_the_pointer(page: Browser, ask: Ask) -> None:
    _tab_to(page, "e.id === 'text'")
    page.js("document.querySelector('#text').select()")
    page.press("Nothing is lost", "Enter")
    shows(page, ask(text="Nothing is lost"))
    _tab_to(page, "e.closest('#tokens')")
    page.press("ArrowRight")
    shows(page, ask(text="Nothing is lost", token=2))
    page.press("End")
    shows(page, ask(text="Nothing is lost", token=4))
    page.press("Home", "ArrowRight")
    shows(page, ask(text="Nothing is lost", token=1))
    _tab_to(page, "e.name === 'layer'")
    page.press("ArrowRight", "ArrowRight")
    shows(page, ask(text="Nothing is lost", token=1, layer=2))
    _tab_to(page, "e.matches('#advanced > summary')")
    page.press("Space")
    if page.name == "firefox":  # its remote keys arrive, but without the click that follows a keyboard's
        page.js("document.activeElement.click()")
    _tab_to(page, "e.name === 'metric'")
    page.press("ArrowRight")
    _tab_to(page, "e.name === 'position'")
    page.press("Space")
    if page.name == "firefox":  # as above
        page.js("document.activeElement.click()")
    shows(page, ask(text="Nothing is lost", token=1, layer=2, metric="euclidean", position=False))
    assert chosen(page)["layer"] == "2"


@pytest.mark.slow(cases=1)
@with_a_focused_window
def test_arrows_move_through_the_cells_and_mark_their_token(page: Browser) -> None:
    _tab_to(page, "e.matches('#neighbors td')")
    page.press("ArrowRight", "ArrowDown")
    assert page.js("[document.activeElement.cellIndex, document.activeElement.parentElement.sectionRowIndex]") == [2, 1]
    assert page.js("document.activeElement.classList.contains('marked')")


@pytest.mark.slow
@with_a_focused_window
def test_focus_is_visible(page: Browser) -> None:
    _tab_to(page, "e.closest('#tokens')")
    assert page.js("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    _tab_to(page, "e.name === 'layer'")
    assert page.js("getComputedStyle(document.activeElement.nextSibling).outlineStyle") == "solid"


# Where something is pressed that the next view has not, and what has the focus then.
GONE = {
    "an atlas's head": ("view=atlas", f"{GRID} tbody [tabindex='0']", "#view"),
    "a survey's head": ("view=survey", "#survey tbody [tabindex='0']", "#view"),
    "a way to another view": ("", "#verdict [data-go*=written]", "#view"),
    "all positions": (f"text={'a+bird+' * 30}", "#positions button.quiet", "#positions tbody td"),
    "the effects": ("view=layers", "#glance [data-by=zero]", "#glance [data-by=zero]"),
}


@pytest.mark.slow(cases=2)
@pytest.mark.parametrize(("query", "pressed", "then"), GONE.values(), ids=GONE)
def test_the_focus_stays_in_the_view_where_what_was_pressed_is_gone(
    browser: Browser, demo: Scope, few_sentences: Path, query: str, pressed: str, then: str
) -> None:
    with Server(create_app(demo, survey=few_sentences)) as server:
        browser.open(f"{server.address}/?{query}")
        browser.wait(f"document.querySelector({pressed!r})")
        browser.wait("!document.querySelector('#verdict[aria-busy]')")
        browser.js("document.querySelectorAll('#verdict details').forEach((one) => { one.open = true; })")
        browser.wait("!document.querySelector('[data-busy]')")
        title = browser.js("document.title")
        browser.js(f"document.querySelector({pressed!r}).focus()")
        assert browser.js(f"document.activeElement.matches({pressed!r})")
        before = browser.js("document.querySelector('#view').innerText")
        browser.press("Enter")
        browser.wait(f"document.querySelector('#view').innerText !== {before!r}")
        if then == "#view":
            browser.wait(f"document.title !== {title!r}")
        if "data-by" in pressed:
            browser.wait("document.querySelector('.request .says').textContent.startsWith('Effects: ')", 60)
        browser.wait(f"document.activeElement.matches({then!r})")
