"""Texts at the model's limit, wide and deep models, slow networks, a second tab, paper, large type, any eye."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import zoo
from transformers import BertConfig, BertModel

from headscope import Scope
from headscope.app import create_app
from headscope.show.modules import RENDERERS
from tests.app.browsers import Browser, Chromium
from tests.app.looks import GRID, VERDICT_STANDS, choose, chosen, shows, text
from tests.app.serving import Server

Ask = Callable[..., Any]
# What a dichromat sees, on linear RGB (Machado, Oliveira and Fernandes 2009, severity 1).
DICHROMATS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def random_model(layers: int, heads: int) -> Scope:
    """Of a small vocabulary: what the page has to hold are layers and heads."""
    torch.manual_seed(0)
    tokenizer = zoo.wordpiece()
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=8 * heads,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=8 * heads,
    )
    return Scope.from_model(BertModel(config), tokenizer)


@pytest.fixture(scope="module")
def deep(request: pytest.FixtureRequest) -> Iterator[tuple[str, int, int]]:
    """The address of a deep and wide model's page, with its layers and heads."""
    layers, heads = request.param
    with Server(create_app(random_model(layers, heads))) as running:
        yield running.address, layers, heads


@pytest.mark.long
@pytest.mark.parametrize("deep", [(32, 32)], indirect=True)
def test_deep_and_wide_models_keep_their_shape(browser: Browser, deep: tuple[str, int, int]) -> None:
    address, layers, heads = deep
    browser.open(address)
    browser.wait(f"document.querySelectorAll('#neighbors tbody td').length === {15 * heads}", 60)
    assert browser.js("document.documentElement.scrollWidth <= innerWidth")
    assert browser.js("document.querySelector('[name=layer]').max") == str(layers - 1)
    browser.wait(VERDICT_STANDS, 60)
    # The last column can be reached, and the first stays.
    browser.js("document.querySelector('#neighbors .scroll').scrollLeft = 1e6")
    if browser.js("Boolean(document.querySelector('#neighbors .pages'))"):
        browser.click("#neighbors .pages button:last-child")
    browser.click(f"#neighbors [data-choose='{heads - 1}']")
    browser.wait(f"document.querySelector('#neighbors .head[aria-pressed=true]')?.dataset.choose === '{heads - 1}'")
    browser.js("document.querySelector('[name=layer]').focus()")
    browser.press("End")
    choose(browser, "view", "atlas")
    browser.wait("document.querySelector('#atlas .found')", 120)
    assert browser.js(f"document.querySelectorAll('{GRID} tbody td').length") == layers * heads
    assert browser.js("document.documentElement.scrollWidth <= innerWidth")
    assert browser.js(f"document.querySelectorAll('{GRID} button.chosen').length") == 1


@pytest.mark.long
def test_a_text_at_the_models_limit(page: Browser, ask: Ask) -> None:
    words = "time and tide wait for no man " * 72  # 504 tokens
    page.js(f"(document.querySelector('#text').value = {words!r})")
    page.click("#ask button")
    page.wait("document.querySelectorAll('#tokens button').length === 506", 60)
    assert page.js("document.documentElement.scrollWidth <= innerWidth")
    assert page.js("document.querySelector('#bar').offsetHeight") < 160, "the text leaves room for the tables"
    page.click("#tokens [data-position='480']")
    page.wait("document.querySelector('#title').textContent.includes('(position 480)')", 30)
    # The selected token is in sight among the others.
    top, low, one = page.js(
        "[...['top', 'bottom'].map((edge) => document.querySelector('#tokens').getBoundingClientRect()[edge]),"
        " document.querySelector('#tokens [aria-pressed=true]').getBoundingClientRect().top]"
    )
    assert top - 1 <= one < low


@pytest.mark.long
def test_on_a_slow_network_an_overtaken_request_is_given_up(page: Chromium, ask: Ask) -> None:
    held: list[Any] = []
    failed: list[str] = []

    def note(request: Any) -> None:  # what is asked beside the tables is given up, too
        if request.url.endswith("/nearest"):
            failed.append(request.url)

    page.page.on("requestfailed", note)
    page.page.route("**/nearest", lambda route: held.append(route))
    for layer in (1, 2, 3):
        choose(page, "layer", layer)
    page.wait("document.querySelector('[data-busy]')")
    while len(held) < 3:
        page.js("1")
    held[2].continue_()
    shows(page, ask(layer=3))
    assert len(failed) == 2


@pytest.mark.long
def test_a_second_tab_has_a_view_of_its_own(page: Chromium, server: Server, ask: Ask) -> None:
    other = Chromium(page.page.context.new_page())
    other.open(f"{server.address}/?layer=4&token=5")
    choose(page, "layer", 2)
    shows(page, ask(layer=2))
    shows(other, ask(layer=4, token=5))
    choose(other, "metric", "dot")
    shows(other, ask(layer=4, token=5, metric="dot"))
    assert chosen(page)["metric"] == "cosine"
    other.page.close()


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("view", ["", "view=atlas&word=banana", "view=attention&head=3"])
def test_it_prints_what_is_shown_and_nothing_that_can_be_pressed(
    page: Chromium, server: Server, view: str, tmp_path: Path
) -> None:
    page.open(f"{server.address}/?{view}")
    page.wait("document.querySelector('#view .figure td')")
    page.page.emulate_media(media="print")
    for gone in ("#side", "nav", ".readout", "#ask .primary", "#fold"):
        assert not page.js(f"document.querySelector('{gone}').checkVisibility()"), gone
    for shown in ("#text", "#tokens", "#title", "#view .figure table"):
        assert page.js(f"document.querySelector('{shown}').checkVisibility()"), shown
    assert page.js("[...document.querySelectorAll('.scroll')].every((e) => getComputedStyle(e).overflow === 'visible')")
    assert page.js("getComputedStyle(document.querySelector('#bar')).position") == "static"
    page.page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)
    pages = len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "page.pdf").read_bytes()))
    assert 1 <= pages <= 6
    page.page.emulate_media(media="screen")


@pytest.mark.slow
def test_with_reduced_motion_nothing_moves(page: Chromium) -> None:
    page.page.emulate_media(reduced_motion="reduce")
    moving = "[...document.querySelectorAll('*')].filter((e) => { const s = getComputedStyle(e);"
    moving += " return s.animationName !== 'none' || parseFloat(s.transitionDuration) > 0; }).length"
    page.js("document.querySelector('#view').toggleAttribute('data-busy', true)")
    assert page.js(moving) == 0
    page.page.emulate_media(reduced_motion="no-preference")


@pytest.mark.long
def test_at_twice_the_size_everything_is_still_there(page: Browser, ask: Ask) -> None:
    page.resize(720, 450)  # 1440 × 900 at 200 %
    assert page.js("document.documentElement.scrollWidth <= innerWidth")
    page.wait("document.querySelector('#fold').getAttribute('aria-expanded') === 'false'")
    choose(page, "layer", 2)
    choose(page, "reference", "input")
    shows(page, ask(layer=2, reference="input"))
    for sheet in ("take", "keys", "models"):
        page.click(f"[popovertarget={sheet}]")
        page.wait(f"document.querySelector('#{sheet}').matches(':popover-open')")
        right, bottom = page.js(
            f"(({{right, bottom}}) => [right, bottom])(document.querySelector('#{sheet}').getBoundingClientRect())"
        )
        assert right <= page.js("innerWidth")
        assert bottom <= page.js("innerHeight")
        page.js(f"document.querySelector('#{sheet}').hidePopover()")


@pytest.mark.long
def test_the_other_colours_are_remembered(page: Browser) -> None:
    ink = "getComputedStyle(document.querySelector('.hs-key .hs-text .hs-sign')).color"
    first = page.js(ink)
    page.click("#palette")
    second = page.js(ink)
    assert first != second
    page.go(0)
    page.wait("document.querySelector('#neighbors td')")
    assert page.js(ink) == second
    page.click("#palette")
    assert page.js(ink) == first
    page.js("localStorage.clear()")


@pytest.mark.parametrize("palette", [0, 1], ids=["first", "second"])
@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_kinds_are_told_apart_with_every_kind_of_colour_blindness(palette: int, mode: int) -> None:
    style = (RENDERERS / "style.css").read_text("utf-8")
    inks = []
    for name in ("own", "text", "variant"):
        pair = re.findall(rf"--{name}: light-dark\((#\w+), (#\w+)\)", style)[palette]
        ground = re.findall(rf"--{name}-ground: light-dark\((#\w+), (#\w+)\)", style)[palette]
        inks.append(linear(pair[mode]))
        light, dark = sorted((luminance(linear(pair[mode])), luminance(linear(ground[mode]))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, name
    for seen_by, matrix in DICHROMATS.items():
        seen = [[min(1, max(0, sum(a * b for a, b in zip(row, ink, strict=True)))) for row in matrix] for ink in inks]
        for one, other in itertools.combinations(seen, 2):
            assert math.dist(lab(one), lab(other)) >= 18, seen_by  # CIE76; 2.3 is just noticeable


def linear(colour: str) -> list[float]:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def luminance(rgb: list[float]) -> float:
    return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]


def lab(rgb: list[float]) -> tuple[float, float, float]:
    red, green, blue = rgb
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.95047
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.08883
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, luminance(rgb), z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


@pytest.mark.slow
def test_text_says_what_colour_says(page: Browser) -> None:
    """Every coloured cell carries its sign, so that nothing is lost without colours."""
    unmarked = page.js(
        "[...document.querySelectorAll('td.hs-own, td.hs-text, td.hs-variant, td.hs-special')]"
        ".filter((e) => !e.querySelector('.hs-sign[aria-hidden]')).length"
    )
    assert unmarked == 0
    assert "own token" in text(page, ".hs-key")
