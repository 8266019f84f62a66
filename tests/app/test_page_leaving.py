"""The page: a view that is left gives up what it asked for, and the server the work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zoo

from headscope import Scope
from headscope.app import create_app
from headscope.app.api.limits import Limits
from headscope.keep import tensors
from tests.app.browsers import Browser, Chromium
from tests.app.gate import Gate
from tests.app.looks import choose, shows
from tests.app.serving import Server
from tests.app.test_leaving import ask, ended, far, free, noticed, until

PATIENCE = 5.0  # seconds; the page asks twice in one
SHORT = 2.0  # where nobody is to be waited for
SHOWN = "document.readyState === 'complete' && document.querySelector('#neighbors td')"


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A gate in a tiny model that has read nothing alone."""
    monkeypatch.setattr(tensors, "STEP", 8)
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    with Gate(Scope.from_model(*zoo.build("bert"))) as one:
        yield one


@pytest.fixture
def patience() -> float:
    return PATIENCE


@pytest.fixture
def server(gate: Gate, patience: float) -> Iterator[Server]:
    with Server(create_app(gate.scope, limits=Limits(patience=patience, ahead=False))) as running:
        ask(running, "nearest")
        yield running


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Browser]:
    browser.errors.clear()
    browser.open(server.address)
    browser.wait(SHOWN)
    yield browser
    if isinstance(browser, Chromium):  # what a test held back holds up no other
        browser.page.unroute_all(behavior="ignoreErrors")


def whole(page: Browser, server: Server) -> None:
    """Waits until the page has all that the first view asks for later: its verdict, and whether its head matters."""
    page.wait("document.querySelector('#verdict .surveyed') && !document.querySelector('#verdict[aria-busy]')")
    time.sleep(1.5)
    free(server)


@pytest.mark.long
def test_another_view_gives_up_what_the_one_before_asked_for(page: Browser, server: Server, gate: Gate) -> None:
    whole(page, server)
    gate.close(after=1)
    choose(page, "view", "journey")
    assert gate.reached.wait(60)
    choose(page, "view", "attention")
    assert ended(server, gate)
    page.wait("document.querySelector('#attention td')")
    choose(page, "view", "journey")  # and it can be had again
    page.wait("document.querySelector('#journey td')", 60)
    assert page.errors == []


@pytest.mark.slow
def test_leaving_hub_aware_stops_the_reading_of_other_texts(page: Chromium, server: Server, gate: Gate) -> None:
    for other in ("standing", "removed", "ahead"):  # what runs the model beside the tables stays unasked
        page.page.route(f"**/{other}", lambda route: None)
    page.open(server.address)
    page.wait("document.querySelector('#neighbors td')")
    free(server)
    gate.close(after=1)
    choose(page, "hubs", "on")
    assert gate.reached.wait(60)
    choose(page, "view", "attention")
    assert ended(server, gate)
    page.wait("document.querySelector('#attention td')")
    assert page.js("document.querySelector('#making').hidden")
    assert page.errors == []


@pytest.mark.long
def test_leaving_the_visit_stops_its_measuring(page: Browser, server: Server, gate: Gate) -> None:
    whole(page, server)
    gate.close(after=1)
    page.click("#visit")
    page.wait("document.querySelector('#tour-says').textContent === 'Measuring this text …'")
    assert gate.reached.wait(60)
    page.press("Escape")
    page.wait("document.querySelector('#tour').hidden")
    assert ended(server, gate)
    assert page.errors == []


@pytest.mark.long
def test_another_token_gives_up_the_effects_that_were_asked_for(page: Browser, server: Server, gate: Gate) -> None:
    choose(page, "view", "layers")
    page.wait("document.querySelectorAll('#glance td[data-id]').length === 12", 60)
    gate.close(after=1)
    page.click("#glance [data-by=zero]")
    assert gate.reached.wait(60)
    page.click("#tokens [data-position='3']")
    assert ended(server, gate)
    # What is pressed must not move: the word that it is waited for is gone.
    page.wait("document.querySelector('#making').hidden && !document.querySelector('#view').hasAttribute('data-busy')")
    painted = "performance.getEntriesByName('tables').length"
    before = page.js(painted)
    page.click("#tokens [data-position='1']")
    page.wait(f"{painted} > {before}", 60)  # not the table of the token before
    page.click("#glance [data-by=zero]")
    page.wait("document.querySelector('#glance [data-sort=moved]')", 60)
    assert page.errors == []


@pytest.mark.long
def test_a_view_that_is_left_waits_for_no_tokens_read_alone(page: Browser, server: Server, gate: Gate) -> None:
    whole(page, server)
    gate.close(after=20)
    choose(page, "reference", "isolated")
    page.wait("document.querySelector('#making:not([hidden]) progress')")
    assert gate.reached.wait(60)
    choose(page, "reference", "layer")  # whose answer is at hand
    assert ended(server, gate)
    done = until("stopped", lambda: far(server))["done"]
    assert 0 < done < gate.scope.card.vocab_size


@pytest.mark.long
def test_another_layer_waits_for_the_same_tokens(page: Browser, server: Server, gate: Gate) -> None:
    choose(page, "layer", 2)
    shows(page, ask(server, "nearest", layer=2).json())
    gate.close(after=20)
    choose(page, "reference", "isolated")
    page.wait("document.querySelector('#making:not([hidden]) progress')")
    assert gate.reached.wait(60)
    choose(page, "layer", 1)
    noticed(server)
    gate.open()
    until("ready", lambda: far(server))
    shows(page, ask(server, "nearest", layer=1, reference="isolated").json())


@pytest.mark.long
@pytest.mark.engines(long=("firefox", "webkit"))
@pytest.mark.parametrize("patience", [SHORT])
def test_a_page_that_is_closed_waits_for_nothing(page: Browser, server: Server, gate: Gate, patience: float) -> None:
    gate.close(after=20)
    choose(page, "reference", "isolated")
    page.wait("document.querySelector('#making:not([hidden]) progress')")
    assert gate.reached.wait(60)
    page.open("about:blank")
    time.sleep(patience + 1)  # not every browser lets a page say that it is being closed
    assert ended(server, gate)
    until("stopped", lambda: far(server))
