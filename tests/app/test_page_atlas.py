"""The atlas: the nearest token of every layer and head, under both references, and the way from a cell to its head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

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
    page.wait("document.querySelectorAll('#atlas .atlas').length === 2 && document.querySelector('#atlas .found')")


def test_both_references_stand_side_by_side_as_the_api_tells_them(page: Browser, ask: Ask) -> None:
    page.click("#tokens [data-position='11']")
    opened(page)
    answers = [ask("atlas", token=11, reference=reference) for reference in ("input", "layer")]
    assert page.js(CELLS) == [cells(answer) for answer in answers]
    captions = page.js("[...document.querySelectorAll('#atlas caption')].map((e) => e.textContent)")
    assert ["reference input" in captions[0], "reference layer" in captions[1]] == [True, True]
    rates = page.js("[...document.querySelectorAll('#atlas .counts')].map((e) => e.textContent)")
    layers = [layer for answer in answers for layer in answer["layers"]]
    assert rates == [f"{round(12 * (one['own'] + one['text']))}/12" for one in layers]
    assert not page.js("document.querySelector('#neighbors td')")
    hidden = page.js("[...document.querySelectorAll('#controls [data-control][hidden]')].map((e) => e.dataset.control)")
    assert set(hidden) == {
        *("weigh", "hubs", "vector", "reference", "compare", "teach", "method", "sample", "isolated"),
    }


def test_a_cell_leads_to_its_layer_and_head(page: Browser, ask: Ask) -> None:
    opened(page)
    page.click("#atlas .scroll button[data-reference=layer][data-layer='3'][data-head='5']")
    shows(page, ask(layer=3, reference="layer"))
    assert chosen(page)["view"] == "heads"
    assert text(page, "#neighbors .head[aria-pressed=true]") == "head 5"
    page.go(-1)
    page.wait("document.querySelectorAll('#atlas .atlas').length === 2 && document.querySelector('#atlas .found')")


def test_arrows_move_through_the_grid(page: Browser) -> None:
    opened(page)
    page.js("document.querySelector('#atlas tbody button').focus()")
    page.press("ArrowDown", "ArrowRight", "ArrowRight")
    assert page.js("[document.activeElement.dataset.layer, document.activeElement.dataset.head]") == ["1", "2"]
    assert page.js("document.querySelectorAll('#atlas .atlas:first-of-type button[tabindex=\"0\"]').length") == 2


def test_the_atlas_is_in_the_address(page: Browser, server: Server, ask: Ask) -> None:
    page.open(f"{server.address}/?view=atlas&token=5&metric=euclidean&layer=2&head=4&space=output")
    page.wait("document.querySelectorAll('#atlas .atlas').length === 2 && document.querySelector('#atlas .found')")
    asked = {"token": 5, "metric": "euclidean", "space": "output"}
    answers = [ask("atlas", **asked, reference=reference) for reference in ("input", "layer")]
    assert page.js(CELLS) == [cells(answer) for answer in answers]
    current = "[...document.querySelectorAll('#atlas [aria-current]')].map((e) => [e.dataset.layer, e.dataset.head])"
    assert page.js(current) == [["2", "4"], ["2", "4"]]
    view = chosen(page)
    page.go(0)
    page.wait("document.querySelectorAll('#atlas .atlas').length === 2 && document.querySelector('#atlas .found')")
    assert chosen(page) == view
    choose(page, "space", "embedding")
    page.wait("document.querySelectorAll('#atlas .atlas').length === 1 && document.querySelector('#atlas .found')")
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
