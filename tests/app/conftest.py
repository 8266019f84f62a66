from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the page is not installed (extra: app)")

import httpx
import zoo
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from headscope.app.api.limits import Limits
from tests.app.browsers import PATIENCE, Browser, Chromium
from tests.app.gate import Gate
from tests.app.launching import BROWSERS, Missing
from tests.app.serving import Server

HERE = "http://127.0.0.1"


@pytest.fixture(scope="session")
def server(demo: Scope) -> Iterator[Server]:
    """The page of the demo weights, with its first view worked out; it makes what is asked for, and nothing ahead."""
    with Server(create_app(demo, limits=Limits(ahead=False))) as running:
        httpx.post(f"{running.address}/api/v1/nearest", json={"html": True}, timeout=60).raise_for_status()
        yield running


@pytest.fixture(scope="session")
def ask(server: Server) -> Callable[..., Any]:
    """What the server answers about the demo weights."""

    def post(route: str = "nearest", **question: Any) -> Any:
        answer = httpx.post(f"{server.address}/api/v1/{route}", json=question, timeout=60 * PATIENCE)
        while answer.status_code == 409 and "map" in answer.json():  # its libraries are imported for the first map
            answer = httpx.post(f"{server.address}/api/v1/{route}", json=question, timeout=60 * PATIENCE)
        return answer.raise_for_status().json()

    return post


SENTENCES = [
    "Time flies like an arrow.", "Fruit flies like a banana.", "The old man the boat.", "We saw her duck in the park.",
    "Rain fell on the roof all night.", "They are hunting dogs near the river.",
]  # fmt: skip


@pytest.fixture(scope="session")
def few_sentences(demo: Scope, once: Callable[..., Path]) -> Path:
    """A finished survey of the demo weights, of a few sentences; only read."""
    pytest.importorskip("pyarrow", reason="surveys are not installed (extra: survey)")
    from tests.studies.survey.corpora import surveyed, written

    def survey(folder: Path) -> None:
        texts = written(folder / "t.txt", SENTENCES)
        surveyed(demo, texts, folder / "few sentences", references=("input", "layer"))

    return once("survey of the demo weights", survey) / "few sentences"


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A gate in a tiny model, of which nothing is kept on disk."""
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    with Gate(Scope.from_model(*zoo.build("bert"))) as one:
        yield one


@pytest.fixture
def client(demo: Scope) -> Iterator[TestClient]:
    """A client of a server of its own, which has read nothing yet but the first view."""
    with TestClient(create_app(demo), base_url=HERE) as one:
        yield one


@pytest.fixture(scope="session")
def reader(demo: Scope) -> Iterator[TestClient]:
    """A client of one server for all tests of what it answers, whatever it has read before."""
    with TestClient(create_app(demo), base_url=HERE) as one:
        yield one


Kept = dict[str, tuple[Browser, ExitStack]]


@pytest.fixture(scope="session")
def kept() -> Iterator[Kept]:
    """The browsers that are open, by name."""
    opened: Kept = {}
    yield opened
    for _, stack in opened.values():
        stack.close()


@pytest.fixture(scope="module", autouse=True)
def no_webkit_left(kept: Kept) -> Iterator[None]:
    """WebKit is closed after a file: on an empty page, too, it goes on painting, and takes a third of a core."""
    yield
    if "webkit" in kept:
        kept.pop("webkit")[1].close()


@pytest.fixture(scope="session")
def engine_of(kept: Kept) -> Callable[[str], Browser]:
    """A browser by its name, opened when it is first asked for and kept.

    One that has died under a test is opened anew for the next: that test has failed, and it alone.
    """

    def kept_one(name: str) -> Browser:
        if name in kept and not kept[name][0].alive():
            with suppress(Exception):  # a dead browser says so once more when it is closed
                kept.pop(name)[1].close()
        if name not in kept:
            stack = ExitStack()
            try:
                browser: Browser = stack.enter_context(BROWSERS[name]())
            except Missing as missing:
                if os.environ.get("HEADSCOPE_REQUIRE_BROWSERS") == "1":
                    pytest.fail(f"HEADSCOPE_REQUIRE_BROWSERS is set, and there is {missing}")
                pytest.skip(str(missing))
            kept[name] = browser, stack
        return kept[name][0]

    return kept_one


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of the page runs in Chromium; one marked `engines`, in every engine, or in those that it names.

    In those that it calls slow or long, it is marked so.
    """
    if "browser" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("engines")
        engines = ["chromium"] if mark is None else sorted(mark.args or BROWSERS)
        dear = {} if mark is None else mark.kwargs  # kind: engines
        named = [
            pytest.param(name, marks=[getattr(pytest.mark, kind) for kind in dear if name in dear[kind]])
            for name in engines
        ]
        metafunc.parametrize("browser", named, indirect=True)


@pytest.fixture
def browser(request: pytest.FixtureRequest, engine_of: Callable[[str], Browser]) -> Iterator[Browser]:
    """A browser engine, with a page of 1440 × 900 pixels; left when the test ends: a page goes on asking its server."""
    one = engine_of(request.param)
    one.resize(1440, 900)
    one.errors.clear()  # of a page before, whose server ended
    yield one
    leave(one)


def leave(one: Browser) -> None:
    """Show nothing: what a page goes on doing would slow the tests that follow."""
    try:
        one.open("about:blank")
    except RuntimeError:  # Firefox tells of a frame that is refused meanwhile as if this page were
        one.open("about:blank")


@pytest.fixture
def fresh(browser: Chromium) -> Iterator[Callable[..., Chromium]]:
    """A fresh Chromium context with settings of its own, closed when the test ends."""
    engine = browser.page.context.browser
    with ExitStack() as contexts:

        def opened(**settings: Any) -> Chromium:
            context = engine.new_context(**settings)
            contexts.callback(context.close)
            return Chromium(context.new_page())

        yield opened


@pytest.fixture
def browsers(engine_of: Callable[[str], Browser]) -> Iterator[dict[str, Browser]]:
    """Every browser engine, by its name."""
    all_of_them = {name: engine_of(name) for name in sorted(BROWSERS)}
    yield all_of_them
    for one in all_of_them.values():
        leave(one)


@pytest.fixture
def start() -> str:
    """Where the page is opened: at its first view."""
    return "/"


@pytest.fixture
def page(browser: Browser, server: Server, start: str) -> Iterator[Browser]:
    """The page in a browser, at its start; nothing may have gone wrong in it by the end."""
    browser.errors.clear()
    browser.open(f"{server.address}{start}")
    browser.wait("document.readyState === 'complete' && document.querySelector('#neighbors td, #plot-map')")
    yield browser
    browser.js(
        "(() => { try { localStorage.clear(); } catch { /* another page */ } })()"
    )  # what a test chose is its own
    if isinstance(browser, Chromium):  # what a test held back holds up no other
        browser.page.unroute_all(behavior="ignoreErrors")
    assert browser.errors == []
    hosts = browser.js(
        "[...new Set(performance.getEntriesByType('resource').map((entry) => new URL(entry.name).origin))]"
    )
    assert set(hosts) <= {server.address}, "the page asked another host"
