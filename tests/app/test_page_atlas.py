"""The atlas: the nearest token of every layer and head, under both references, and the way from a cell to its head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from zoo import build

from headscope import Scope
from headscope.app import create_app
from tests.app.browsers import Browser
from tests.app.looks import choose, chosen, shows, text
from tests.app.serving import Server

Ask = Callable[..., Any]
CELLS = (
    "[...document.querySelectorAll('#atlas .atlas')].map((e) => [...e.querySelectorAll('tbody button')].map((b) =>"
    " [+b.dataset.layer, +b.dataset.head, b.querySelector('.hs-label').textContent, b.parentElement.className,"
    " b.querySelector('.hs-sign[aria-hidden]')?.textContent ?? '']))"
)
KINDS = {**{kind: f"hs-{kind}" for kind in ("own", "text", "variant", "special")}, "elsewhere": ""}
SIGNS = {"own": "▸", "text": "•", "variant": "≈", "special": "◦", "elsewhere": ""}


def cells(answer: dict[str, Any]) -> list[list[Any]]:
    """The grid that an answer of the API makes."""
    return [[c["layer"], c["head"], c["label"], KINDS[c["kind"]], SIGNS[c["kind"]]] for c in answer["cells"]]


def opened(page: Browser) -> None:
    choose(page, "view", "atlas")
    page.wait("document.querySelectorAll('#atlas .atlas').length === 1 && document.querySelector('#atlas .found')")


def test_the_basis_is_a_switch_that_is_flipped_in_place(page: Browser, ask: Ask) -> None:
    page.click("#tokens [data-position='11']")
    opened(page)
    layer, experiment = (ask("atlas", token=11, reference=reference) for reference in ("layer", "input"))
    assert page.js(CELLS) == [cells(layer)]
    rates = page.js("[...document.querySelectorAll('#atlas .counts')].map((e) => e.textContent)")
    assert rates == [f"{round(12 * (one['own'] + one['text']))}/12" for one in layer["layers"]]
    assert not page.js("document.querySelector('#neighbors td')")
    page.wait("document.querySelector('#atlas .found').textContent.includes('layer 0 (')")
    # What was asked after the first was painted is there at once, where the first stood.
    flip = (
        "(() => { const top = () => document.querySelector('#atlas table').getBoundingClientRect().top, was = top();"
        " const begun = performance.now(); document.querySelector('[data-basis=input]').click();"
        " return new Promise((told) => setTimeout(() => told([performance.now() - begun, top() - was,"
        " document.querySelector('#atlas caption').textContent.includes('reference input')]))); })()"
    )
    asked = "performance.getEntriesByType('resource').filter((e) => e.name.includes('/atlas')).length"
    before = page.js(asked)
    _, moved, there = page.js(flip)
    assert (moved, there) == (0, True)
    assert page.js(asked) == before, "the answer was at hand"
    assert page.js(CELLS) == [cells(experiment)]
    assert chosen(page)["reference"] == "input", "one reference for all views"


@pytest.mark.parametrize("model", ["demo", "albert"])
def test_what_the_basis_changes_is_counted(model: str, browser: Browser, demo: Scope) -> None:
    scope = demo if model == "demo" else Scope.from_model(*build("albert"))
    reading = scope.read("the cat sat" if model == "albert" else "Time flies like an arrow. Fruit flies like a banana.")
    layer, first = (reading.atlas(1, reference=one) for one in ("layer", "input"))
    near = [int((one.kinds[1:] < 2).sum()) for one in (layer, first)]
    heads, differ = layer.kinds[1:].numel(), int((layer.ids[1:] != first.ids[1:]).sum())
    with Server(create_app(scope)) as server:
        browser.open(f"{server.address}/?view=atlas&text={quote(reading.text)}&token=1")
        browser.wait("document.querySelector('#atlas .found')?.textContent.includes('layer 0 (')")
        says = text(browser, "#atlas .found")
    assert f"{near[0]} of {heads} encoded by each layer, {near[1]} of {heads} encoded by layer 0" in says
    assert ("changes nothing" in says) == (near[0] == near[1])
    assert (f"another in {differ} of {heads}" in says) == (differ > 0)
    assert differ > 0 if model == "demo" else differ == 0


def test_a_cell_leads_to_its_layer_and_head(page: Browser, ask: Ask) -> None:
    opened(page)
    page.click("#atlas .scroll button[data-reference=layer][data-layer='3'][data-head='5']")
    shows(page, ask(layer=3, reference="layer"))
    assert chosen(page)["view"] == "heads"
    assert text(page, "#neighbors .head[aria-pressed=true]") == "head 5"
    page.go(-1)
    page.wait("document.querySelectorAll('#atlas .atlas').length === 1 && document.querySelector('#atlas .found')")


def test_arrows_move_through_the_grid(page: Browser) -> None:
    opened(page)
    page.js("document.querySelector('#atlas tbody button').focus()")
    page.press("ArrowDown", "ArrowRight", "ArrowRight")
    assert page.js("[document.activeElement.dataset.layer, document.activeElement.dataset.head]") == ["1", "2"]
    assert page.js("document.querySelectorAll('#atlas .atlas:first-of-type button[tabindex=\"0\"]').length") == 1


def test_the_atlas_is_in_the_address(page: Browser, server: Server, ask: Ask) -> None:
    page.open(f"{server.address}/?view=atlas&token=5&metric=euclidean&layer=2&head=4&space=output")
    page.wait("document.querySelectorAll('#atlas .atlas').length === 1 && document.querySelector('#atlas .found')")
    asked = {"token": 5, "metric": "euclidean", "space": "output"}
    assert page.js(CELLS) == [cells(ask("atlas", **asked, reference="layer"))]
    current = "[...document.querySelectorAll('#atlas [aria-current]')].map((e) => [e.dataset.layer, e.dataset.head])"
    assert page.js(current) == [["2", "4"]]
    view = chosen(page)
    page.go(0)
    page.wait("document.querySelectorAll('#atlas .atlas').length === 1 && document.querySelector('#atlas .found')")
    assert chosen(page) == view
    choose(page, "space", "embedding")
    page.wait("document.querySelector('#atlas caption').textContent.includes('embedding')")
    page.wait("document.querySelector('#atlas .found')")
    assert page.js(CELLS) == [cells(ask("atlas", token=5, metric="euclidean", space="embedding"))]


def test_a_narrow_atlas_scrolls_in_its_own_container(page: Browser) -> None:
    page.resize(390, 844)
    opened(page)
    assert page.js("document.documentElement.scrollWidth <= innerWidth")
    page.js("document.querySelector('#atlas .scroll').scrollLeft = 200")
    layer, edge = page.js(
        "['#atlas tbody th', '#atlas .scroll'].map((e) => document.querySelector(e).getBoundingClientRect().x)"
    )
    assert layer == pytest.approx(edge, abs=1), "the layers stay"
