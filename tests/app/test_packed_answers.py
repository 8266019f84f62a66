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
