"""A page of another site can neither ask nor act: not by a form, a script, a picture or a link."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as HttpScope

from headscope import Scope
from headscope.app import create_app
from headscope.app.api.routes import PREFIX
from tests.app.browsers import Browser
from tests.app.serving import Server


@pytest.fixture(scope="module")
def asked(demo: Scope) -> Iterator[Callable[..., int]]:
    """The status of a request with headers, at a server that opens models."""
    app = create_app(demo, open_model=lambda name, progress: demo)
    with TestClient(app, base_url="http://127.0.0.1") as client:

        def ask(method: str, path: str, **headers: str) -> int:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return client.request(method, path, headers=named).status_code

        yield ask


def routes(demo: Scope) -> list[tuple[str, str]]:
    """Every method and address that the API describes, and what else it answers to."""
    described = create_app(demo).openapi()["paths"]
    found = [(method.upper(), path) for path, methods in described.items() for method in methods]
    return [*found, ("GET", f"{PREFIX}/openapi.json"), ("HEAD", f"{PREFIX}/health"), ("OPTIONS", f"{PREFIX}/read")]


@pytest.mark.slow(cases=2)
@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "SAME-ORIGIN", "same-origin, cross-site"])
def test_every_route_of_the_api_is_closed_to_other_sites(demo: Scope, asked: Callable[..., int], site: str) -> None:
    for method, path in routes(demo):
        assert asked(method, path, Sec_Fetch_Site=site) == 403, (method, path)


@pytest.mark.parametrize("site", ["same-origin", "none", None])
def test_the_own_page_an_address_typed_and_a_program_are_let_in(asked: Callable[..., int], site: str | None) -> None:
    headers = {} if site is None else {"Sec_Fetch_Site": site}
    for path in ("health", "models", "survey", "take", "isolated", "openapi.json"):
        assert asked("GET", f"{PREFIX}/{path}", **headers) == 200
    assert asked("POST", f"{PREFIX}/models", **headers) == 422  # only the body is missing


def test_a_link_from_another_site_leads_to_the_page(asked: Callable[..., int]) -> None:
    assert asked("GET", "/?layer=2", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate") == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://[",
        "http://]",
        "://",
        "null",
        "",
        "http://a b",
        "http://127.0.0.1@evil.example",
        "127.0.0.1",
        "file://127.0.0.1",
    ],
)
def test_an_origin_that_is_none_is_refused(asked: Callable[..., int], origin: str) -> None:
    for method, path in (("GET", "/"), ("POST", f"{PREFIX}/read"), ("GET", f"{PREFIX}/health")):
        assert asked(method, path, Origin=origin) == 403


class Recorded:
    """An application, and the path and status of all that it answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.answered = app, list[tuple[str, int]]()

    async def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.answered.append((scope["path"], message["status"]))
            await send(message)

        await self.app(scope, receive, noted if scope["type"] == "http" else send)


# Once the page stands: Firefox reports a frame that is refused meanwhile as if the page itself were.
ATTACK = """<!doctype html><title>attack</title><body><script>
  const victim = "{victim}/api/v1/";
  addEventListener("load", () => setTimeout(() => {{
    document.body.innerHTML = `
      <img src="${{victim}}isolated?model=gpt2"><img src="${{victim}}take/figure.svg?text=foreign">
      <iframe src="${{victim}}survey"></iframe><link rel="stylesheet" href="${{victim}}health">
      <form action="${{victim}}read" method="post" target="aside" enctype="text/plain">
      <input name='{{"a"' value='1}}'></form><iframe name="aside"></iframe>`;
    document.forms[0].submit();
    for (const path of ["models", "read", "survey"])
      fetch(victim + path, {{ method: "POST", mode: "no-cors", body: '{{"model": "gpt2"}}' }}).catch(() => 0);
    fetch(victim + "isolated?model=gpt2", {{ method: "DELETE" }}).catch(() => 0);
  }}, 100));
</script>"""


@pytest.mark.slow(cases=3)
@pytest.mark.engines
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])  # same-site on another port, and cross-site
def test_in_a_browser_a_foreign_page_gets_nothing_and_starts_nothing(browser: Browser, demo: Scope, name: str) -> None:
    opened: list[str] = []

    def open_model(model: str, progress: Any) -> Scope:
        opened.append(model)
        return demo

    victim = Recorded(create_app(demo, open_model=open_model))
    with Server(victim) as running:
        page = HTMLResponse(ATTACK.format(victim=running.address))
        with Server(Starlette(routes=[Route("/", lambda _: page)])) as foreign:
            browser.open(foreign.address.replace("127.0.0.1", name))
            end = time.monotonic() + 20
            while len({path for path, _ in victim.answered}) < 6 and time.monotonic() < end:
                time.sleep(0.1)
    assert len({path for path, _ in victim.answered}) >= 6
    assert {status for path, status in victim.answered if path.startswith("/api")} == {403}
    assert opened == []
