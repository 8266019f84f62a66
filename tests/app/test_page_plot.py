"""Plots: drawn by the server's plotly.js in the page's colours, named, and saved as pictures."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from headscope.app.page.page import FILES
from tests.app.browsers import Browser
from tests.app.looks import text

PLOT = """(window.gone = import('/FILES/plot.js').then(({ plot }) => document.querySelector('#title').after(plot({
  id: 'probe', name: 'A line', says: 'It rises.', choose: ({ x }) => { window.chosen = x; },
  draw: (ink) => ({ data: [{ type: KIND, x: [0, 1, 2], y: [0, 1, 2], mode: 'lines+markers', marker: { size: 20 },
    line: { color: ink.accent, width: 6 } }], layout: { xaxis: { title: { text: 'x' } }, yaxis: {} } }),
}))), true)"""


def drawn(page: Browser, kind: str = "scatter", times: int = 1) -> None:
    """Put a plot of a thick line into the page, and wait for it."""
    page.js(PLOT.replace("FILES", FILES).replace("KIND", repr(kind)))
    page.wait(f"document.querySelector('#plot-probe .canvas')?.dataset.drawn === '{times}'", 60)


@pytest.mark.slow
def test_plotly_is_the_servers_own_and_asked_for_again_by_its_mark(client: TestClient) -> None:
    first = client.get("/plotly.js")
    assert first.status_code == 200
    assert "javascript" in first.headers["content-type"]
    assert b"plotly.js v" in first.content[:200]
    again = client.get("/plotly.js", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.slow
@pytest.mark.engines(long=("firefox", "webkit"))
def test_plotly_is_loaded_when_a_plot_is_shown_and_not_before(page: Browser) -> None:
    asked = "performance.getEntriesByType('resource').filter((e) => e.name.endsWith('/plotly.js')).length"
    assert page.js(asked) == 0
    drawn(page)
    assert page.js(asked) == 1


@pytest.fixture
def saved(page: Browser) -> Callable[[str], bytes]:
    """The bytes of the picture that a button of the plot saves."""

    def press(kind: str) -> bytes:
        # plotly makes a blob of its own on the way to a PNG.
        page.js(
            "(window.saved = {}, window.real ??= URL.createObjectURL, URL.createObjectURL = (blob) => {"
            " blob.arrayBuffer().then((b) => { window.saved[blob.type] = [...new Uint8Array(b)]; });"
            " return real.call(URL, blob); }, true)"
        )
        page.click(f"#plot-probe button[aria-label='{kind}: A line']")
        mime = {"SVG": "image/svg+xml", "PNG": "image/png"}[kind]
        page.wait(f"window.saved['{mime}']", 60)
        return bytes(page.js(f"window.saved['{mime}']"))

    return press


@pytest.mark.slow
def test_a_plot_has_a_name_a_sentence_and_a_click(page: Browser) -> None:
    drawn(page)
    assert page.js("document.querySelector('#plot-probe [role=img]').ariaLabel") == "A line. It rises."
    assert text(page, "#plot-probe .says") == "It rises."
    page.click("#plot-probe .points path:nth-of-type(2)")
    page.wait("window.chosen === 1")


@pytest.mark.long
@pytest.mark.engines(long=("firefox", "webkit"))
def test_a_plot_is_saved_for_a_paper(page: Browser, saved: Callable[[str], bytes]) -> None:
    page.js("(document.documentElement.dataset.theme = 'dark')")
    drawn(page)
    svg = saved("SVG").decode()
    root = ElementTree.fromstring(svg)
    assert (root.get("width"), root.get("height")) == ("700", "440")
    assert "rgb(255, 255, 255)" in svg, "white paper, whatever the page's theme"
    assert "rgb(10, 95, 134)" in svg, "the light theme's accent"
    png = saved("PNG")
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (2100, 1320)


@pytest.mark.long
@pytest.mark.engines(long=("firefox", "webkit"))
def test_a_plot_keeps_its_place_and_follows_the_theme(page: Browser) -> None:
    drawn(page)
    line = "getComputedStyle(document.querySelector('#plot-probe .js-line')).stroke"
    page.js("(document.documentElement.dataset.theme = 'light')")
    page.wait(f"{line} === 'rgb(10, 95, 134)'")
    page.js("(document.documentElement.dataset.theme = 'dark')")
    page.wait(f"{line} === 'rgb(124, 198, 236)'")
