"""A page for the public: one model, no directories, bounded texts, and so much work for each visitor."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from headscope.app.api.limits import PUBLIC, Limits
from headscope.app.visitors import TooMuch, Visitors
from tests.app.browsers import Browser
from tests.app.looks import choose, shows
from tests.app.serving import Server

API = "/api/v1"


@pytest.fixture
def own(scope_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scope:
    """A tiny model of its own, whose vocabulary has not been read alone."""
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path / "cache"))
    tiny = scope_of("roberta")
    return Scope.from_model(tiny.bench.opened.model, tiny.bench.opened.names.tokenizer)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where nothing that was read alone is kept."""
    return tmp_path_factory.mktemp("closed") / "cache"


@pytest.fixture(scope="module")
def client(scope_of: Any, cache: Path) -> Iterator[TestClient]:
    """A client of a closed server that has read nothing alone."""
    tiny = scope_of("roberta")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSCOPE_CACHE", str(cache))
        own = Scope.from_model(tiny.bench.opened.model, tiny.bench.opened.names.tokenizer)
        with TestClient(create_app(own, read_only=True), base_url="http://127.0.0.1") as one:
            yield one


@pytest.mark.parametrize(
    ("route", "question", "status", "said"),
    [
        ("models", {"model": "gpt2"}, 403, "opens no other model"),
        ("read", {"model": "gpt2"}, 403, "opens no other model"),
        ("survey", {"directory": "survey"}, 403, "opens no directory"),
        ("survey/test", {}, 403, "tests its model for no visitor"),
        ("read", {"text": "x" * 2001}, 413, "at most 2,000"),
        ("nearest", {"text": "word", "k": 51}, 422, "at most 50"),
        ("map", {"size": 2001}, 422, "at most 2,000"),
        ("nearest", {"layer": 1, "reference": "isolated"}, 403, "reads no vocabulary alone"),
        ("journey", {"isolated": True}, 403, "reads no vocabulary alone"),
        ("take?reference=isolated", {}, 403, "reads no vocabulary alone"),
    ],
)
def test_what_is_closed_is_said(
    client: TestClient, cache: Path, route: str, question: dict[str, Any], status: int, said: str
) -> None:
    answer = client.post(f"{API}/{route}", json=question)
    assert answer.status_code == status
    assert said in answer.json()["error"]
    assert not list(cache.glob("isolated*"))


@pytest.mark.slow
def test_what_was_read_alone_before_can_be_asked_for(own: Scope) -> None:
    own.isolate()
    with TestClient(create_app(own, read_only=True), base_url="http://127.0.0.1") as client:
        assert client.post(f"{API}/nearest", json={"layer": 1, "reference": "isolated"}).status_code == 200
        assert '"isolated"' in client.get("/").text


def test_no_other_model_is_named(client: TestClient, scope_of: Any) -> None:
    told = client.get(f"{API}/models").json()
    assert [card["name"] for card in told["open"]] == [scope_of("roberta").card.name]
    assert (told["available"], told["may_open"]) == ([], False)


@pytest.mark.slow
def test_every_visitor_has_so_much_work_a_minute(own: Scope) -> None:
    limits = Limits(work=0.001, at_once=4)
    app = create_app(own, limits=limits)
    with (
        TestClient(app, base_url="http://127.0.0.1", client=("198.51.100.1", 1)) as one,
        TestClient(app, base_url="http://127.0.0.1", client=("198.51.100.2", 1)) as other,
    ):
        assert one.post(f"{API}/read", json={"text": "First."}).status_code == 200
        refused = one.post(f"{API}/read", json={"text": "Second."})
        assert refused.status_code == 429
        assert "0.001 seconds a minute" in refused.json()["error"]
        assert int(refused.headers["Retry-After"]) > 0
        # What is known costs nothing, and neither is anybody else kept out.
        assert one.post(f"{API}/read", json={"text": "First."}).status_code == 200
        assert one.post(f"{API}/map", json={"method": "pca", "size": 60}).status_code == 429
        assert other.post(f"{API}/read", json={"text": "Second."}).status_code == 200


class _Request:
    def __init__(self, host: str) -> None:
        self.client = type("Address", (), {"host": host})()


def test_so_many_requests_of_a_visitor_are_worked_on_at_a_time() -> None:
    visitors = Visitors(10, 2)
    ada: Any = _Request("198.51.100.1")
    with visitors.admitted(ada), visitors.admitted(ada):
        with pytest.raises(TooMuch, match="2 requests"), visitors.admitted(ada):
            pass
        with visitors.admitted(_Request("198.51.100.2")):  # type: ignore[arg-type]
            pass
    with visitors.admitted(ada):
        pass


def test_work_is_counted_even_where_it_fails_and_forgotten_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    visitors = Visitors(10, 2)
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def fail() -> None:
        now[0] += 12
        raise ValueError("planted")

    ada: Any = _Request("198.51.100.1")
    with pytest.raises(ValueError, match="planted"), visitors.admitted(ada):
        visitors.timed(ada, fail)()
    assert visitors.spent("198.51.100.1") == 12
    with pytest.raises(TooMuch, match="10 seconds"), visitors.admitted(ada):
        pass
    now[0] += 61
    with visitors.admitted(ada):
        pass
    assert visitors.spent("198.51.100.1") == 0


def test_without_limits_nobody_is_counted() -> None:
    visitors, ran = Visitors(None, None), []
    ada: Any = _Request("198.51.100.1")
    with visitors.admitted(ada):
        visitors.timed(ada, lambda: ran.append(threading.get_ident()))()
    assert (len(ran), visitors.spent("198.51.100.1")) == (1, 0)


@pytest.mark.slow
def test_the_page_says_what_is_closed_and_hides_it(
    browser: Browser, demo: Scope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))  # where nothing was read alone, by another test say
    own = Scope.from_model(demo.bench.opened.model, demo.bench.opened.names.tokenizer)
    with Server(create_app(own, read_only=True)) as running:
        browser.errors.clear()
        browser.open(f"{running.address}/?layer=2")
        shows(browser, httpx.post(f"{running.address}{API}/nearest", json={"layer": 2}, timeout=60).json())
        says = browser.js("document.querySelector('#model .closed').textContent")
        assert f"texts of up to {PUBLIC.characters:,} characters" in says
        assert f"{PUBLIC.work:g} seconds of work a minute" in says
        assert browser.js("document.querySelector('#text').maxLength") == PUBLIC.characters + 1
        references = "[...document.querySelectorAll('[name=reference]')].map((one) => one.value)"
        assert browser.js(references) == ["layer", "input"]
        browser.click("[popovertarget=models]")
        browser.wait("document.querySelector('#known-models li')")
        assert browser.js("document.querySelector('#open-model').hidden")
        browser.click("#models > .quiet")
        choose(browser, "view", "journey")
        browser.wait("document.querySelector('#journey table')")
        assert not browser.js("document.querySelector('[name=isolated]').checkVisibility()")
        choose(browser, "view", "survey")
        browser.wait("document.querySelector('#survey').textContent.includes('whoever runs this server')")
        assert not browser.js("document.querySelector('#open-survey')")
        assert browser.errors == []
