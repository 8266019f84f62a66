"""A model that is trained while its page is open: what the page holds of its former weights is asked for anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import zoo

from headscope import Scope
from headscope.app import create_app
from tests.app.browsers import Browser
from tests.app.looks import GRID
from tests.app.serving import Server
from tests.app.test_leaving import TEXT, ask

WHAT = {  # of each view that holds answers: a number of it, and the same as the API has it
    "written": ("#written [data-sheet=attended] tbody td", lambda told: told["heads"][told["head"]]["pattern"][0][0]),
    "glance": ("#glance td[data-measure=strength]", lambda told: told["heads"][0]["strength"]),
}


@pytest.fixture
def scope() -> Scope:
    return Scope.from_model(*zoo.build("bert"))


@pytest.fixture
def server(scope: Scope) -> Iterator[Server]:
    with Server(create_app(scope)) as running:
        ask(running, "nearest")
        yield running


def train(scope: Scope) -> None:
    with torch.no_grad():
        for name, weights in scope.bench.opened.model.named_parameters():
            if name.endswith(("query.weight", "value.weight")):
                weights.mul_(1.5)


def shown(browser: Browser, cell: str) -> Any:
    return browser.js(f"Number(document.querySelector('{cell}')?.dataset.value)")


def labels(server: Server) -> list[str]:
    """Of the tokens that all heads are nearest to."""
    return [cell["label"] for cell in ask(server, "atlas", text=TEXT, reference="layer").json()["cells"]]


@pytest.mark.slow
@pytest.mark.parametrize(("view", "route"), [("written", "written"), ("layers", "glance")])
def test_what_no_token_changes_is_of_the_weights_as_they_are(
    browser: Browser, scope: Scope, server: Server, view: str, route: str
) -> None:
    cell, number = WHAT[route]
    browser.errors.clear()
    browser.open(f"{server.address}/?view={view}&layer=0&text={TEXT.replace(' ', '+')}")
    browser.wait(f"document.querySelector('{cell}') && !document.querySelector('[data-busy]')", 30)
    before = number(ask(server, route, text=TEXT).json())
    assert shown(browser, cell) == pytest.approx(before, rel=1e-5)
    browser.click("#tokens [data-position='2']")
    browser.wait("document.querySelector('[data-position=\"2\"]').ariaPressed === 'true'")
    train(scope)
    after = number(ask(server, route, text=TEXT).json())
    assert after != pytest.approx(before, rel=1e-3)
    browser.click("#tokens [data-position='1']")
    browser.wait(f"Math.abs(document.querySelector('{cell}')?.dataset.value / {after} - 1) < 1e-5")
    assert browser.errors == []


@pytest.mark.slow
def test_a_basis_that_is_flipped_back_is_of_the_weights_as_they_are(
    browser: Browser, scope: Scope, server: Server
) -> None:
    browser.errors.clear()
    browser.open(f"{server.address}/?view=atlas&text={TEXT.replace(' ', '+')}")
    browser.wait("document.querySelector('#atlas .found') && document.querySelector('#making').hidden", 30)
    for basis in ("input", "layer", "input"):  # so that chance, too, is at hand of both
        browser.click(f"#basis [value={basis}] + span")
        browser.wait(f"document.querySelector('{GRID} caption')?.textContent.includes('reference {basis}')")
        browser.wait("!document.querySelector('[data-busy]') && !document.querySelector('#status').textContent", 30)
    before, _ = labels(server), train(scope)
    assert labels(server) != before
    browser.click("#basis [value=layer] + span")
    shown = f"[...document.querySelectorAll('{GRID} tbody button .hs-label')].map((label) => label.textContent)"
    browser.wait(f"JSON.stringify({shown}) === JSON.stringify({labels(server)})")
    assert browser.errors == []


@pytest.mark.slow
def test_effects_are_of_the_weights_as_they_are(browser: Browser, scope: Scope, server: Server) -> None:
    browser.errors.clear()
    browser.open(f"{server.address}/?view=layers&text={TEXT.replace(' ', '+')}")
    browser.wait("document.querySelector('#glance [data-by=zero]') && !document.querySelector('[data-busy]')", 30)
    browser.click("#glance [data-by=zero]")
    browser.wait("document.querySelector('#glance [data-sort=moved]')", 30)
    token = browser.js("document.querySelector('#tokens [aria-pressed=true]').dataset.position")
    other = "2" if token != "2" else "1"
    train(scope)
    for position in (other, token):
        browser.click(f"#tokens [data-position='{position}']")
        browser.wait(f"document.querySelector('#title').textContent.includes('(position {position})')")
        browser.wait("!document.querySelector('[data-busy]') && !document.querySelector('#status').textContent")
    browser.wait("!document.querySelector('#glance [data-sort=moved]')")
    assert browser.errors == []
