"""The page in a frame of another site: refused unless its origin is allowed, and whole where it is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from headscope import Scope
from headscope.app import create_app
from tests.app.browsers import Chromium
from tests.app.serving import Server


@contextmanager
def embedding() -> Iterator[str]:
    """The origin of a site that shows the page of `?of=` in a frame; cross-site, because its name is another."""

    def page(request: Request) -> HTMLResponse:
        source = request.query_params["of"]
        frame = f'<iframe width="1200" height="800" src="{source}"></iframe>'
        return HTMLResponse(f'<!doctype html><link rel="icon" href="data:,">{frame}')

    with Server(Starlette(routes=[Route("/", page)])) as running:
        yield running.address.replace("127.0.0.1", "localhost")


def framed(browser: Chromium, site: str, address: str) -> Any:
    """The frame of the page at `address` in the site's page."""
    browser.open(f"{site}/?of={address}/?layer=2")
    return browser.page.frames[1]


@pytest.mark.slow
def test_a_frame_that_is_not_allowed_stays_empty(browser: Chromium, demo: Scope) -> None:
    for allowed in ((), ("https://other.example",)):
        with embedding() as site, Server(create_app(demo, allow_frames=allowed)) as running:
            frame = framed(browser, site, running.address)
            browser.page.wait_for_timeout(500)
            assert "headscope" not in frame.content()
            assert any("frame-ancestors" in error for error in browser.errors)
            browser.errors.clear()


@pytest.mark.slow(cases=1)
def test_a_frame_that_is_allowed_shows_the_page_whole(browser: Chromium, demo: Scope) -> None:
    with embedding() as site, Server(create_app(demo, allow_frames=[site])) as running:
        browser.errors.clear()
        frame = framed(browser, site, running.address)
        frame.wait_for_selector("#neighbors td", timeout=60_000)
        frame.click("#controls label:has([name=layer][value='3'])")
        end = time.monotonic() + 60
        while "Layer 3" not in frame.inner_text("#title") and time.monotonic() < end:
            time.sleep(0.05)
        assert "Layer 3" in frame.inner_text("#title")
        frame.click("[popovertarget=take]")
        frame.wait_for_selector("#files a")
        with browser.page.expect_download() as download:
            frame.click("#files a")
        assert download.value.suggested_filename == "headscope-neighbors.csv"
        assert browser.errors == []


@pytest.mark.slow
def test_the_allowed_site_still_cannot_ask_for_itself(browser: Chromium, demo: Scope) -> None:
    with embedding() as site, Server(create_app(demo, allow_frames=[site])) as running:
        browser.open(f"{site}/?of=about:blank")
        script = f"fetch('{running.address}/api/v1/health').then((a) => a.status, (fault) => String(fault))"
        assert "Failed to fetch" in browser.page.evaluate(script)
        browser.errors.clear()
