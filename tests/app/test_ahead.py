"""What may be asked next is made while nobody asks: as long as somebody is there, and never in another's room."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import zoo

from headscope import Scope
from headscope.app import create_app
from headscope.app.api.limits import PUBLIC
from headscope.neighbors import Table
from headscope.question.question import Question
from headscope.reading.atlas import Atlas
from headscope.reading.reading import Reading
from tests.app.browsers import Chromium
from tests.app.gate import Gate
from tests.app.looks import choose
from tests.app.serving import Server
from tests.app.test_leaving import TEXT, Visitor, ask, ended, free, noticed

LAYERS = 3
BESIDE = (2, 0, 3, 4, 5)  # the tokens beside the one asked, the nearest first: none is before the first
READY = {"ready": LAYERS + len(BESIDE) + 2, "left": 0}  # with the bank, and the table of the layer asked


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A disk with nothing on it."""
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))


@pytest.fixture
def scope() -> Scope:
    return Scope.from_model(*zoo.build("bert"))


@pytest.fixture
def server(scope: Scope) -> Iterator[Server]:
    with Server(create_app(scope)) as running:
        ask(running, "nearest")
        yield running


@pytest.fixture
def gate(scope: Scope, server: Server) -> Iterator[Gate]:
    with Gate(scope) as one:
        yield one


@pytest.mark.slow
def test_the_next_click_finds_all_at_hand(server: Server, gate: Gate) -> None:
    question = {"text": TEXT, "layer": 1, "html": True}
    assert ask(server, "nearest", **question).status_code == 200
    assert ask(server, "ahead", **question).json() == READY
    steps = gate.steps
    for layer in range(LAYERS):
        assert ask(server, "nearest", **question | {"layer": layer}).status_code == 200
    assert ask(server, "atlas", text=TEXT).status_code == 200
    assert ask(server, "ahead", **question).json() == READY
    assert gate.steps == steps, "the model was run again"


@pytest.mark.slow
def test_the_layer_that_a_reader_stays_on_gets_its_table(scope: Scope, server: Server) -> None:
    vocabulary, spot = scope.bench.vocabulary, scope.read(TEXT).spots[1]

    def has_table(layer: int) -> bool:
        return isinstance(vocabulary.encoded("value", "layer", layer, spot, 0).source, Table)

    question = {"text": TEXT, "layer": 1}
    before = ask(server, "nearest", **question).json()["heads"]
    assert not has_table(1)
    assert ask(server, "ahead", **question).json() == READY
    assert has_table(1)
    assert not has_table(2), "nobody is there"
    assert ask(server, "nearest", **question | {"k": 14}).json()["heads"] != before
    again = ask(server, "nearest", **question | {"k": 15}).json()["heads"]
    assert again == before, "the table gives other numbers"


@pytest.mark.slow
def test_the_next_token_finds_its_answer_made(server: Server, gate: Gate) -> None:
    question = {"text": TEXT, "layer": 1, "html": True}
    assert ask(server, "ahead", **question).json() == READY
    gate.close(after=1)
    with ThreadPoolExecutor(1) as visitors:
        other = visitors.submit(ask, server, "nearest", text="Another text")
        assert gate.reached.wait(60)
        for token in BESIDE:
            assert ask(server, "nearest", **question | {"token": token}).status_code == 200
        assert not other.done(), "they waited for the one who asked before"
        gate.open()


@pytest.mark.slow
@pytest.mark.parametrize(("view", "bases"), [("atlas", ["layer", "input"]), ("layers", [None])])
def test_where_all_layers_are_looked_at_the_next_tokens_are_found_in_all(
    server: Server, monkeypatch: pytest.MonkeyPatch, view: str, bases: list[str | None]
) -> None:
    found: list[tuple[int | str, str | None]] = []
    original = Reading.ask_atlas

    def counted(reading: Reading, asked: Question, token: int | str, *more: Any) -> Atlas:
        found.append((token, asked.reference))
        return original(reading, asked, token, *more)

    monkeypatch.setattr(Reading, "ask_atlas", counted)
    near = [token for token in BESIDE if abs(token - 1) <= 2]
    told = ask(server, "ahead", text=TEXT, view=view).json()
    assert told == {"ready": LAYERS + len(near) * len(bases) + 2, "left": 0}
    assert [token for token, _ in found] == [token for token in near for _ in bases]
    for token in near:
        for basis in bases:
            assert ask(server, "atlas", text=TEXT, token=token, reference=basis, html=True).status_code == 200
    assert len(found) == len(near) * len(bases)


@pytest.mark.slow
def test_it_makes_way_for_who_asks_and_goes_on_after(server: Server, gate: Gate) -> None:
    gate.close(after=2)
    with ThreadPoolExecutor(2) as visitors:
        made = visitors.submit(ask, server, "ahead", text=TEXT, layer=2)
        assert gate.reached.wait(60)
        asked = visitors.submit(ask, server, "attention", text="Another text")
        time.sleep(0.3)
        noticed(server)
        gate.open()
        gate.close(after=LAYERS + 1)  # the one that was held, and a text
        assert asked.result(60).status_code == 200, "what was made ahead went on before the one who asked had his turn"
        assert not made.done()
        gate.open()
        assert made.result().json() == READY


@pytest.mark.slow
def test_it_ends_when_nobody_is_there(server: Server, gate: Gate) -> None:
    gate.close(after=2)
    visitor = Visitor(server, "ahead", {"text": TEXT, "layer": 2})
    assert gate.reached.wait(60)
    visitor.leave()
    noticed(server)
    held = gate.steps
    gate.open()
    free(server)
    time.sleep(0.3)
    assert gate.steps == held


@pytest.mark.long
def test_nothing_that_was_used_makes_room_for_it(scope: Scope) -> None:
    with Server(create_app(scope)) as server:
        ask(server, "nearest", text=TEXT)
        ask(server, "nearest", text=TEXT, layer=1)
        held = scope.memory.nbytes
    tight = Scope.from_model(*zoo.build("bert"), cache_bytes=held + 2**12)
    with Server(create_app(tight)) as server:
        for layer in range(2):
            ask(server, "nearest", text=TEXT, layer=layer)
        told = ask(server, "ahead", text=TEXT).json()
        assert told["left"] > 0
        for words in permutations(("red", "ball", "bird", "banana", "dog")):  # texts that nobody has read
            assert ask(server, "ahead", text=" ".join(words)).json()["left"] > 0
        assert tight.memory.nbytes <= tight.memory.budget
        with Gate(tight) as gate:
            for layer in range(2):
                assert ask(server, "nearest", text=TEXT, layer=layer).status_code == 200
            assert gate.steps == 0, "it was forgotten"


@pytest.mark.slow
def test_who_serves_the_public_makes_nothing_unasked(scope: Scope) -> None:
    with Server(create_app(scope, limits=PUBLIC)) as server:
        answer = ask(server, "ahead")
        assert answer.status_code == 403
        assert "before it is asked for" in answer.json()["error"]


def tables_alone(browser: Chromium) -> None:
    """What runs the model beside the tables (other texts, the text without a head) stays unasked."""
    for other in ("standing", "removed"):
        browser.page.route(f"**/{other}", lambda route: None)


MADE = "performance.getEntriesByType('resource').filter((e) => e.name.endsWith('/ahead')).length"  # or given up


@pytest.mark.slow
def test_the_page_has_the_next_layers_made(browser: Chromium, server: Server, gate: Gate) -> None:
    browser.errors.clear()
    tables_alone(browser)
    browser.open(server.address)
    browser.wait(f"{MADE} === 1")
    steps = gate.steps
    assert steps, "nothing was made"
    choose(browser, "layer", 2)
    browser.wait("document.querySelector('#neighbors caption').textContent.includes('layer 2')")
    choose(browser, "view", "atlas")
    browser.wait("document.querySelector('#atlas .found')")
    assert gate.steps == steps
    assert browser.errors == []


@pytest.mark.slow
def test_who_clicks_on_and_on_has_nothing_made(browser: Chromium, server: Server, gate: Gate) -> None:
    tables_alone(browser)
    browser.open(server.address)
    browser.js(
        "[...Array(12).keys()].forEach((n) => setTimeout("
        "() => document.querySelector(`#tokens [data-position='${n % 4}']`).click(), 100 * n)), 0"
    )
    time.sleep(1.2)
    assert browser.js(MADE) == 0
    assert gate.steps == 0, "a layer beside was asked for"
    browser.wait(f"{MADE} === 1")
    assert gate.steps


@pytest.mark.long
def test_a_page_that_nobody_looks_at_has_nothing_made(browser: Chromium, server: Server, gate: Gate) -> None:
    browser.errors.clear()
    tables_alone(browser)
    gate.close(after=1)
    browser.open(server.address)
    assert gate.reached.wait(60)
    browser.js("document.dispatchEvent(new Event('visibilitychange')), 0")
    browser.wait(f"{MADE} === 1")
    assert ended(server, gate)
    browser.page.unroute_all(behavior="ignoreErrors")
    assert browser.errors == []
