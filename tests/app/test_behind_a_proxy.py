"""The page behind a reverse proxy with a prefix, which takes that off or does not, and keeps the name or does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from headscope.app.page.page import FILES
from tests.app.browsers import Browser
from tests.app.looks import choose, shows
from tests.app.proxies import NGINX, PREFIX, forwarding, nginx
from tests.app.serving import Server

Proxy = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="module")
def prefixed(demo: Scope) -> Iterator[Server]:
    """A server that knows its prefix."""
    with Server(create_app(demo, root_path=PREFIX)) as running:
        httpx.post(f"{running.address}/api/v1/nearest", json={}, timeout=60).raise_for_status()
        yield running


@pytest.fixture(scope="module")
def client(demo: Scope) -> Iterator[TestClient]:
    with TestClient(create_app(demo, root_path=PREFIX), base_url="http://127.0.0.1") as one:
        yield one


@pytest.fixture(params=["a few lines", "nginx"])
def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Proxy:
    if request.param == "a few lines":
        return forwarding
    if NGINX is None:
        pytest.skip("no nginx on this machine (apt-get install nginx)")
    return lambda *given, **more: nginx(tmp_path, *given, **more)


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("strips", [True, False], ids=["stripped", "whole"])
def test_the_page_and_all_that_it_asks_for_stay_under_the_prefix(
    browser: Browser, prefixed: Server, proxy: Proxy, strips: bool
) -> None:
    with proxy(prefixed.address, strips) as address:
        browser.errors.clear()
        browser.open(address)  # no slash at its end
        shows(browser, asked(address))
        assert browser.js("location.pathname") == f"{PREFIX}/"
        choose(browser, "layer", 3)
        shows(browser, asked(address, layer=3))
        browser.go(0)
        shows(browser, asked(address, layer=3))
        browser.click("[popovertarget=take]")
        browser.wait("document.querySelector('#files a')")
        file = browser.js("document.querySelector('#files a').href")
        assert file.startswith(f"{address}/api/v1/take/neighbors.csv?")
        told = httpx.get(file, timeout=60).text
        assert told.startswith("layer") or "rank" in told
        browser.click("#take > .quiet")
        choose(browser, "view", "layers")
        browser.wait("document.querySelector('#glance td')")
        reached = browser.js("performance.getEntriesByType('resource').map((one) => one.name)")
        assert len(reached) > 20
        assert [one for one in reached if not one.startswith(f"{address}/")] == []
        assert browser.errors == []


def asked(address: str, **question: Any) -> Any:
    return httpx.post(f"{address}/api/v1/nearest", json=question, timeout=60).raise_for_status().json()


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("strips", [True, False], ids=["stripped", "whole"])
def test_a_foreign_page_is_refused_behind_it_too(prefixed: Server, proxy: Proxy, strips: bool) -> None:
    with proxy(prefixed.address, strips) as address:
        for headers in (
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "http://evil.example"},
        ):
            refused = httpx.get(f"{address}/api/v1/health", headers=headers)
            assert (refused.status_code, refused.headers["cache-control"]) == (403, "no-store")
        assert httpx.get(f"{address}/api/v1/health").status_code == 200
        described = httpx.get(f"{address}/api/v1/openapi.json").json()
        assert described["servers"] == [{"url": PREFIX}]


@pytest.mark.long
def test_a_proxy_that_changes_the_name_needs_the_name_that_readers_see(demo: Scope, proxy: Proxy) -> None:
    with Server(create_app(demo, root_path=PREFIX)) as closed, proxy(closed.address, True, keeps_host=False) as address:
        page = {"Origin": address.removesuffix(PREFIX)}
        assert httpx.post(f"{address}/api/v1/read", json={}, headers=page, timeout=60).status_code == 403
    with (
        forwarding("http://127.0.0.1:9", True) as reserved,  # only its port is needed
        Server(create_app(demo, root_path=PREFIX, allow_hosts=[reserved.split("/")[2]])) as told,
    ):
        page = {"Origin": reserved.removesuffix(PREFIX)}
        assert httpx.post(f"{told.address}/api/v1/read", json={}, headers=page, timeout=60).status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), (f"{PREFIX}/", 200), (PREFIX, 307), (f"{PREFIX}/{FILES}/main.js", 200), (f"/{FILES}/main.js", 200),
     (f"{PREFIX}/api/v1/health", 200), ("/api/v1/health", 200), (f"{PREFIX}x/", 404), (f"{PREFIX}/plotly.js", 200),
     (f"{PREFIX}/{FILES}/../../server.py", 404), (f"{PREFIX}/zork", 404), ("/user/ada", 404)],
)  # fmt: skip
def test_both_ways_of_passing_on_are_understood(client: TestClient, path: str, status: int) -> None:
    answer = client.get(path + ("?layer=2" if status == 307 else ""), follow_redirects=False)
    assert answer.status_code == status
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    if status == 307:
        assert answer.headers["location"] == f"{PREFIX}/?layer=2"
