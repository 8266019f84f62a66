"""The attention view: what every head mixes at the token, by weights or norms, and one head's whole pattern."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.app.browsers import Browser
from tests.app.looks import choose, chosen, shows, text
from tests.app.serving import Server

Ask = Callable[..., Any]


def numbers(page: Browser, figure: str) -> list[list[float]]:
    """What every cell of a figure tells when it is pointed at, row by row."""
    rows: list[list[str]] = page.js(
        f"[...document.querySelectorAll('#{figure} tbody tr')].map((row) => [...row.cells].slice(1)"
        ".map((e) => e.dataset.where))"
    )
    return [[float(re.findall(r" (\S+)$", cell)[0]) for cell in row] for row in rows]


def shown(page: Browser, answer: dict[str, Any]) -> None:
    """Wait for the layer and the way to weigh of an answer, and compare every number."""
    page.wait(f"document.querySelector('#title').textContent.startsWith('Layer {answer['layer']}: where')")
    page.wait("!document.querySelector('[data-busy]')")
    by_source = list(zip(*(head["shares"] for head in answer["heads"]), strict=True))
    assert numbers(page, "attention") == [pytest.approx(row, rel=1e-3) for row in by_source]


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("weigh", ["weights", "norms"])
def test_every_number_is_the_apis(page: Browser, ask: Ask, weigh: str) -> None:
    page.click("#tokens [data-position='11']")
    choose(page, "layer", 2)
    choose(page, "view", "attention")
    page.wait("document.querySelector('#attention td')")
    choose(page, "weigh", weigh)
    start = {"weights": "αij", "norms": "‖αij"}[weigh]
    page.wait(f"document.querySelector('#attention .formula').textContent.startsWith('{start}')")
    shown(page, ask("attention", token=11, layer=2, weigh=weigh))
    assert text(page, "#attention thead th") == "source"
    assert text(page, "#attention tbody th.hs-own .hs-label") == "banana"


@pytest.mark.slow
def test_a_heads_whole_pattern_is_drawn_when_the_head_is_chosen(page: Browser, ask: Ask) -> None:
    choose(page, "view", "attention")
    page.wait("document.querySelector('#attention td')")
    assert "Choose a head" in text(page, "#pattern")
    page.click("#attention [data-choose='7']")
    page.wait("document.querySelector('#pattern td')")
    answer = ask("attention", head=7)
    assert numbers(page, "pattern") == [pytest.approx(row, rel=1e-3) for row in answer["pattern"]["queries"]]
    assert text(page, "#pattern thead th") == "query"
    assert "L0H7" in text(page, "#pattern caption")
    assert "rows: query, columns: source" in text(page, "#pattern caption")
    page.click("#attention [data-choose='7']")
    page.wait("!document.querySelector('#pattern td')")


@pytest.mark.slow
def test_the_selection_is_shared_and_in_the_address(page: Browser, server: Server, ask: Ask) -> None:
    page.open(f"{server.address}/?view=attention&token=5&layer=3&head=2&weigh=norms")
    page.wait("document.querySelector('#pattern td')")
    shown(page, ask("attention", token=5, layer=3, weigh="norms"))
    view = chosen(page)
    page.go(0)
    page.wait("document.querySelector('#pattern td')")
    assert chosen(page) == view
    choose(page, "view", "heads")
    shows(page, ask(token=5, layer=3))
    assert text(page, "#neighbors .head[aria-pressed=true]") == "head 2"


@pytest.mark.slow
def test_arrows_and_pointer_tell_the_numbers(page: Browser) -> None:
    choose(page, "view", "attention")
    page.wait("document.querySelector('#attention td')")
    page.js("document.querySelector('#attention tbody td').focus()")
    page.press("ArrowRight", "ArrowDown")
    assert page.js("document.activeElement.dataset.where").startswith("head 1, source 1 time, weight ")
    page.hover("#attention tbody tr:nth-child(3) td:nth-of-type(5)")
    page.wait("document.querySelector('#readout').textContent.includes('head 4, source 2 flies, weight ')")


@pytest.mark.long
def test_a_long_text_has_no_whole_pattern_and_says_why(page: Browser) -> None:
    page.js(f"(document.querySelector('#text').value = {'word ' * 120!r})")
    page.click("#ask button")
    page.wait("document.querySelectorAll('#tokens button').length === 122")
    choose(page, "view", "attention")
    page.wait("document.querySelector('#attention tfoot th')")
    rows, others = page.js("document.querySelectorAll('#attention tbody tr').length"), text(page, "#attention tfoot th")
    assert others == f"{122 - rows} others", "what is small in every head is one row"
    assert rows <= 25
    page.click("#attention [data-choose='1']")
    page.wait("document.querySelector('#attention [data-choose=\"1\"][aria-pressed=true]')")
    assert "texts of up to 100 tokens; this one has 122" in text(page, "#pattern")
