"""Another site cannot drive a page on localhost, and the page can load nothing from elsewhere."""

from __future__ import annotations

import re

import pytest
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from headscope.app.page import STATIC
from headscope.app.door import is_loopback

READ = "/api/v1/read"


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost", "localhost:1234", "[::1]:7860"])
def test_own_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.168.0.7:7860", "", "[::1", "a@b"])
def test_a_foreign_name_is_refused(client: TestClient, host: str) -> None:
    answer = client.get("/", headers={"Host": host})
    assert answer.status_code == 400
    assert "does not go by the name" in answer.json()["error"]


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:9999", "null", "http://127.0.0.1:1"])
def test_a_foreign_page_is_refused(client: TestClient, origin: str) -> None:
    answer = client.post(READ, json={}, headers={"Origin": origin})
    assert answer.status_code == 403


def test_the_own_page_is_answered(client: TestClient) -> None:
    assert client.post(READ, json={}, headers={"Origin": "http://127.0.0.1"}).status_code == 200


def test_off_loopback_addresses_and_the_given_name_are_answered(demo: Scope) -> None:
    with TestClient(create_app(demo, host="lab.example"), base_url="http://lab.example:7860") as client:
        for host, status in {"lab.example": 200, "10.0.0.4:7860": 200, "evil.example": 400}.items():
            assert client.get("/", headers={"Host": host}).status_code == status


@pytest.mark.parametrize("path", ["/", "/static/main.js", "/api/v1/health", "/zork"])
def test_every_answer_carries_strict_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_files_outside_the_static_directory_are_not_served(client: TestClient) -> None:
    for path in ("/static/../server.py", "/static/%2e%2e/server.py", "/static//etc/passwd"):
        assert client.get(path).status_code == 404


def test_the_page_names_no_other_host_and_has_no_inline_code() -> None:
    for path in STATIC.iterdir():
        source = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//cdn", source), path
        assert "innerHTML" not in source, path
    html = (STATIC / "index.html").read_text("utf-8")
    assert not re.search(r"\son\w+=|style=|<script>", html)


@pytest.mark.parametrize(
    ("host", "inside"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("lab", False)],
)
def test_loopback_is_told_from_the_rest(host: str, inside: bool) -> None:
    assert is_loopback(host) is inside
