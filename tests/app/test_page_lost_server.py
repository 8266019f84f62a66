"""A server that stops is said, and the page goes on when it returns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from tests.app.browsers import Browser
from tests.app.looks import choose, shows
from tests.app.serving import Server

Ask = Callable[..., Any]
HOME = "http://127.0.0.1"


@pytest.fixture
def fragile(demo: Scope) -> Iterator[Server]:
    with Server(create_app(demo)) as one:
        yield one


def test_a_page_of_another_model_that_was_served_there_gets_no_answer_of_this_one(demo: Scope, scope_of: Any) -> None:
    page = re.search(r'"page": ?"(\w+)"', TestClient(create_app(demo), base_url=HOME).get("/").text)
    assert page is not None
    for scope, status in ((demo, 200), (scope_of("bert"), 412)):
        client = TestClient(create_app(scope), base_url=HOME)
        asked = client.post("/api/v1/nearest", json={}, headers={"Headscope-Page": page[1]})
        assert asked.status_code == status
        assert client.post("/api/v1/nearest", json={}).status_code == 200  # who is no page need not say which
    assert asked.json() == {"error": "this server was started anew, with another model or version: reload the page."}


@pytest.mark.slow
def test_a_page_says_that_another_model_is_served_there_now(
    browser: Browser, fragile: Server, scope_of: Any, ask: Ask
) -> None:
    browser.open(fragile.address)
    shows(browser, ask())
    fragile.stop()
    choose(browser, "layer", 1)
    browser.wait("document.querySelector('#problem').textContent.includes('does not answer')")
    fragile.start(create_app(scope_of("bert")))
    browser.wait("document.querySelector('#problem').textContent.includes('reload the page')")
    browser.open(fragile.address)
    browser.wait("document.querySelector('#neighbors td') && document.querySelector('#problem').hidden")
    browser.errors.clear()  # the browser logs the requests that got no answer


@pytest.mark.slow
def test_page_says_that_the_server_is_away_and_recovers(browser: Browser, fragile: Server, ask: Ask) -> None:
    browser.open(fragile.address)
    shows(browser, ask())
    fragile.stop()
    choose(browser, "layer", 1)
    browser.wait("document.querySelector('#problem').textContent.includes('does not answer')")
    fragile.start()
    shows(browser, ask(layer=1))
    browser.wait("document.querySelector('#problem').hidden")
    browser.errors.clear()  # the browser logs the requests that got no answer
