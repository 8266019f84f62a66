"""Another site cannot drive a page on localhost, and the page can load nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from headscope.app.api.mapping import Mapping
from headscope.app.api.models import Busy, Models
from headscope.app.page.page import FILES, FOLDERS, STATIC

API = "/api/v1"
READ = f"{API}/read"


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost", "localhost:1234", "[::1]:7860"])
def test_own_names_are_answered(reader: TestClient, host: str) -> None:
    assert reader.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "192.168.0.7:7860", "", "[::1", "a@b", "a@127.0.0.1", "localhost/"],
)
def test_a_foreign_name_is_refused(reader: TestClient, host: str) -> None:
    answer = reader.get("/", headers={"Host": host})
    assert answer.status_code == 400
    assert "does not go by the name" in answer.json()["error"]


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:9999", "null", "http://127.0.0.1:1"])
def test_a_foreign_page_is_refused(reader: TestClient, origin: str) -> None:
    answer = reader.post(READ, json={}, headers={"Origin": origin})
    assert answer.status_code == 403


def test_the_own_page_is_answered(reader: TestClient) -> None:
    assert reader.post(READ, json={}, headers={"Origin": "http://127.0.0.1"}).status_code == 200


@pytest.mark.slow
def test_off_loopback_addresses_and_the_given_name_are_answered(demo: Scope) -> None:
    with TestClient(create_app(demo, host="lab.example"), base_url="http://lab.example:7860") as client:
        for host, status in {"lab.example": 200, "10.0.0.4:7860": 200, "evil.example": 400}.items():
            assert client.get("/", headers={"Host": host}).status_code == status


@pytest.fixture(scope="module")
def troubled(demo: Scope) -> Iterator[TestClient]:
    """A client of a server that fails at maps, and has no hands free for another model."""

    def fail(_: object) -> None:
        raise RuntimeError("planted")

    def refuse(_: object, __: str) -> None:
        raise Busy("another model is being opened.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Mapping, "work", fail)
        patch.setattr(Models, "open", refuse)
        with TestClient(create_app(demo), base_url="http://127.0.0.1", raise_server_exceptions=False) as one:
            yield one


ANSWERS: list[tuple[str, str, int, dict[str, Any]]] = [
    ("GET", "/", 200, {}),
    ("HEAD", "/", 200, {}),
    ("OPTIONS", "/", 405, {}),
    ("GET", f"/{FILES}/main.js", 200, {}),
    ("HEAD", f"/{FILES}/main.js", 200, {}),
    ("GET", f"/{FILES}/zork", 404, {}),
    ("POST", f"/{FILES}/main.js", 405, {}),
    ("GET", "/plotly.js", 200, {}),
    ("GET", "/zork", 404, {}),
    ("GET", "/", 400, {"headers": {"Host": "evil.example"}}),
    ("GET", f"{API}/health", 200, {}),
    ("GET", f"{API}/openapi.json", 200, {}),
    ("HEAD", f"{API}/health", 200, {}),
    ("HEAD", f"{API}/read", 405, {}),
    ("HEAD", "/zork", 404, {}),
    ("OPTIONS", f"{API}/read", 405, {}),
    ("GET", f"{API}/zork", 404, {}),
    ("GET", f"{API}/health", 403, {"headers": {"Sec-Fetch-Site": "cross-site"}}),
    ("POST", f"{API}/read", 422, {"content": b"{"}),
    ("POST", f"{API}/read", 413, {"content": b" " * 300_000}),
    ("POST", f"{API}/read", 411, {"content": iter([b"{}"])}),
    ("POST", f"{API}/models", 503, {"json": {"model": "gpt2"}}),
    ("GET", f"{API}/map/0", 500, {}),
]


@pytest.mark.parametrize(("method", "path", "status", "more"), ANSWERS, ids=lambda one: str(one)[:40])
def test_every_answer_carries_strict_headers(
    troubled: TestClient, method: str, path: str, status: int, more: dict[str, Any]
) -> None:
    answer = troubled.request(method, path, **more)
    headers = answer.headers
    assert answer.status_code == status
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    if path.startswith("/api"):
        assert headers["Cache-Control"] == "no-store"
    if status >= 400 and method not in ("HEAD",):
        assert list(answer.json()) == ["error"]
    assert "planted" not in answer.text


def test_a_browser_keeps_files_for_good_under_an_address_that_tells_what_is_in_them(reader: TestClient) -> None:
    html, files = reader.get("/"), {path.name: path.read_bytes() for folder in FOLDERS for path in folder.iterdir()}
    assert html.headers["Cache-Control"] == "no-store"
    named = re.findall(r'(?:href|src)="(static/[^"]+)"', html.text)
    assert len(named) == html.text.count('"static/') > 30
    for one in named:
        answer = reader.get(f"/{one}")
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable", one
        assert answer.content == files[one.rpartition("/")[2]], one
    of_another_version = re.sub(r"static/\w+/", f"static/{'0' * 16}/", named[0])
    for unknown in (of_another_version, named[0] + "x", "static/main.js"):
        answer = reader.get(f"/{unknown}")
        assert answer.status_code == 404
        assert "immutable" not in answer.headers.get("Cache-Control", "")


def test_files_outside_the_static_directory_are_not_served(reader: TestClient) -> None:
    for path in (f"/{FILES}/../../server.py", f"/{FILES}/%2e%2e/%2e%2e/server.py", f"/{FILES}//etc/passwd"):
        assert reader.get(path).status_code == 404


def test_the_page_names_no_other_host_and_has_no_inline_code() -> None:
    for path in (path for folder in FOLDERS for path in folder.iterdir()):
        source = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//cdn", source), path
        assert "innerHTML" not in source, path
    html = (STATIC / "index.html").read_text("utf-8")
    assert not re.search(r"\son\w+=|style=|<script>", html)
