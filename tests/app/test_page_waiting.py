"""The page: what takes long says so and can be stopped, rows are shown as they are found, and nothing stale stays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import zoo

from headscope.app import create_app
from headscope.app.api.limits import Limits
from tests.app.browsers import Browser, Chromium
from tests.app.gate import Gate
from tests.app.looks import GRID, choose, text
from tests.app.serving import Server
from tests.app.test_ahead import tables_alone
from tests.app.test_api_lines import steps_to_a_layer
from tests.app.test_leaving import ask, ended
from tests.app.test_page_atlas import CELLS, cells

SHOWN = "document.readyState === 'complete' && document.querySelector('#neighbors td')"
VISIBLE = "[...document.querySelectorAll('#view .figure')].some((e) => e.childElementCount && e.offsetHeight > 0)"
STOP = "document.querySelector('#making:not([hidden]) button')"
LAYERS = 3
SIZES = [(1440, 900), (390, 844)]


@pytest.fixture
def server(gate: Gate) -> Iterator[Server]:
    """A server that makes nothing ahead: every step of its model is one that was asked for."""
    with Server(create_app(gate.scope, limits=Limits(ahead=False))) as running:
        ask(running, "nearest")
        yield running


@pytest.fixture
def page(browser: Chromium, server: Server) -> Iterator[Browser]:
    """The view of heads, which asks for its tables alone: what runs the model beside them comes to no gate."""
    browser.errors.clear()
    tables_alone(browser)
    browser.open(server.address)
    browser.wait(SHOWN)
    yield browser
    browser.page.unroute_all(behavior="ignoreErrors")


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("size", SIZES)
def test_a_stale_view_is_blank_and_can_be_stopped(
    page: Browser, server: Server, gate: Gate, size: tuple[int, int]
) -> None:
    page.resize(*size)
    gate.close(after=1)
    choose(page, "layer", 2)
    assert gate.reached.wait(60)
    page.wait(STOP)
    assert text(page, "#making p") == "Waiting: Comparing 4 heads with 122 tokens …"
    assert not page.js(VISIBLE)
    assert page.js("document.querySelector('#title').offsetHeight") == 0
    assert page.js("document.documentElement.scrollWidth <= innerWidth")
    page.click("#making button")
    page.wait("document.querySelector('#making').textContent.includes('Stopped.')")
    assert page.js("document.activeElement.textContent") == "Go on"
    assert ended(server, gate), "the work went on"
    assert not page.js(VISIBLE)
    page.press("Enter")
    page.wait("document.querySelector('#making').hidden && document.querySelector('#title').offsetHeight")
    assert text(page, "#title").startswith("Layer 2:")
    assert page.js(VISIBLE)
    assert page.errors == []


@pytest.mark.long
def test_what_comes_soon_is_never_blank(page: Browser) -> None:
    page.js("new MutationObserver(() => { window.blank = true; }).observe(document.querySelector('#making'),"
            " { attributes: true }), 0")  # fmt: skip
    choose(page, "metric", "euclidean")
    page.wait("document.querySelector('#neighbors caption').textContent.includes('euclidean')")
    assert not page.js("window.blank && !document.querySelector('#making').hidden")


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("size", SIZES)
def test_layers_of_an_atlas_are_shown_as_they_are_found(
    page: Browser, server: Server, gate: Gate, size: tuple[int, int]
) -> None:
    page.resize(*size)
    rows = f"document.querySelectorAll('{GRID} tbody tr:has(button)').length"
    gate.close(after=steps_to_a_layer(zoo.TEXT) + 1)
    choose(page, "view", "atlas")
    assert gate.reached.wait(60)
    page.wait(f"{rows} === 1")
    assert page.js(f"document.querySelectorAll('{GRID} tbody tr').length") == LAYERS
    assert page.js(f"{STOP}.textContent") == "Stop"
    assert page.js("getComputedStyle(document.querySelector('#atlas')).opacity") == "1", "it is dimmed"
    assert not page.js("document.querySelector('#neighbors td')"), "what stood before has gone"
    assert text(page, "#title").startswith("Every layer and head")
    assert page.js("document.documentElement.scrollWidth <= innerWidth")
    gate.open()
    page.wait(
        f"document.querySelectorAll('{GRID} tbody th .hs-num').length === 3 && document.querySelector('#making').hidden"
    )
    assert page.js(CELLS) == [cells(ask(server, "atlas").json())]
    assert page.errors == []
