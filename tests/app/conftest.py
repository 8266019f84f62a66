from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the page is not installed (extra: app)")

import httpx
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from tests.app.browsers import BROWSERS, Browser, Missing
from tests.app.serving import Server

HERE = "http://127.0.0.1"


@pytest.fixture(scope="session")
def server(demo: Scope) -> Iterator[Server]:
    """The page of the demo weights, with its first view worked out."""
    with Server(create_app(demo)) as running:
        httpx.post(f"{running.address}/api/v1/nearest", json={}, timeout=60).raise_for_status()
        yield running


@pytest.fixture(scope="session")
def isolated(demo: Scope) -> Path:
    """The directory of the demo weights' reference isolated, all there."""
    return Path(demo.isolate().directory)


@pytest.fixture(scope="session")
def ask(server: Server) -> Callable[..., Any]:
    """What the server answers about the demo weights."""

    def post(route: str = "nearest", **question: Any) -> Any:
        answer = httpx.post(f"{server.address}/api/v1/{route}", json=question, timeout=60)
        return answer.raise_for_status().json()

    return post


@pytest.fixture
def client(demo: Scope) -> Iterator[TestClient]:
    """A client of a server of its own, which has read nothing yet but the first view."""
    with TestClient(create_app(demo), base_url=HERE) as one:
        yield one


@pytest.fixture(scope="session", params=sorted(BROWSERS))
def _browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    with ExitStack() as stack:
        try:
            opened: Any = stack.enter_context(BROWSERS[request.param]())
        except Missing as missing:
            if os.environ.get("HEADSCOPE_REQUIRE_BROWSERS") == "1":
                pytest.fail(f"HEADSCOPE_REQUIRE_BROWSERS is set, and there is {missing}")
            pytest.skip(str(missing))
        yield opened


@pytest.fixture
def browser(_browser: Browser) -> Browser:
    """Each browser engine in turn, with a page of 1440 × 900 pixels."""
    _browser.resize(1440, 900)
    return _browser


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Browser]:
    """The page in each browser, at its first view; nothing may have gone wrong in it by the end."""
    browser.errors.clear()
    browser.open(server.address)
    browser.wait("document.readyState === 'complete' && document.querySelector('#neighbors td')")
    yield browser
    assert browser.errors == []
    hosts = browser.js(
        "[...new Set(performance.getEntriesByType('resource').map((entry) => new URL(entry.name).origin))]"
    )
    assert set(hosts) <= {server.address}, "the page asked another host"
