"""Another model while working: opened by an explicit act, told as it goes, and never by a link."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from headscope import ModelError, Scope
from headscope.app import create_app
from tests.app.browsers import Browser
from tests.app.looks import choose, shows, text
from tests.app.serving import Server


@pytest.fixture
def many(demo: Scope, scope_of: Callable[[str], Scope]) -> Iterator[tuple[Server, list[str], list[bool]]]:
    """A server that opens tiny models and the demo weights again; what it opened; and whether it may go on."""
    opened: list[str] = []
    gate = [True]

    def open_model(name: str, progress: Callable[[str], None]) -> Scope:
        opened.append(name)
        progress("fetching weights: 12 of 92 MB")
        while not gate[0]:
            time.sleep(0.01)
        if name == "nowhere":
            raise ModelError("there is no directory 'nowhere'.")
        return demo if name == "twin" else scope_of(name)

    with Server(create_app(demo, open_model=open_model)) as running:
        httpx.post(f"{running.address}/api/v1/nearest", json={}, timeout=60).raise_for_status()
        yield running, opened, gate


def asked(server: Server, route: str = "nearest", **question: Any) -> Any:
    return httpx.post(f"{server.address}/api/v1/{route}", json=question, timeout=60).raise_for_status().json()


def named(page: Browser, name: str) -> None:
    page.click("[popovertarget=models]")
    page.wait("document.querySelector('#models').matches(':popover-open')")
    page.wait("document.querySelector('#known-models li')")  # the list moves what stands below it
    page.js("document.querySelector('#model-name').select()")
    page.click("#model-name")
    page.js("document.querySelector('#model-name').select()")
    page.press(name)
    page.click("#open-model .primary")


@pytest.mark.slow
def test_a_model_is_opened_beside_the_page_and_then_shown(browser: Browser, many: Any) -> None:
    server, opened, gate = many
    browser.errors.clear()
    browser.open(f"{server.address}/?token=3&layer=5&head=11")
    shows(browser, asked(server, token=3, layer=5))
    gate[0] = False
    named(browser, "gpt2")
    browser.wait("document.querySelector('#model-says').textContent.includes('12 of 92 MB')")
    assert text(browser, "#model-says").startswith("gpt2: ")  # there is no model Gpt2
    # The page goes on meanwhile.
    browser.click("#models > .quiet")
    choose(browser, "layer", 4)
    shows(browser, asked(server, token=3, layer=4))
    gate[0] = True
    browser.arrive("document.querySelectorAll('[name=layer]').length === 3")
    shows(browser, asked(server, model="gpt2", token=3, layer=2))
    assert "model=gpt2" in browser.js("location.search")
    assert opened == ["gpt2"]
    browser.go(0)
    shows(browser, asked(server, model="gpt2", token=3, layer=2))
    choose(browser, "metric", "dot")
    shows(browser, asked(server, model="gpt2", token=3, layer=2, metric="dot"))
    browser.click("[popovertarget=models]")
    browser.wait("document.querySelector('#known-models button')")
    browser.click("#known-models button")  # the server's own
    browser.arrive("document.querySelectorAll('[name=layer]').length === 6")
    assert browser.errors == []
    browser.js("localStorage.clear()")


@pytest.mark.long
def test_a_failure_says_why_and_the_page_stays(browser: Browser, many: Any) -> None:
    server, _, _ = many
    browser.open(server.address)
    shows(browser, asked(server))
    named(browser, "nowhere")
    browser.wait("document.querySelector('#model-says').textContent === \"There is no directory 'nowhere'.\"")
    assert browser.js("document.querySelector('#opening').hidden")
    browser.click("#models > .quiet")
    choose(browser, "layer", 2)
    shows(browser, asked(server, layer=2))


LINK = "/?layer=1&token=2&model=gpt2&compare=model&other_model=twin"


def followed(browser: Browser, server: Server) -> None:
    """A link that was made with another model, opened; the page asks what is to be done."""
    browser.open(f"{server.address}{LINK}")
    shows(browser, asked(server, layer=1, token=2))
    browser.wait("document.querySelector('#asked').open")
    assert "This link asks to open gpt2." in text(browser, "#asked")


@pytest.mark.long
@pytest.mark.engines(long=("firefox", "webkit"))
def test_a_link_opens_nothing_where_its_reader_stays(browser: Browser, many: Any) -> None:
    server, opened, _ = many
    browser.errors.clear()
    followed(browser, server)
    assert browser.js("document.activeElement.value") == "stay"  # what Enter does
    browser.press("Escape")
    browser.wait("!document.querySelector('#asked').open")
    assert "This link was made with gpt2" in text(browser, "#model")
    httpx.get(f"{server.address}/api/v1/take/view.html{browser.js('location.search')}", timeout=60).raise_for_status()
    browser.click("#model .other button")  # asks again
    browser.wait("document.querySelector('#asked').open")
    browser.click("#asked [value=stay]")
    browser.wait("!document.querySelector('#asked').open")
    choose(browser, "layer", 3)
    shows(browser, asked(server, layer=3, token=2))
    assert opened == []
    assert browser.errors == []


@pytest.mark.long
@pytest.mark.engines(long=("firefox", "webkit"))
def test_a_link_is_shown_with_its_model_where_its_reader_opens_it(browser: Browser, many: Any) -> None:
    server, opened, _ = many
    browser.errors.clear()
    followed(browser, server)
    browser.click("#asked [value=open]")
    browser.arrive("document.querySelectorAll('[name=layer]').length === 3")
    shows(browser, asked(server, model="gpt2", layer=1, token=2))
    assert browser.js("document.querySelector('#asked').open") is False
    assert "token=2" in browser.js("location.search")
    assert opened == ["gpt2"]
    assert browser.errors == []


@pytest.mark.long
def test_a_link_to_a_model_that_is_nowhere_says_why(browser: Browser, many: Any) -> None:
    server, opened, _ = many
    browser.open(f"{server.address}/?model=nowhere")
    browser.wait("document.querySelector('#asked').open")
    browser.click("#asked [value=open]")
    browser.wait("document.querySelector('#model-says').textContent === \"There is no directory 'nowhere'.\"")
    assert opened == ["nowhere"]


@pytest.mark.slow
def test_where_no_model_may_be_opened_a_link_asks_nothing(browser: Browser, server: Server) -> None:
    browser.open(f"{server.address}{LINK}")
    shows(browser, asked(server, layer=1, token=2))
    assert "This link was made with gpt2" in text(browser, "#model")
    assert not browser.js("document.querySelector('#asked').open || document.querySelector('#model .other button')")


def opens(server: Server, *names: str) -> None:
    """Have a server open models, one after the other."""
    for name in names:
        httpx.post(f"{server.address}/api/v1/models", json={"model": name}).raise_for_status()
        while httpx.get(f"{server.address}/api/v1/models/opening").json()["state"] == "working":
            time.sleep(0.05)


LISTED = "[...document.querySelectorAll('#known-models li')].map((e) => e.textContent)"


@pytest.mark.slow
def test_every_model_is_listed_by_what_it_is_asked_for_by(browser: Browser, many: Any) -> None:
    server, _, _ = many
    browser.open(server.address)
    shows(browser, asked(server))
    opens(server, "gpt2", "twin")  # after the page was loaded
    asked(server, model="gpt2")  # what was used last stands last
    listed = httpx.get(f"{server.address}/api/v1/models").json()
    own = "sentence-transformers/all-MiniLM-L6-v2"
    assert listed["names"] == [own, "twin", "gpt2"]
    assert [card["layers"] for card in listed["open"]] == [6, 6, 3]
    browser.click("[popovertarget=models]")
    browser.wait("document.querySelectorAll('#known-models li').length >= 3")
    assert browser.js(LISTED)[:3] == [f"{own} · open", "twin · open", "gpt2 · open"]
    browser.click("#known-models li:nth-child(2) button")
    browser.arrive("location.search.includes('model=twin')")
    shows(browser, asked(server, model="twin"))
    browser.click("[popovertarget=models]")
    browser.wait("document.querySelectorAll('#known-models li').length >= 3")
    assert text(browser, "#known-models strong") == "twin"  # that is shown


@pytest.mark.slow
def test_the_demo_weights_are_one_model_under_both_of_their_names(browser: Browser, many: Any) -> None:
    server, opened, _ = many
    assert "demo" not in [one["name"] for one in httpx.get(f"{server.address}/api/v1/models").json()["available"]]
    browser.open(f"{server.address}/?model=demo&layer=1")
    shows(browser, asked(server, layer=1))
    assert not browser.js("document.querySelector('#asked').open || document.querySelector('#model .other')")
    assert asked(server, model="demo") == asked(server)
    assert opened == []
    browser.js("localStorage.setItem('models', JSON.stringify(['gpt2', 'demo']))")  # opened on an earlier server
    browser.click("[popovertarget=models]")
    browser.wait("document.querySelector('#known-models li')")
    told = browser.js(LISTED)
    assert "gpt2 · opened before" in told
    assert [one for one in told if one.startswith("demo")] == []


@pytest.mark.slow
def test_a_comparison_with_a_model_that_is_not_open_is_said_to_be_none(browser: Browser, many: Any) -> None:
    server, opened, _ = many
    opens(server, "twin")
    browser.open(f"{server.address}/?layer=2&compare=model&other_model=nowhere")
    shows(browser, asked(server, layer=2))
    assert text(browser, "#nothing") == "There is nothing to compare: nowhere is not open here."
    browser.js("(document.querySelector('#other-model').value = 'twin')")
    browser.js("document.querySelector('#other-model').dispatchEvent(new Event('change', { bubbles: true }))")
    browser.wait("document.querySelectorAll('#neighbors .versus td.hs-shared').length === 360")
    assert text(browser, "#nothing") == ""
    choose(browser, "compare", "none")
    shows(browser, asked(server, layer=2))
    choose(browser, "compare", "model")
    browser.wait("document.querySelector('#neighbors .versus')")
    assert opened == ["twin"]


@pytest.mark.long
def test_two_models_stand_side_by_side(browser: Browser, many: Any) -> None:
    server, _, _ = many
    opens(server, "twin", "gpt2")
    browser.open(f"{server.address}/?layer=2&reference=layer")
    shows(browser, asked(server, layer=2, reference="layer"))
    choose(browser, "compare", "model")
    browser.wait("document.querySelectorAll('#neighbors .versus td.hs-shared').length === 360")  # the same weights
    browser.js("(document.querySelector('#other-model').value = 'gpt2')")
    browser.js("document.querySelector('#other-model').dispatchEvent(new Event('change', { bubbles: true }))")
    browser.wait("document.querySelector('#problem').textContent.includes('as many heads')")
    browser.errors.clear()  # the browser logs the refused request


@pytest.mark.slow
def test_where_no_model_may_be_opened_none_is_offered(demo: Scope) -> None:
    with TestClient(create_app(demo), base_url="http://127.0.0.1") as client:
        refused = client.post("/api/v1/models", json={"model": "gpt2"})
        assert refused.status_code == 403
        assert "can allow that where it is started" in refused.json()["error"]
        assert client.get("/api/v1/models/opening").json() is None


@pytest.mark.slow
def test_one_model_is_opened_at_a_time(demo: Scope, many: Any) -> None:
    server, opened, gate = many
    gate[0] = False
    for _ in range(2):
        told = httpx.post(f"{server.address}/api/v1/models", json={"model": "gpt2"})
        assert told.json()["state"] == "working"
    other = httpx.post(f"{server.address}/api/v1/models", json={"model": "llama"})
    gate[0] = True
    assert other.status_code == 503
    assert "gpt2 is being opened" in other.json()["error"]
    assert opened == ["gpt2"]
