"""What is sent is packed: the page and its files as small as they get, answers as fast; with a prefix, too."""

from __future__ import annotations

import gzip

import pytest
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from headscope.app.page.page import FILES

# The ninth byte of a gzip header, by RFC 1952: what packed it was set to be fast.
_FASTEST = 4


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["", "/headscope"])
def test_answers_are_packed_fast_and_files_well(demo: Scope, prefix: str) -> None:
    with TestClient(create_app(demo, root_path=prefix), base_url="http://127.0.0.1") as client:
        for method, path, fast in (
            ("POST", "/api/v1/nearest", True),
            ("POST", "/api/v1/atlas/layers", True),
            ("GET", "/", False),
            ("GET", f"/{FILES}/main.js", False),
        ):
            asked = {"json": {}} if method == "POST" else {}
            with client.stream(method, prefix + path, headers={"Accept-Encoding": "gzip"}, **asked) as answer:
                packed = b"".join(answer.iter_raw())
            assert answer.headers["Content-Encoding"] == "gzip", path
            assert (packed[8] == _FASTEST) == fast, path
            if path != "/api/v1/atlas/layers":
                plain = client.request(method, prefix + path, headers={"Accept-Encoding": "identity"}, **asked)
                assert gzip.decompress(packed) == plain.content


@pytest.mark.parametrize("given", ["gzip;q=0", "br, GZIP; q=0.0", "gzip ; q=0, identity", "identity", ""])
def test_whoever_takes_no_gzip_gets_none(reader: TestClient, given: str) -> None:
    answer = reader.get("/", headers={"Accept-Encoding": given})
    assert "Content-Encoding" not in answer.headers
    assert "Accept-Encoding" in answer.headers["Vary"]


@pytest.mark.parametrize("given", ["gzip", "gzip;q=0.5", "gzip;q=1, *;q=0", "deflate;q=0, gzip"])
def test_whoever_takes_gzip_gets_it(reader: TestClient, given: str) -> None:
    assert reader.get("/", headers={"Accept-Encoding": given}).headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize("path", ["/", "/api/v1/health", "/api/v1/take", f"/{FILES}/main.js", "/zork", "/api/v1/read"])
@pytest.mark.parametrize("given", ["gzip", "identity"])
def test_a_head_is_what_get_answers_without_its_body(reader: TestClient, path: str, given: str) -> None:
    asked, head = (reader.request(how, path, headers={"Accept-Encoding": given}) for how in ("GET", "HEAD"))
    assert (head.status_code, head.content) == (asked.status_code, b"")
    if asked.status_code == 200:
        assert head.headers == asked.headers
