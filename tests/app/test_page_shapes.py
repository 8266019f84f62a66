"""Narrow and wide, light and dark, with and without JavaScript, for everyone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from headscope import Scope
from headscope.app import create_app
from tests.app.browsers import Browser, Chromium
from tests.app.looks import choose, shows, text
from tests.app.serving import Server


@pytest.mark.slow
@pytest.mark.engines
def test_a_narrow_page_has_its_heads_on_pages_and_scrolls_no_table(page: Browser) -> None:
    page.resize(390, 844)
    assert page.js("document.documentElement.scrollWidth <= innerWidth")
    # MiniBrowser's window does not get narrower than its toolbar.
    assert page.js("innerWidth") <= (390 if page.name != "webkit" else 480)
    for figure in ("neighbors", "positions"):
        table = f"document.querySelector('#{figure} .scroll')"
        page.wait(f"document.querySelectorAll('#{figure} .pages button').length > 1")
        page.wait(f"{table}.scrollWidth <= {table}.clientWidth")  # once the window has settled
        shown = f"document.querySelectorAll('#{figure} tbody tr:first-child td:not([hidden])').length"
        assert 1 <= page.js(shown) < 12


CUT = (  # JavaScript for the views whose names do not stand whole in the window, and can be pressed there
    "[...document.querySelectorAll('.tabs .segments label')].filter((one) => {"
    " const { left, right, top, bottom } = one.getBoundingClientRect();"
    " const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);"
    " return left < 0 || right > innerWidth || !one.contains(hit)"
    " || one.offsetParent.scrollWidth > one.offsetParent.clientWidth; }).map((one) => one.textContent)"
)
WORKING = "document.querySelector('#status').textContent = 'Comparing every output with the whole vocabulary …'"


@pytest.mark.slow(cases=2)
@pytest.mark.engines(long=("firefox", "webkit"))
@pytest.mark.parametrize("width", [720, 320, 390, 700, 930, 1100])  # 720: 1440 at 200 %
def test_no_view_is_cut_off_by_the_window_by_what_it_is_or_by_work(page: Browser, width: int) -> None:
    page.resize(width, 844)
    page.wait(f"{CUT}.length === 0")
    tall = "document.querySelector('.tabs').offsetHeight"
    before = page.js(tall)
    page.js(WORKING)
    assert page.js(CUT) == []
    assert page.js(tall) == before, "what is below moves while something is worked out"
    page.click(".tabs [name=explain] summary")
    page.wait("document.querySelector('.tabs .says').checkVisibility()")
    assert page.js(CUT) == []
    assert page.js("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [1440, 900, 720, 390])  # 720: 1440 at 200 %
def test_the_models_name_stands_on_one_line(page: Browser, width: int) -> None:
    page.resize(width, 450)
    line = "parseFloat(getComputedStyle(document.querySelector('#model')).lineHeight)"
    page.wait(f"document.querySelector('#model button').offsetHeight < 1.7 * {line}")


@pytest.mark.long
@pytest.mark.engines(long=("firefox", "webkit"))
def test_theme_switches_and_is_remembered(page: Browser) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.js(ground)
    page.click("#theme")
    dark = page.js(ground)
    assert dark != light
    page.go(0)
    assert page.js(ground) == dark
    page.click("#theme")
    assert page.js(ground) == light


@pytest.mark.slow
def test_without_javascript_a_sentence_says_what_is_missing(fresh: Callable[..., Chromium], server: Server) -> None:
    page = fresh(java_script_enabled=False)
    page.open(server.address)
    assert "JavaScript, which is switched off here" in page.page.locator("noscript").inner_text()


@pytest.mark.slow
def test_first_load_is_light(fresh: Callable[..., Chromium], server: Server) -> None:
    page = fresh()
    page.open(server.address)
    page.wait("document.querySelector('#neighbors td')")
    wire = page.js(
        "performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))"
        ".reduce((sum, entry) => sum + entry.transferSize, 0)"
    )
    assert wire < 120_000, wire
    assert text(page, "h1") == "headscope"


@pytest.mark.long
def test_a_model_without_position_embeddings_has_no_such_switch_and_says_why(
    fresh: Callable[..., Chromium], scope_of: Callable[[str], Scope]
) -> None:
    with Server(create_app(scope_of("llama"))) as tiny:
        page = fresh()
        page.open(tiny.address)
        page.wait("document.querySelector('#neighbors td')")
        assert not page.js("document.querySelector('[name=position]').checked")
        assert page.js("document.querySelector('[data-control=position]').hidden")
        assert "adds no position embedding" in text(page, "#notes")
        assert "every token sees itself and those before it" in text(page, "[data-control=mask] .says")


@pytest.mark.slow
def test_work_that_takes_time_is_shown(fresh: Callable[..., Chromium], server: Server, ask: Callable[..., Any]) -> None:
    page = fresh()
    page.open(server.address)
    held: list[Any] = []
    page.page.route("**/nearest", lambda route: held.append(route))
    choose(page, "layer", 3)
    page.wait("document.querySelector('[data-busy]')")
    assert "12 heads with 30,522 tokens" in text(page, "#status")
    held[0].continue_()
    shows(page, ask(layer=3))
    page.wait("!document.querySelector('[data-busy]')")
    assert text(page, "#status") == ""
