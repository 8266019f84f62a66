"""Whatever is sent to the server, it answers in order: no failure, no traceback, no path of the host, in time."""

from __future__ import annotations

import json
import os
import string
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from headscope import Scope
from headscope.app import create_app
from headscope.app.api.limits import Limits
from headscope.app.api.safety import headers_of
from headscope.app.door import Door
from tests.hostile import laws

API = "/api/v1"
SECRET = (Path(__file__).parents[2], Path(sys.prefix), Path.home())
HEADERS = headers_of(Door())
# What a request says that means to break something: out of range, out of type, out of the directory, out of the letter.
ODD: list[Any] = [
    *(None, True, False, 0, -1, 2**31, 2**63, 2**200, 10**400, 0.5, -0.0, 1e308, float("inf"), float("nan")),
    *("", " ", "\x00", "\x1b[31m", "‮", "\ud800", "a" * 301, "é" * 5000, "=1+1", "../" * 40, "%2e%2e%2f", "/dev/zero"),
    *("/proc/self/environ", "\\\\host\\share", "//host/share", "\\\\?\\C:\\", "CON", "~nosuch", "~", "${HOME}", "abc."),
    *("{{7*7}}", "<script>", "'; --", "[PAD]", "[CLS]", "demo", "1e3", "١٢", "all", "layer", "isolated", "fitted"),
    *([], [[]], {}, {"a": {}}, ["cosine"], [0] * 300),
]


@dataclass(frozen=True)
class Asked:
    """One request; `body` None: none."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


def check(client: TestClient, asked: Asked) -> httpx.Response:
    """Send it, and hold the answer against the laws."""
    try:
        return _checked(client, asked)
    except AssertionError as broken:
        raise AssertionError(f"{str(asked)[:1000]}: {broken}") from broken


def _checked(client: TestClient, asked: Asked) -> httpx.Response:
    given = {asked.path, *asked.query.values(), (asked.body or b"").decode("utf-8", "replace")}
    headers = {"Content-Type": "application/json"} | asked.headers
    with laws.in_time():
        answer = client.request(
            asked.method, asked.path, params=asked.query, content=asked.body, headers=headers, follow_redirects=False
        )
    laws.answers_in_order(answer.status_code)
    for name in HEADERS:
        assert name in answer.headers, f"{asked.method} {asked.path}: no {name}"
    if "text" in answer.headers.get("content-type", "") or "json" in answer.headers.get("content-type", ""):
        laws.tells_no_trace(answer.text)
        laws.tells_no_path(answer.text, SECRET, given)
    if answer.status_code >= 400 and asked.method != "HEAD":
        assert set(answer.json()) >= {"error"}, answer.text[:300]
        laws.is_a_sentence(answer.json()["error"])
    return answer


@pytest.fixture(scope="module")
def client(scope_of: Callable[[str], Scope]) -> Iterator[TestClient]:
    """A server of a tiny model: what is tried here is the way in, not the size."""
    limits = Limits(effects=2000, waiting=4)
    with TestClient(
        create_app(scope_of("bert"), limits=limits), base_url="http://127.0.0.1", raise_server_exceptions=False
    ) as one:
        yield one


@pytest.fixture
def cache() -> Path:
    """Where headscope keeps what it made."""
    return Path(os.environ["HEADSCOPE_CACHE"])


class Described(dict[str, Any]):
    """An OpenAPI description that does not fill a failure's report."""

    def __repr__(self) -> str:
        return "the description"


@pytest.fixture(scope="module")
def described(client: TestClient) -> Described:
    """The server's own OpenAPI description."""
    return Described(client.get(f"{API}/openapi.json").json())


def values(schema: dict[str, Any], components: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of a schema, mostly right, now and then odd: a request that is wrong everywhere gets past nothing."""
    if "$ref" in schema:
        return values(components[schema["$ref"].rpartition("/")[2]], components)
    if "anyOf" in schema:
        return st.one_of([values(one, components) for one in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    kind = schema.get("type")
    if kind == "object":
        known = schema.get("properties", {})
        return st.fixed_dictionaries(
            {name: values(known[name], components) for name in schema.get("required", ()) if name in known},
            optional={
                name: _often(values(one, components))
                for name, one in known.items()
                if name not in schema.get("required", ())
            },
        )
    if kind == "array":
        return st.lists(values(schema.get("items", {}), components), max_size=4)
    if kind == "integer":
        low, high = schema.get("minimum", -2), min(schema.get("maximum", 12), 12)
        return st.integers(low, max(low, high))
    if kind == "number":
        return st.floats(schema.get("minimum", -10), schema.get("maximum", 10), allow_nan=False)
    if kind == "boolean":
        return st.booleans()
    if kind == "null":
        return st.none()
    return st.text(max_size=30) | st.sampled_from(["time flies", "banana", "a b c", "word " * 30])


def _often(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 9).flatmap(lambda roll: st.sampled_from(ODD) if roll == 0 else usual)


@st.composite
def requests(draw: st.DrawFn, description: Described) -> Asked:
    """A request of the description's routes, with odd values, fields, headers and bodies."""
    path = draw(st.sampled_from(sorted(description["paths"])))
    methods = description["paths"][path]
    method = draw(
        st.sampled_from(sorted(methods)) | st.sampled_from(["get", "post", "put", "delete", "head", "options"])
    )
    components = description.get("components", {}).get("schemas", {})
    operation = methods.get(method, {})
    query = {}
    for parameter in operation.get("parameters", []):
        value = draw(_often(values(parameter["schema"], components)))
        written = value if isinstance(value, str) else json.dumps(value)
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", _in_path(written))
        elif draw(st.booleans()):
            query[parameter["name"]] = _sendable(written)
    path = path.replace("{", "%7B").replace("}", "%7D")
    if "/take" in path:
        query |= draw(
            st.dictionaries(st.sampled_from(sorted(ADDRESS)), _often(st.sampled_from(TAKEN)).map(str), max_size=5)
        )
        query = {name: _sendable(value) for name, value in query.items()}
    assume(len(urlencode(query)) < 60_000)  # no client sends more
    body = None
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content or method in ("post", "put"):
        asked = draw(_often(values(content["schema"], components) if content else st.just({})))
        if isinstance(asked, dict) and asked.get("method", "tsne") == "tsne" and path.endswith("/map"):
            asked = asked | {"method": "pca"}  # a t-SNE of every size would keep the server busy for long
        body = (
            draw(st.sampled_from([None, b"", b"{", b"[" * 3000, b"\xff\xfe", b"null"]))
            if draw(st.integers(0, 19)) == 0
            else _bytes(asked)
        )
    headers = draw(
        st.dictionaries(
            st.sampled_from(
                ["Origin", "Sec-Fetch-Site", "Content-Type", "Range", "Accept", "If-None-Match", "X-Forwarded-Prefix"]
            ),
            st.sampled_from(
                [
                    "http://[",
                    "null",
                    "cross-site",
                    "same-origin",
                    "text/plain",
                    "bytes=0-1,-1",
                    "*/*",
                    "a" * 5000,
                    "http://127.0.0.1",
                ]
            ),
            max_size=1,
        )
    )
    return Asked(method.upper(), path, query, body, headers)


ADDRESS = {
    "view",
    "text",
    "token",
    "word",
    "layer",
    "head",
    "metric",
    "space",
    "reference",
    "mask",
    "why",
    "into",
    "compare",
    "other_text",
    "other_model",
    "model",
    "k",
    "vector",
    "weigh",
    "candidates",
    "position",
    "hubs",
    "size",
    "seed",
    "method",
}
TAKEN = [
    "heads",
    "atlas",
    "attention",
    "written",
    "layers",
    "1",
    "0",
    "2",
    "banana",
    "abc.",
    "1.5",
    "",
    "x" * 400,
    "pca",
    "value",
    "key",
    "causal",
    "full",
    "true",
    "false",
    "none",
    "reference",
    "text",
    "model",
]


def _sendable(text: str) -> str:
    """Text that an HTTP client can put into an address: half a surrogate pair it cannot."""
    return text.encode("utf-8", "replace").decode()


def _in_path(text: str) -> str:
    plain = set(string.ascii_letters + string.digits + "-._~")
    return (
        "".join(
            one if one in plain else "".join(f"%{byte:02X}" for byte in one.encode("utf-8", "replace")) for one in text
        )
        or "%20"
    )


def _bytes(value: Any) -> bytes:
    """JSON as a careless client writes it: NaN and halves of surrogate pairs and all."""
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "examples",
    [pytest.param(150, marks=pytest.mark.slow), pytest.param(6000, marks=pytest.mark.long)],
)
def test_every_request_is_answered_in_order(
    client: TestClient, described: Described, cache: Path, examples: int
) -> None:
    health = {"status": "ok"}

    @given(asked=requests(described))
    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    def every(asked: Asked) -> None:
        check(client, asked)

    with laws.in_memory(), laws.nothing_run(cache):
        every()
    assert client.get(f"{API}/health").json().items() >= health.items()
    client.request("DELETE", f"{API}/isolated")


@pytest.mark.parametrize("depth", [100, 989, 990, 991, 100_000])
def test_json_nested_without_end_is_told_from_json(client: TestClient, depth: int) -> None:
    answer = check(client, Asked("POST", f"{API}/read", body=b'{"text":' + b"[" * depth + b"]" * depth + b"}"))
    assert answer.status_code == 422
