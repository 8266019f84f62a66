"""Why a neighbour is near, what a query seeks, and what a head writes against: on the page as the API tells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from headscope.show.numbers import distance
from tests.app.browsers import Browser
from tests.app.looks import choose, text
from tests.app.serving import Server

Ask = Callable[..., Any]
SOURCES = (
    "[...document.querySelectorAll('#why tbody tr')].map((row) => [+row.querySelector('.hs-before').textContent,"
    " row.querySelector('.hs-label').textContent, row.querySelector('.hs-num').textContent,"
    " row.cells[1].textContent])"
)
LABELS = (
    "[...document.querySelectorAll('#{table} tbody tr')].map((row) =>"
    " [...row.querySelectorAll('td .hs-label')].map((e) => e.textContent))"
)


def shown(source: dict[str, Any]) -> list[str]:
    """A weight and a share as they are written."""
    return [written.replace("-", "−") for written in (distance(source["weight"]), f"{source['share']:+.4f}")]


def told(answer: dict[str, Any]) -> list[list[Any]]:
    """The rows that an answer of the API makes."""
    return [[one["position"], one["label"], *shown(one)] for one in answer["sources"]]


@pytest.mark.slow
def test_a_click_on_a_neighbour_splits_its_score_over_the_positions(page: Browser, ask: Ask) -> None:
    cell = page.js("document.querySelectorAll('#neighbors tbody tr')[1].cells[3].dataset.id")
    page.click("#neighbors tbody tr:nth-child(2) td:nth-child(4)")
    page.wait("document.querySelector('#why table')")
    answer = ask("why", head=2, id=int(cell))
    assert page.js(SOURCES) == told(answer)
    assert "scores of head 2 at 1 time" in text(page, "#why caption")
    assert text(page, "#why thead th:last-child") == answer["label"]
    page.click("#neighbors tbody tr:nth-child(2) td:nth-child(4)")
    page.wait("!document.querySelector('#why table')")


@pytest.mark.slow
def test_enter_on_a_cell_does_the_same_and_the_address_keeps_it(page: Browser, ask: Ask) -> None:
    page.js("document.querySelector('#neighbors tbody td').focus()")
    page.press("Enter")
    page.wait("document.querySelector('#why table')")
    id = int(page.js("document.querySelector('#neighbors tbody td').dataset.id"))
    page.open(page.js("location.href"))
    page.wait("document.querySelector('#why table')")
    assert page.js(SOURCES) == told(ask("why", head=0, id=id))


@pytest.mark.long
def test_another_token_closes_it(page: Browser) -> None:
    page.click("#neighbors tbody tr td:nth-child(2)")
    page.wait("document.querySelector('#why table')")
    page.click("#tokens [data-position='4']")
    page.wait("!document.querySelector('#why table')")


@pytest.mark.slow
def test_the_query_against_the_keys_is_what_the_head_looks_for(page: Browser, ask: Ask) -> None:
    for control, value in (("space", "key"), ("vector", "q"), ("metric", "dot")):
        choose(page, control, value)
    answer = ask("nearest", space="key", vector="q", metric="dot")
    first = [head["neighbors"][0]["label"] for head in answer["heads"]]
    page.wait(f"document.querySelector('#neighbors tbody td .hs-label').textContent === {first[0]!r}")
    assert page.js(LABELS.format(table="neighbors"))[0] == first


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_the_space_embedding_shows_both_ends(page: Browser, server: Server, ask: Ask, metric: str) -> None:
    page.open(f"{server.address}/?space=embedding&metric={metric}&token=3")
    page.wait("document.querySelector('#suppressed table')")
    answer = ask("nearest", space="embedding", metric=metric, token=3)
    expected = [[head["suppressed"][row]["label"] for head in answer["heads"]] for row in range(15)]
    assert page.js(LABELS.format(table="suppressed")) == expected
    assert page.js("document.querySelectorAll('#controls [name=reference]:not(:disabled)').length") == 0
