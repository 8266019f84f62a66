"""The view Map: one head's space, drawn as the API tells it, searched, seen closer, and with other texts in it."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.app import pixels
from tests.app.browsers import Browser
from tests.app.launching import BROWSERS
from tests.app.looks import choose, text, write
from tests.app.serving import Server

pytest.importorskip("openTSNE", reason="maps are not installed (extra: maps)")

SIZE = 600  # fewer than a user is offered, so that a drawing takes less time
VIEW = f"view=map&layer=3&head=5&reference=layer&method=pca&size={SIZE}"
QUESTION = {"layer": 3, "head": 5, "reference": "layer", "method": "pca", "size": SIZE}
OTHER = "A river bank is not a money bank."
LABELS = "document.querySelectorAll('#plot-map .textpoint text').length"


@pytest.fixture
def ask(server: Server) -> Callable[..., Any]:
    """A map as the API tells it, with its points [x, y]."""

    def made(**question: Any) -> Any:
        answer = httpx.post(f"{server.address}/api/v1/map", json=QUESTION | question, timeout=60)
        while answer.status_code == 409:
            answer = httpx.post(f"{server.address}/api/v1/map", json=QUESTION | question, timeout=60)
        told = answer.raise_for_status().json()
        body = httpx.get(f"{server.address}/api/v1/map/{told['key']}/points").content
        numbers = struct.unpack(f"<{len(body) // 4}f", body)
        return told | {"points": list(zip(numbers[::2], numbers[1::2], strict=True))}

    return made


def opened(page: Browser, server: Server, view: str = VIEW) -> None:
    """The map, once it and its labels are there."""
    page.open(f"{server.address}/?{view}")
    settled(page)


def settled(page: Browser) -> None:
    """Wait for the map and its labels."""
    page.wait("document.querySelector('#plot-map .canvas')", 60)
    page.into_view("#plot-map .canvas")
    page.wait(f"document.querySelector('#plot-map .canvas')?.dataset.drawn && {LABELS} > 20", 60)


@pytest.fixture
def start(request: pytest.FixtureRequest, ask: Callable[..., Any]) -> str:
    if "map_page" not in request.fixturenames:
        return "/"
    ask()  # so that the page need not ask twice: a 409 is an error on the browser's console
    return f"/?{VIEW}"


@pytest.fixture
def map_page(page: Browser) -> Browser:
    settled(page)
    return page


def press(page: Browser, name: str) -> None:
    """Press one of the buttons above the map."""
    page.js(f"[...document.querySelectorAll('#map .find button')].find((e) => e.textContent === '{name}').click()")


def as_js(value: Any) -> str:
    """What JSON.stringify makes of a value, as a string of JavaScript."""
    return json.dumps(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def theme(page: Browser, name: str) -> None:
    """One of the themes, with the map drawn in it."""
    page.js(f"(document.documentElement.dataset.theme = '{name}')")
    red, green, blue = pixels.ink(page, "ink")
    legend = "getComputedStyle(document.querySelector('#plot-map .legendtext')).fill"
    page.wait(f"{legend} === 'rgb({red}, {green}, {blue})'", 30)


def outputs(told: Any) -> list[tuple[float, float]]:
    """Where the outputs of the last text lie."""
    found: list[tuple[float, float]] = told["points"][-len(told["texts"][-1]["tokens"]) :]
    return found


def traces(page: Browser, name: str) -> list[list[float]]:
    """What plotly was given under a name in the legend: [x, y] of each point."""
    found: list[list[float]] = page.js(
        f"((t) => Array.from(t.x, (x, n) => [x, t.y[n]]))(document.querySelector('#plot-map .canvas').data"
        f".find(({{name}}) => name === {json.dumps(name)}))"
    )
    return found


@pytest.mark.slow
def test_the_map_is_the_apis(map_page: Browser, ask: Callable[..., Any]) -> None:
    told = ask()
    groups = (
        ("vocabulary: of the text", "text"),
        ("vocabulary: near an output", "near"),
        ("vocabulary: random", "random"),
    )
    drawn = [point for name, _ in groups for point in traces(map_page, name)]
    drawn += [point for name in ("values v", "outputs z") for point in traces(map_page, name)]
    assert drawn == [list(point) for point in told["points"]]
    assert [len(traces(map_page, name)) for name, _ in groups] == [told["sample"][group] for _, group in groups]
    shown = text(map_page, "#map")
    assert all(fact in shown for fact in told["facts"])
    assert all(note in text(map_page, "#notes") for note in told["notes"])
    assert "Do not read nearness off this picture" in text(map_page, "#notes")
    first, second = (f"{100 * share:.1f} % of the variance" for share in told["explained"])
    assert first in text(map_page, "#plot-map .xtitle")
    assert second in text(map_page, "#plot-map .ytitle")


@pytest.mark.long
def test_its_points_are_drawn_in_light_and_dark(map_page: Browser, ask: Callable[..., Any]) -> None:
    told, drawn = ask(), {}
    xs, ys = zip(*outputs(told), strict=True)
    for name in ("light", "dark"):
        theme(map_page, name)
        shot = pixels.shot(map_page, "map")
        for x, y in pixels.places(map_page, "map", xs, ys):
            assert shot.near(x, y, pixels.ink(map_page, "own")), f"the output at {x}, {y} is not drawn ({name})"
        assert shot.share(pixels.ink(map_page, "accent"), 60) > 0.0005, "what is near an output"
        assert shot.share(pixels.ink(map_page, "text"), 60) > 0.0003, "the text's own tokens"
        drawn[name] = shot.drawn()
        assert 0.01 < drawn[name].mean() < 0.4
    assert pixels.alike(drawn["light"], drawn["dark"]) > 0.95


@pytest.mark.long
def test_it_looks_alike_in_every_browser(browsers: dict[str, Browser], server: Server) -> None:
    drawn = {}
    for name, page in browsers.items():
        page.resize(1440, 900)
        opened(page, server)
        theme(page, "light")
        # Each browser has its own font, and with it other labels and legends, and scrollbars: the points are compared.
        page.js(
            "((canvas) => Plotly.update(canvas, {visible: false}, {showlegend: false, width: 900},"
            " [canvas.data.length - 1]).then(() => true))(document.querySelector('#plot-map .canvas'))"
        )
        page.wait(f"{LABELS} === 0")
        drawn[name] = pixels.shot(page, "map").drawn()
    for name in ("firefox", "webkit"):
        assert pixels.alike(drawn["chromium"], drawn[name]) > 0.95, name


@pytest.mark.long
@pytest.mark.engines(long=("firefox", "webkit"))
def test_it_needs_no_webgl(page: Browser, ask: Callable[..., Any]) -> None:
    told = ask()
    page.js(
        "(() => { const of = HTMLCanvasElement.prototype, real = of.getContext; of.getContext ="
        " function (kind, ...rest) { return /webgl/.test(kind) ? null : real.call(this, kind, ...rest); };"
        " return true; })()"
    )
    page.js("history.pushState(null, '', '/?" + VIEW + "'), dispatchEvent(new PopStateEvent('popstate'))")
    page.wait("document.querySelector('#plot-map')", 60)
    shot = pixels.shot(page, "map")
    xs, ys = zip(*outputs(told), strict=True)
    for x, y in pixels.places(page, "map", xs, ys):
        assert shot.near(x, y, pixels.ink(page, "own"))
    assert page.js("document.querySelectorAll('#plot-map canvas').length") == 0


def boxes(page: Browser) -> list[list[float]]:
    """Where the labels are, [left, top, right, bottom]."""
    found: list[list[float]] = page.js(
        "[...document.querySelectorAll('#plot-map .textpoint text')].map((e) => e.getBoundingClientRect())"
        ".map((r) => [r.left, r.top, r.right, r.bottom])"
    )
    return found


def collide(page: Browser) -> list[tuple[list[float], list[float]]]:
    """Labels that cover each other; the box of a line is a few pixels higher than what is drawn in it."""
    found = boxes(page)
    return [
        (one, other)
        for n, one in enumerate(found)
        for other in found[n + 1 :]
        if min(one[2], other[2]) - max(one[0], other[0]) > 2 and min(one[3], other[3]) - max(one[1], other[1]) > 4
    ]


@pytest.mark.long
@pytest.mark.parametrize("width", [1440, pytest.param(390, marks=pytest.mark.slow)])
def test_labels_do_not_collide_and_a_closer_look_has_others(
    page: Browser, server: Server, ask: Callable[..., Any], width: int
) -> None:
    ask()
    page.resize(width, 900)
    opened(page, server)
    assert collide(page) == []
    assert page.js("document.documentElement.scrollWidth <= innerWidth")
    every = "[...document.querySelectorAll('#plot-map .textpoint text')].map((e) => e.textContent)"
    first = page.js(every)
    for _ in range(2):
        seen = page.js(every)
        press(page, "Zoom in")
        page.wait(f"JSON.stringify({every}) !== {as_js(seen)}")
    assert set(page.js(every)) - set(first), "what had no room has it now"
    assert collide(page) == []
    press(page, "Show all")
    # As wide as before, but for a pixel: nearly the same labels.
    page.wait(f"{json.dumps(first)}.filter((one) => {every}.includes(one)).length > {0.8 * len(first)}")


@pytest.mark.long
def test_a_token_is_found(map_page: Browser, ask: Callable[..., Any]) -> None:
    told = ask()
    map_page.click("#map-find")
    map_page.press("Banana")
    expected = [label.removeprefix("##") for label in told["labels"]].count("banana") + 2  # its value and its output
    map_page.wait(f"document.querySelector('#map .find output').textContent === '{expected} in the map'")
    ring = "document.querySelector('#plot-map .canvas')?.data?.at(-2)?.x.length"
    map_page.wait(f"{ring} === {expected}")
    xs, ys = zip(told["points"][told["labels"].index("banana")], strict=True)
    ((x, y),) = pixels.places(map_page, "map", xs, ys)
    shot = pixels.shot(map_page, "map")
    ink = pixels.ink(map_page, "ink")
    assert any(shot.near(x + dx, y + dy, ink) for dx, dy in ((9, 0), (-9, 0), (0, 9), (0, -9)))


@pytest.mark.slow
def test_a_new_text_is_placed_into_the_map(map_page: Browser, server: Server, ask: Callable[..., Any]) -> None:
    ground = ask()
    both = ask(text=OTHER, into=ground["texts"][0]["text"])
    alone = ask(text=OTHER)
    write(map_page, OTHER)
    map_page.press("Enter")
    map_page.wait("document.querySelector('#map [data-go]')", 60)
    map_page.wait(
        "document.querySelector('#plot-map .canvas')?.data?.some(({name}) => name === 'outputs z of the new text')", 60
    )
    assert traces(map_page, "outputs z of the new text") == [list(point) for point in outputs(both)]
    assert traces(map_page, "outputs z of the map’s text") == [list(point) for point in outputs(ground)]
    assert "into=Time" in map_page.js("location.search")
    map_page.go(0)
    map_page.wait("document.querySelector('#map [data-go]')", 60)
    map_page.click("#map [data-go]")
    map_page.wait("!document.querySelector('#map [data-go]') && document.querySelector('#plot-map .canvas')", 60)
    map_page.into_view("#plot-map .canvas")  # it is drawn when it is in sight
    map_page.wait(
        "document.querySelector('#plot-map .canvas')?.data?.find(({name}) => name === 'outputs z')?.x[1] ==="
        f" {json.dumps(outputs(alone)[1][0])}",
        60,
    )
    assert "into" not in map_page.js("location.search")


@pytest.mark.long
def test_another_token_and_another_head_are_shown(map_page: Browser, ask: Callable[..., Any]) -> None:
    # While a map is painted anew its plot is not in the page for a moment.
    line = "Array.from(document.querySelector('#plot-map .canvas')?.data?.at(-3)?.x ?? [])"
    map_page.click("#tokens [data-position='11']")
    told = ask()
    values = told["points"][-2 * len(told["texts"][0]["tokens"]) :]
    map_page.wait(f"JSON.stringify({line}) === {as_js([values[11][0], outputs(told)[11][0]])}")
    ask(head=2)
    choose(map_page, "head", 2)
    map_page.wait("document.querySelector('#title').textContent.includes('head 2')", 60)
    assert (
        map_page.js("[...document.querySelectorAll('#controls input:disabled')].map((e) => e.value)").count("dot") == 1
    )


def put(page: Browser, name: str, value: str) -> None:
    """Write a number into one of the map's fields, as a reader does."""
    page.click(f"#controls [name={name}]")
    page.js(f"document.querySelector('#controls [name={name}]').select()")
    page.press(value or "Delete", "Enter")


@pytest.mark.long
def test_size_position_seed_and_perplexity_are_controls(
    map_page: Browser, server: Server, ask: Callable[..., Any]
) -> None:
    names = ("size", "map_k", "map_at", "seed", "perplexity")
    fields = [f"document.querySelector('#controls [name={name}]')" for name in names]
    assert [map_page.js(f"{field}.value") for field in fields] == [str(SIZE), "10", "", "0", "30"]
    assert [map_page.js(f"{field}.labels[0].textContent.trim()") for field in fields] == [
        "Tokens", "Near an output", "Position", "Seed", "Perplexity",
    ]  # fmt: skip
    assert map_page.js(f"{fields[4]}.disabled"), "PCA has no perplexity"
    question = {"size": 120, "k": 2, "at": 3, "seed": 7}
    for n in range(1, len(question) + 1):  # so that the page need not ask twice
        ask(**dict(list(question.items())[:n]))
    for name, value in (("size", "120"), ("map_k", "2"), ("map_at", "3"), ("seed", "7")):
        put(map_page, name, value)
        map_page.wait(f"location.search.includes('{name}={value}')")
    told = ask(**question)
    canvas = "document.querySelector('#plot-map .canvas')"
    facts = f"document.querySelector('#map').textContent.includes({json.dumps(told['facts'][0])})"
    map_page.wait(f"{facts} && {canvas}", 60)
    map_page.into_view("#plot-map .canvas")
    drawn = f"{canvas}?.data?.find(({{name}}) => name === 'outputs z')?.x"
    map_page.wait(f"JSON.stringify(Array.from({drawn} ?? [])) === {as_js([x for x, _ in outputs(told)])}", 60)
    # The address is the view, and so are the lines of Python.
    map_page.go(0)
    map_page.wait("document.querySelector('#plot-map')", 60)
    assert [map_page.js(f"{field}.value") for field in fields] == ["120", "2", "3", "7", "30"]
    program = httpx.get(f"{server.address}/api/v1/take/reading.py{map_page.js('location.search')}").text
    assert "at=3, size=120, seed=7, k=2)" in program


@pytest.mark.long
def test_a_number_that_no_map_has_is_not_taken(map_page: Browser) -> None:
    before = map_page.js("location.search")
    for name, value in (("size", "7"), ("size", "999999"), ("seed", "-1")):
        put(map_page, name, value)
        assert map_page.js(f"document.querySelector('[name={name}]').matches(':invalid')")
        assert map_page.js("location.search") == before
    put(map_page, "size", str(SIZE))
    put(map_page, "map_at", "")
    assert map_page.js("location.search") == before
    # A space that no position moves has no place to stand at.
    choose(map_page, "space", "embedding")
    map_page.wait("document.querySelector('[name=map_at]').disabled")


@pytest.mark.slow
def test_how_far_outputs_are_from_values_stands_in_a_table(map_page: Browser, ask: Callable[..., Any]) -> None:
    map_page.js("(document.querySelector('#plot-map details').open = true)")
    map_page.wait("document.querySelector('#plot-map td')")
    shown = map_page.js("[...document.querySelectorAll('#plot-map td:last-child')].map((e) => Number(e.textContent))")
    assert shown == pytest.approx(ask()["texts"][0]["moved"], abs=6e-4)


@pytest.mark.long
def test_tsne_shows_how_far_it_is_and_can_be_stopped(
    browser: Browser, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = 6 + sorted(BROWSERS).index(browser.name)  # one that no browser before has made
    monkeypatch.setattr("headscope.reading.map.layouts.ITERATIONS", (250, 100_000))
    browser.open(f"{server.address}/?view=map&layer=4&head={head}&reference=layer")
    browser.wait("document.querySelector('#making:not([hidden]) progress')?.value > 0", 60)
    assert browser.js("document.querySelector('#making progress').max") == 100_250
    assert "t-SNE lays the map out" in text(browser, "#making")
    browser.click("#making button")
    browser.wait("document.querySelector('#making button')?.textContent === 'Go on'", 30)
    assert "Stopped; the map is not there." in text(browser, "#making")
    monkeypatch.setattr("headscope.reading.map.layouts.ITERATIONS", (20, 20))
    browser.click("#making button")
    browser.wait("document.querySelector('#making').hidden && document.querySelector('#plot-map')", 120)
    assert "t-SNE (perplexity 30, seed 0)" in text(browser, "#map")
