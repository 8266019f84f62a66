"""A lens on the page: the space fitted is open, and its answers say what it was fitted on and how far it holds."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import zoo

from headscope import InputError, Scope
from headscope.app import create_app
from headscope.app.api.addressed import ViewAsk
from headscope.app.page.script import script
from headscope.studies.probes import LinearLens, fit_lens
from tests.app.browsers import Browser
from tests.app.looks import choose, shows
from tests.app.serving import Server
from tests.studies.survey.corpora import sentences


@pytest.fixture
def own() -> Scope:
    """A tiny model of its own: lenses are put into use."""
    return Scope.from_model(*zoo.build("bert"))


@pytest.fixture
def lens(own: Scope) -> LinearLens:
    return fit_lens(own, sentences(24, seed=2), name="a few sentences")


@pytest.fixture
def with_lens(own: Scope, lens: LinearLens) -> Iterator[Server]:
    own.use_lens(lens)
    with Server(create_app(own)) as server:
        yield server


@pytest.mark.slow
def test_the_space_is_open_and_says_what_it_is_worth(with_lens: Server, browser: Browser) -> None:
    browser.errors.clear()
    browser.open(with_lens.address)
    browser.wait("document.querySelector('#neighbors td')")
    assert "fitted" not in browser.js("[...document.querySelectorAll('[name=space]:disabled')].map((e) => e.value)")
    choose(browser, "space", "fitted")
    told = httpx.post(f"{with_lens.address}/api/v1/nearest", json={"space": "fitted"}, timeout=60).json()
    shows(browser, told)
    notes = browser.js("document.querySelector('#notes').textContent")
    assert "24 texts" in notes
    assert "a few sentences" in notes
    assert "shuffled" in notes
    assert all(note in notes for note in told["notes"])
    assert browser.errors == []


def test_what_is_taken_away_says_that_a_lens_was_in_use(own: Scope) -> None:
    lines = script(own.card, ViewAsk(space="fitted", view="atlas"))
    assert 'scope.use_lens("lens.safetensors")' in lines
    assert lines.count("reading.atlas") == 1  # the space has no references


def test_a_map_of_the_space_is_refused(own: Scope, lens: LinearLens) -> None:
    own.use_lens(lens)
    with pytest.raises(InputError, match="the space fitted has no map"):
        own.read("the early bird").map(layer=0, head=0, space="fitted")


def test_without_a_lens_the_server_says_what_is_missing(server: Server) -> None:
    answer = httpx.post(f"{server.address}/api/v1/nearest", json={"space": "fitted"}, timeout=60)
    assert answer.status_code == 422
    assert "needs a lens" in answer.json()["error"]
