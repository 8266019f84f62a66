"""A server that stops is said, and the page goes on when it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from headscope import Scope
from headscope.app import create_app
from tests.app.browsers import Browser
from tests.app.looks import choose, shows
from tests.app.serving import Server

Ask = Callable[..., Any]


@pytest.fixture
def fragile(demo: Scope) -> Iterator[Server]:
    with Server(create_app(demo)) as one:
        yield one


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
