"""The server's own model tested on sixty texts: begun, told of, stopped, gone on with, kept, and shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="surveys are not installed (extra: survey)")

import zoo
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from headscope.app.api.jobs import Job
from headscope.app.api.limits import Limits
from headscope.studies.tested.question import SENTENCES, place_of
from headscope.studies.tested.there import there
from tests.app.browsers import Browser, Chromium
from tests.app.looks import choose
from tests.app.serving import Server

HERE = "http://127.0.0.1"


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scope:
    """A tiny model that has not been tested, and reads texts of up to 200 tokens; it is asked of the shortest 12."""
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path / "cache"))
    shortest = sorted(SENTENCES.read_text("utf-8").strip().split("\n\n"), key=len)[:12]
    (tmp_path / "texts.txt").write_text("\n\n".join(shortest), "utf-8")
    monkeypatch.setattr("headscope.studies.tested.question.SENTENCES", tmp_path / "texts.txt")
    return Scope.from_model(*zoo.build("roberta", shape={"max_position_embeddings": 202}))


@pytest.fixture
def opened(tiny: Scope) -> Iterator[Callable[..., TestClient]]:
    """Clients of servers of the tiny model."""
    clients: list[TestClient] = []

    def client(**how: Any) -> TestClient:
        clients.append(TestClient(create_app(tiny, **how), base_url=HERE))
        return clients[-1].__enter__()

    yield client
    for one in clients:
        one.__exit__(None, None, None)


def told(client: TestClient) -> Any:
    return client.get("/api/v1/survey").json()


def until(client: TestClient, reached: Callable[[Any], bool], seconds: float = 300) -> Any:
    """What is told once it is so; every step is seen on the way."""
    end = time.monotonic() + seconds
    while not reached(now := told(client)):
        assert time.monotonic() < end, now
        time.sleep(0.02)
    return now


def ended(now: Any) -> bool:
    return now["testing"]["state"] not in ("waiting", "working")


@pytest.mark.slow
def test_it_is_stopped_goes_on_is_shown_and_kept(opened: Callable[..., TestClient], tmp_path: Path) -> None:
    client = opened(tested=True)
    before = told(client)["testing"]
    assert (before["state"], before["closed"]) == ("absent", None)
    assert client.post("/api/v1/survey/test").json()["testing"]["state"] in ("waiting", "working")
    twins = until(client, lambda now: "twin 1" in (now["testing"]["step"] or "") or ended(now))["testing"]
    assert twins["step"] == "measuring untrained twin 1 of 5 on the same texts"
    assert 0 < twins["done"] < twins["total"]
    assert client.delete("/api/v1/survey/test").json()["testing"]["state"] == "stopped"
    assert told(client)["survey"] is None

    measured = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("shards/*/rows.parquet")}
    assert measured  # what was whole is not measured again
    client.post("/api/v1/survey/test")
    until(client, lambda now: now["testing"]["done"] > twins["done"] or ended(now))
    assert all(path.stat().st_mtime_ns == when for path, when in measured.items() if path.exists())
    shown = until(client, ended)
    assert shown["testing"]["state"] == "ready", shown
    assert (shown["survey"]["texts"], shown["survey"]["documents"]) == (12, 12)
    assert len(shown["survey"]["concluded"]) == 3
    assert "untrained twins" in shown["survey"]["concluded"][0]
    usual = client.post("/api/v1/usual", json={"layer": 1, "html": True}).json()
    assert all(head["carry"]["difference"] is not None for head in usual["heads"])
    assert 'data-sheet="usual"' in usual["html"]
    assert not list(tmp_path.rglob("shards"))  # of what was measured, the figures are kept
    again = client.post("/api/v1/survey/test").json()  # by a page that was loaded before
    assert (again["testing"]["state"], again["survey"]) == ("ready", shown["survey"])

    assert told(opened(tested=True))["survey"] == shown["survey"]  # at the next start
    assert told(opened())["survey"] is None
    closed = told(opened(tested=True, read_only=True))  # a visitor sees it, and makes none
    assert closed["survey"] == shown["survey"]
    assert "no visitor" in closed["testing"]["closed"]


@pytest.mark.long
def test_whoever_asks_something_meanwhile_is_let_past(opened: Callable[..., TestClient]) -> None:
    client = opened()
    client.post("/api/v1/survey/test")
    until(client, lambda now: now["testing"]["total"] > 0)
    for layer in (0, 1):
        assert client.post("/api/v1/nearest", json={"text": "a bird in the house", "layer": layer}).status_code == 200
        assert not ended(told(client))
    assert until(client, ended)["testing"]["state"] == "ready"


@pytest.mark.slow
def test_a_test_that_nobody_asks_after_ends(opened: Callable[..., TestClient]) -> None:
    client = opened(limits=Limits(patience=0.3))
    client.post("/api/v1/survey/test")
    time.sleep(0.8)
    assert told(client)["testing"]["state"] == "stopped"


@pytest.mark.slow
def test_a_test_of_other_weights_is_not_shown(scope_of: Any, opened: Callable[..., TestClient], demo: Scope) -> None:
    assert place_of(demo) != place_of(scope_of("roberta"))
    assert there(scope_of("roberta")) is None
    assert told(opened(tested=True))["survey"] is None


def test_the_time_that_is_left_is_told_from_the_pace_since_it_went_on() -> None:
    job = Job()
    job.tell(step="reading the texts")
    job.tell(500, 1000)  # what was there before took no time
    assert job.seconds_left() is None
    time.sleep(0.05)
    job.tell(501, 1000)
    left = job.seconds_left()
    assert left is not None
    assert left > 499 * 0.05


@pytest.mark.slow
def test_a_press_of_its_button_acts_however_long_it_takes(browser: Browser, tiny: Scope) -> None:
    assert isinstance(browser, Chromium)
    button, says = "#test-it button", "document.querySelector('#test-it p').textContent"
    with Server(create_app(tiny, tested=True)) as running:
        browser.open(f"{running.address}/?view=survey")
        browser.wait(f"document.querySelector('{button}')?.textContent === 'Test this model on 60 texts'")
        browser.page.dblclick(button)  # begun, and not stopped
        browser.wait(f"{says}.includes('%')", seconds=60)
        before = browser.js(says)
        browser.hover(button)
        browser.page.mouse.down()
        browser.wait(f"{says} !== {before!r}", seconds=60)  # what is told every second does not take it away
        browser.page.mouse.up()
        browser.wait(f"document.querySelector('{button}').textContent === 'Go on'")
        assert browser.js("document.activeElement.textContent") == "Go on"
        browser.click(button)
        browser.wait(f"{says}.includes('%')", seconds=60)
        running.stop()
        browser.wait(f"{says} === 'The server does not answer.'")


@pytest.mark.long
def test_the_page_has_it_without_being_loaded_again(browser: Browser, tiny: Scope) -> None:
    with Server(create_app(tiny, tested=True)) as running:
        browser.errors.clear()
        browser.open(f"{running.address}/?view=survey")
        browser.wait("document.querySelector('#test-it button')?.textContent === 'Test this model on 60 texts'")
        browser.click("#test-it button")
        browser.wait("document.querySelector('#test-it p')?.textContent.includes('measuring')", seconds=60)
        assert browser.js("document.querySelector('#test-it button').textContent") == "Stop"
        choose(browser, "view", "heads")  # it goes on beside other views
        browser.wait("document.querySelectorAll('#neighbors .usually').length === 4", seconds=200)
        choose(browser, "view", "survey")
        browser.wait("document.querySelectorAll('#survey .plot svg').length === 3")
        assert browser.js("document.querySelectorAll('#survey .concluded li').length") == 3
        assert browser.errors == []


@pytest.mark.slow
def test_what_another_page_did_with_it_is_seen_by_who_comes_back(browser: Browser, tiny: Scope) -> None:
    assert isinstance(browser, Chromium)
    button = "document.querySelector('#test-it button')"
    with Server(create_app(tiny, tested=True)) as running:
        browser.open(f"{running.address}/?view=survey")
        browser.wait(f"{button}?.textContent === 'Test this model on 60 texts'")
        other = Chromium(browser.page.context.new_page())
        other.open(f"{running.address}/?view=survey")
        other.wait(f"{button}?.textContent === 'Test this model on 60 texts'")
        browser.click("#test-it button")
        browser.wait(f"{button}.textContent === 'Stop'")
        browser.click("#test-it button")
        browser.wait(f"{button}.textContent === 'Go on'")
        for there, here in (("Go on", "Stop"), ("Stop", "Go on")):
            other.js("dispatchEvent(new Event('focus'))")
            other.wait(f"{button}.textContent === '{there}'")
            other.click("#test-it button")
            other.wait(f"{button}.textContent === '{here}'")
            browser.js("dispatchEvent(new Event('focus'))")  # Chromium without a window never takes it away
            browser.wait(f"{button}.textContent === '{here}'")
        other.click("#test-it button")
        other.wait("document.querySelectorAll('#survey .concluded li').length === 3", seconds=200)
        browser.js("dispatchEvent(new Event('focus'))")
        browser.wait("document.querySelectorAll('#survey .concluded li').length === 3")
        assert browser.errors == other.errors == []
        other.page.close()
