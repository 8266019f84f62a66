"""Living files in a browser: opened from disk, with nothing but themselves."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import pytest

from headscope import Scope
from headscope.question import defaults
from tests.app.browsers import Browser, Chromium

HOSTILE = (
    "a </script><script>window.hit = 1</script> <img src=x onerror='window.hit = 2'> \u2028 \u202eabc שלום & \" ' ]]> b"
)
NAMES = ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink")  # of XML: nobody fetches them


def drawn(browser: Browser, at: str) -> None:
    """Wait until the file shows token.layer.head."""
    browser.wait(f"document.querySelector('#parts')?.dataset.shown === '{at}'")


def labels(browser: Browser, head: int = 0) -> list[str]:
    """The nearest tokens of a head as they are shown."""
    cells = f"#neighbors tbody td:nth-child({head + 2})"
    found: list[str] = browser.js(f"[...document.querySelectorAll('{cells}')].map((cell) => cell.dataset.label)")
    return found


@pytest.fixture(scope="module")
def file(demo: Scope, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The view of the heads of the sentence that the page begins with."""
    return demo.read(defaults.TEXT).show().save(tmp_path_factory.mktemp("living") / "x.html")


@pytest.mark.slow
@pytest.mark.engines(slow=("firefox", "webkit"))
def test_layer_head_and_token_switch_without_a_request(browser: Browser, file: Path, demo: Scope) -> None:
    reading = demo.read(defaults.TEXT)

    def nearest(token: int, layer: int) -> list[str]:
        found = reading.nearest(token, layer)
        return [found.names[id].label for id in found.ids[1].tolist()]

    whole = functools.reduce(lambda left, name: left.replace(name, ""), NAMES, file.read_text("utf-8"))
    assert "://" not in whole
    browser.open(file.as_uri())
    drawn(browser, "1.0.")
    assert labels(browser, 1) == nearest(1, 0)
    browser.click("[name=layer][value='4']")
    drawn(browser, "1.4.")
    assert labels(browser, 1) == nearest(1, 4)
    browser.click("[data-position='11'].token")
    drawn(browser, "11.4.")
    assert labels(browser, 1) == nearest(11, 4)
    assert "11 banana" in browser.js("document.querySelector('#title').textContent")
    browser.click("[data-choose='3']")
    drawn(browser, "11.4.3")
    assert browser.js("document.querySelectorAll('#neighbors td.chosen').length") > 10
    assert browser.js("document.querySelector('[name=head]:checked').value") == "3"
    browser.hover("#positions tbody tr:nth-child(2) td:nth-child(3)")
    browser.wait("document.querySelector('#readout strong')")
    assert browser.js("document.querySelectorAll('#positions td.marked').length") > 1
    assert browser.js("performance.getEntriesByType('resource').length") == 0
    assert not browser.errors


@pytest.mark.slow
def test_at_1440_pixels_no_word_runs_into_its_number(browser: Browser, file: Path) -> None:
    browser.open(file.as_uri())
    browser.click("[data-position='11'].token")
    drawn(browser, "11.0.")
    run_in = (
        "[...document.querySelectorAll('#parts tbody td')].filter((cell) => cell.querySelector('.hs-num')"
        " && cell.querySelector('.hs-label').getBoundingClientRect().right"
        " > cell.querySelector('.hs-num').getBoundingClientRect().left).map((cell) => cell.textContent)"
    )
    assert browser.js("document.querySelectorAll('#parts tbody td .hs-num').length") > 300
    assert browser.js(run_in) == []


@pytest.mark.slow
def test_it_is_reached_with_the_keyboard(browser: Browser, file: Path) -> None:
    browser.open(file.as_uri())
    drawn(browser, "1.0.")
    browser.js("document.querySelector('.token[aria-pressed=true]').focus()")
    browser.press("ArrowRight")
    drawn(browser, "2.0.")
    browser.js("document.querySelector('[name=layer]:checked').focus()")
    browser.press("ArrowRight")
    drawn(browser, "2.1.")
    browser.js("document.querySelector('[data-choose=\"2\"]').focus()")
    browser.press("Enter")
    drawn(browser, "2.1.2")
    assert browser.js("document.activeElement.dataset.choose") == "2"


@pytest.mark.long
def test_without_a_script_the_tables_are_there(fresh: Callable[..., Chromium], file: Path) -> None:
    page = fresh(java_script_enabled=False)
    page.open(file.as_uri())
    assert page.page.locator("table").count() == 2
    assert "banana" in page.page.locator("#parts").inner_text()
    assert "all 14 tokens in all 6 layers" in page.page.locator(".facts").inner_text()


@pytest.mark.slow(cases=2)
@pytest.mark.parametrize("view", ["atlas", "attention", "written", "journey", "layers"])
def test_every_view_is_alive(browser: Browser, demo: Scope, tmp_path: Path, view: str) -> None:
    browser.open(demo.read("A fox sleeps.").show(view, token=1, layer=1).save(tmp_path / f"{view}.html").as_uri())
    browser.wait("document.querySelector('#parts').dataset.shown")
    kinds = browser.js("[...document.querySelectorAll('#moves :is(input, .token)')].map((one) => one.name || 'token')")
    offers = {
        "atlas": {"token", "head"},
        "attention": {"token", "layer", "head"},
        "written": {"layer", "head"},
        "journey": {"token"},
        "layers": {"token", "head"},
    }
    assert set(kinds) == offers[view]
    if "layer" in kinds:
        browser.click("[name=layer][value='2']")
    else:
        browser.click(".token[data-position='2']")
    browser.wait("/^(2\\.|1\\.2)/.test(document.querySelector('#parts').dataset.shown)")
    assert browser.js("document.querySelectorAll('#parts td').length") > 20
    assert not browser.errors


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("view", ["journey", "map"])
def test_plots_are_drawn_by_the_library_that_the_file_brings(
    browser: Browser, demo: Scope, tmp_path: Path, view: str
) -> None:
    pytest.importorskip("plotly", reason="plots need plotly (extra: app)")
    reading, file = demo.read("A fox sleeps."), tmp_path / "plots.html"
    if view == "map":
        reading.map(1, 2, method="pca", size=120).save(file)
    else:
        reading.show(view).save(file)
    browser.open(file.as_uri())
    browser.wait("document.querySelector('.canvas[data-drawn]')")
    if view == "journey":
        browser.wait("document.querySelector('#plot-own-rank .canvas').textContent.includes('a (1)')")
        browser.click(".token[data-position='2']")
        browser.wait("document.querySelector('#plot-own-rank .canvas').textContent.includes('fox (2)')")
    assert browser.js("document.querySelectorAll('#drawn').length") == 0, "the still drawing has made way"
    assert browser.js("performance.getEntriesByType('resource').length") == 0
    assert not browser.errors


@pytest.mark.slow
def test_a_cell_of_the_atlas_chooses_its_layer_and_head(browser: Browser, demo: Scope, tmp_path: Path) -> None:
    browser.open(demo.read("A fox sleeps.").show("atlas").save(tmp_path / "atlas.html").as_uri())
    drawn(browser, "1.0.")
    browser.click("#atlas tbody tr:nth-child(3) td:nth-child(6)")
    drawn(browser, "1.2.4")


@pytest.mark.slow
def test_hostile_texts_are_shown_and_do_nothing(browser: Browser, demo: Scope, tmp_path: Path) -> None:
    reading = demo.read(HOSTILE)
    browser.open(reading.show("attention").save(tmp_path / "hostile.html").as_uri())
    browser.wait("document.querySelector('#parts').dataset.shown")
    browser.click("[name=layer][value='2']")
    drawn(browser, "1.2.")
    assert browser.js("window.hit ?? null") is None
    assert browser.js("document.querySelectorAll('img, iframe').length") == 0
    assert "</script>" in browser.js("document.querySelector('blockquote').textContent")
    assert not browser.errors


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server of a folder that sends a strict policy of its own, as a host of files may."""
    folder = tmp_path_factory.mktemp("host")

    class Strict(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def end_headers(self) -> None:
            self.send_header("Content-Security-Policy", "default-src 'self'; style-src 'self' 'unsafe-inline'")
            super().end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Strict) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", folder
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_where_a_host_lets_no_script_run_the_tables_stand(
    fresh: Callable[..., Chromium], file: Path, elsewhere: tuple[str, Path]
) -> None:
    address, folder = elsewhere
    (folder / "x.html").write_bytes(file.read_bytes())
    browser = fresh()
    browser.open(f"{address}/x.html")
    assert browser.js("document.querySelectorAll('table').length") == 2
    assert "banana" in browser.js("document.querySelector('#parts').innerText")


@pytest.mark.slow
def test_in_a_notebook_it_lives_in_a_frame_of_its_own(browser: Chromium, demo: Scope, tmp_path: Path) -> None:
    view = demo.read("A fox sleeps.").show(token="fox")
    output = view._repr_html_()
    start = output.index("<iframe")
    assert 'sandbox="allow-scripts"' in output[start : output.index(">", start)]
    assert output.count("<iframe") == output.count("<details") == 1
    assert "<script" not in output  # but inside of the frame's source
    saved = tmp_path / "notebook.html"
    saved.write_text(f"<!doctype html><meta charset=utf-8><title>{escape('A notebook')}</title>{output}", "utf-8")
    browser.open(saved.as_uri())
    frame = browser.page.frame_locator("iframe")
    frame.locator("#parts[data-shown='2.0.']").wait_for()
    frame.locator(".token[data-position='1']").click()
    frame.locator("#parts[data-shown='1.0.']").wait_for()
    frame.locator("[name=layer][value='3']").check()
    frame.locator("#parts[data-shown='1.3.']").wait_for()
    assert browser.js("performance.getEntriesByType('resource').length") == 0
    browser.click("summary")
    assert "fox" in browser.js("document.querySelector('details').innerText")
    assert str(view).count("fox") > 2
    assert not browser.errors
