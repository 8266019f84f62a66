"""Whom a server lets in: its own names and origins, and those that it is told; all else stays out."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from headscope.app.door import Door, is_loopback
from headscope.app.serve import Whom
from headscope.errors import InputError


@pytest.mark.parametrize(
    ("host", "inside"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("lab", False)],
)
def test_loopback_is_told_from_the_rest(host: str, inside: bool) -> None:
    assert is_loopback(host) is inside


@pytest.mark.parametrize(
    ("allowed", "host", "known"),
    [
        ("lab.example", "lab.example", True),
        ("lab.example", "lab.example:8443", True),
        ("lab.example", "LAB.example", True),
        ("Lab.Example", "lab.example", True),
        ("lab.example:8443", "lab.example:8443", True),
        ("lab.example:8443", "lab.example", False),
        ("lab.example:8443", "lab.example:80", False),
        ("lab.example", "evil.lab.example", False),
        ("lab.example", "lab.example.evil", False),
        ("lab.example", "evil@lab.example", False),
        ("lab.example", "lab.example/", False),
        ("lab.example", "127.0.0.1:7860", True),
        ("lab.example", "10.0.0.1", False),
        ("[fe80::1]", "[fe80::1]:7860", True),
    ],
)
def test_a_name_that_it_is_told_is_its_own(allowed: str, host: str, known: bool) -> None:
    assert Door(hosts=[allowed]).knows(host) is known
    assert not Door().knows("lab.example")


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("https://lab.example", "lab.example", True),
        ("https://lab.example", "127.0.0.1:7860", True),  # the proxy changed the name
        ("http://127.0.0.1:7860", "127.0.0.1:7860", True),
        ("https://lab.example:8443", "127.0.0.1:7860", False),
        ("http://127.0.0.1:8888", "127.0.0.1:7860", False),
        ("https://evil.example", "lab.example", False),
        ("https://lab.example.evil", "lab.example", False),
        ("null", "lab.example", False),
        ("http://[", "lab.example", False),
        ("ftp://lab.example", "lab.example", False),
    ],
)
def test_its_own_origins_are_told_from_others(origin: str, host: str, own: bool) -> None:
    assert Door(hosts=["lab.example"]).owns(origin, host) is own


@pytest.mark.slow
def test_more_than_one_name_may_be_told(demo: Scope) -> None:
    app = create_app(demo, allow_hosts=["lab.example", "other.example:81"])
    with TestClient(app, base_url="http://127.0.0.1") as client:
        known = {"lab.example": 200, "other.example:81": 200, "other.example": 400, "x.example": 400}
        for host, status in known.items():
            assert client.get("/", headers={"Host": host}).status_code == status
        own = {"Host": "lab.example", "Origin": "https://lab.example"}
        assert client.post("/api/v1/read", json={}, headers=own).status_code == 200
        assert client.post("/api/v1/read", json={}, headers=own | {"Origin": "https://x.example"}).status_code == 403


@pytest.mark.slow
def test_frames_that_are_allowed_stand_in_the_policy(demo: Scope) -> None:
    with TestClient(create_app(demo, allow_frames=["https://A.example", "http://localhost:8888"])) as client:
        policy = client.get("/", headers={"Host": "127.0.0.1"}).headers["Content-Security-Policy"]
    assert policy.endswith("frame-ancestors https://a.example http://localhost:8888")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *[("--allow-host", one) for one in ("", "*", "http://lab.example", "lab.example/x", "a b", "*.example", "a:b")],
        *[("--allow-frame", one) for one in ("", "*", "lab.example", "https://lab.example/x", "https://*.example",
                                             "https://a; script-src *", "'self'", "data:", "https://a https://b")],
        *[("--root-path", one) for one in ("headscope", "/a b", "/../x", "//x", "/x?y", "/api", "/static/x", "http://x")],
    ],
)  # fmt: skip
def test_what_is_none_is_refused_with_what_would_work(option: str, value: str) -> None:
    given = {"--allow-host": "allow_hosts", "--allow-frame": "allow_frames", "--root-path": "root_path"}[option]
    with pytest.raises(InputError, match=option):
        Whom(**{given: value if option == "--root-path" else [value]})


@pytest.mark.parametrize(
    ("whom", "opens"),
    [
        (Whom(), True),
        (Whom(host="::1"), True),
        (Whom(host="0.0.0.0"), False),
        (Whom(host="0.0.0.0", allow_models=True), True),
        (Whom(allow_hosts=["lab.example"]), False),  # a proxy lets others in, to a server on loopback
        (Whom(allow_hosts=["lab.example"], allow_models=True), True),
        (Whom(allow_frames=["https://lab.example"], root_path="/x"), True),
        (Whom(read_only=True), False),
    ],
)
def test_only_the_user_of_the_machine_opens_models_unasked(whom: Whom, opens: bool) -> None:
    assert whom.opens_models is opens


def test_read_only_and_open_to_all_exclude_each_other(demo: Scope) -> None:
    with pytest.raises(InputError, match="leave one of them out"):
        Whom(read_only=True, allow_models=True)
    with pytest.raises(InputError, match="read-only"):
        create_app(demo, read_only=True, open_model=lambda name, progress: demo)
