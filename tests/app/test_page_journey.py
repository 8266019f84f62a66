"""The view Journey: every token through the layers, in plots and tables, and how much the layers mix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from headscope import Scope
from headscope.app import create_app
from tests.app import pixels
from tests.app.browsers import Browser, Chromium
from tests.app.looks import choose, text, unfold
from tests.app.serving import Server

Ask = Callable[..., Any]
MEASURES = ("own_rank", "own_cosine", "isolated_cosine", "norm", "overlap")


@pytest.fixture
def journey(page: Browser) -> Browser:
    """The view, of the token banana."""
    page.click("#tokens [data-position='11']")
    choose(page, "view", "journey")
    drawable(page)
    return page


def drawable(page: Browser, plots: int = 7) -> None:
    """The tables are there, and a place for every plot: the module that draws them comes after the tables."""
    page.wait(f"document.querySelector('#mixing td') && document.querySelectorAll('.plot').length === {plots}", 60)


def theme(page: Browser, name: str) -> None:
    page.js(f"(document.documentElement.dataset.theme = '{name}')")


def numbers(page: Browser, rows: str) -> list[list[float]]:
    found = page.js(
        f"[...document.querySelectorAll('{rows}')].map((row) => [...row.querySelectorAll('td')].map((e) =>"
        " e.firstChild.textContent.replace('−', '-').replace(/[,%]/g, '')))"
    )
    return [[float(cell) if cell.strip() != "–" else float("nan") for cell in row] for row in found]


@pytest.mark.slow
def test_the_selected_token_stands_stage_by_stage_as_the_api_tells_it(journey: Browser, ask: Ask) -> None:
    told = ask("journey")
    token = told["tokens"][11]
    rows = numbers(journey, "#journey > .hs-sheet .stages tbody tr")
    assert len(rows) == len(told["stages"]) == 13
    for n, row in enumerate(rows):
        expected = [token[name][n] for name in MEASURES[:4]]
        assert row[:4] == pytest.approx(expected, rel=2e-3, abs=6e-4)
        if n:
            assert row[4] == pytest.approx(token["overlap"][n - 1], abs=6e-4)
    assert "banana, a content word" in text(journey, "#journey caption")
    assert "through the model's norm" in text(journey, "#notes")


@pytest.mark.long
def test_another_token_is_drawn_in_the_place_of_the_first(journey: Browser) -> None:
    journey.wait("document.querySelector('#plot-own-rank .legend')?.textContent.includes('banana (11)')", 60)
    journey.click("#tokens [data-position='4']")
    journey.wait("document.querySelector('#journey caption').textContent.includes('an, a function word')")
    assert text(journey, "#title").startswith("Through the layers: what becomes of an")
    journey.into_view("#plot-own-rank")
    journey.wait("document.querySelector('#plot-own-rank .legend')?.textContent.includes('an (4)')", 60)
    assert journey.js("document.querySelectorAll('.plot').length") == 7


@pytest.mark.long
def test_mixing_stands_at_the_token_beside_the_mean(journey: Browser, ask: Ask) -> None:
    told = ask("mixing")
    rows = numbers(journey, "#mixing .stages tbody tr")
    assert len(rows) == 6
    for layer, row in zip(told["layers"], rows, strict=True):
        heads = layer["heads"]
        expected = [sum(head[kind][11] for head in heads) / len(heads) for kind in ("weights", "norms")]
        expected += [layer[kind][11] for kind in ("norms_all", "residual", "layernorm")]
        assert row == pytest.approx([100 * ratio for ratio in expected], abs=0.06)
        means = journey.js(
            f"[...document.querySelectorAll('#mixing .stages tbody tr:nth-child({layer['layer'] + 1}) .hs-beside')]"
            ".map((e) => parseFloat(e.textContent.slice(5)))"
        )
        assert means == pytest.approx([100 * mean for mean in layer["means"].values()], abs=0.06)
    for kind in told["kinds"]:
        assert kind["says"] in text(journey, "#mixing")


@pytest.mark.slow
def test_every_plot_has_a_name_and_its_numbers_as_a_table(journey: Browser, ask: Ask) -> None:
    names = journey.js("[...document.querySelectorAll('.plot [role=img]')].map((e) => e.ariaLabel)")
    assert len(names) == len(set(names)) == 7
    told = ask("journey")
    journey.click("#plot-own-cosine summary")
    journey.wait("document.querySelectorAll('#plot-own-cosine tbody tr').length === 14")
    rows = numbers(journey, "#plot-own-cosine tbody tr")
    assert rows == [pytest.approx(token["own_cosine"], abs=6e-4) for token in told["tokens"]]
    assert "4 an function" in text(journey, "#plot-own-cosine tbody tr:nth-child(5) th")


@pytest.mark.long
@pytest.mark.parametrize(
    "measure", ["own_rank", *(pytest.param(name, marks=pytest.mark.slow) for name in ("own_cosine", "norm"))]
)
def test_a_plot_shows_the_numbers_in_light_and_dark(journey: Browser, ask: Ask, measure: str) -> None:
    plot, told = measure.replace("_", "-"), ask("journey")
    values = told["tokens"][11][measure]
    drawn = {}
    for name in ("light", "dark"):
        theme(journey, name)
        ink = pixels.ink(journey, "ink")
        journey.js(f"document.querySelector('#plot-{plot}').scrollIntoView({{block: 'center', behavior: 'instant'}})")
        journey.wait(
            f"getComputedStyle(document.querySelector('#plot-{plot} .legendtext') ?? document.body).fill"
            f" === 'rgb({ink[0]}, {ink[1]}, {ink[2]})'",
            30,
        )
        shot = pixels.shot(journey, plot)
        for x, y in pixels.places(journey, plot, list(range(len(values))), values):
            assert shot.near(x, y, ink), f"the selected token's point at {x}, {y} is not drawn ({name})"
        # Lines of both classes of words, each with its own colour and dashes.
        assert shot.share(pixels.ink(journey, "own"), 90) > 0.0005
        drawn[name] = shot.drawn()
        assert 0.005 < drawn[name].mean() < 0.5
    assert pixels.alike(drawn["light"], drawn["dark"]) > 0.97
    dashes = journey.js(
        f"[...document.querySelectorAll('#plot-{plot} .scatterlayer .js-line')]"
        ".map((e) => getComputedStyle(e).strokeDasharray)"
    )
    assert len(set(dashes)) >= 4, "classes of words are told apart by their dashes too"


@pytest.mark.slow
def test_every_tick_of_a_logarithmic_axis_says_its_whole_number(journey: Browser) -> None:
    """plotly's own way writes 20 as 2."""
    journey.js("document.querySelector('#plot-own-rank').scrollIntoView()")
    ticks = "[...document.querySelectorAll('#plot-own-rank .ytick text')].map((e) => e.textContent)"
    journey.wait(f"{ticks}.length", 30)
    said = [float(tick.replace(",", "")) for tick in journey.js(ticks)]
    assert {1, 2, 5, 10, 20, 50, 100} <= set(said)
    assert len(set(said)) == len(said)


@pytest.mark.long
def test_a_plot_looks_alike_in_every_browser(browsers: dict[str, Browser], server: Server) -> None:
    drawn = {}
    for name, page in browsers.items():
        page.resize(1440, 900)
        page.open(f"{server.address}/?view=journey&token=11")
        drawable(page)
        theme(page, "light")
        for plot in ("own-cosine", "mixing-token"):
            drawn[name, plot] = pixels.shot(page, plot).drawn()
    for plot in ("own-cosine", "mixing-token"):
        for name in ("firefox", "webkit"):
            assert pixels.alike(drawn["chromium", plot], drawn[name, plot]) > 0.9, (name, plot)


@pytest.mark.slow
def test_a_line_leads_to_its_token(journey: Browser, ask: Ask) -> None:
    cosines = ask("journey")["tokens"][13]["own_cosine"]
    pixels.shot(journey, "own-cosine")
    ((x, y),) = pixels.places(journey, "own-cosine", [8], [cosines[8]])
    journey.js(
        "(() => { const spot = document.body.appendChild(document.createElement('i'));"
        " const r = document.querySelector('#plot-own-cosine .canvas').getBoundingClientRect();"
        " Object.assign(spot, { id: 'spot' }); Object.assign(spot.style, { position: 'absolute', width: '2px',"
        f" height: '2px', pointerEvents: 'none', left: `${{r.x + scrollX + {x} - 1}}px`,"
        f" top: `${{r.y + scrollY + {y} - 1}}px` }}); return true; }})()"
    )
    journey.hover("#spot")
    journey.wait("document.querySelector('#plot-own-cosine .hoverlayer')?.textContent.includes('[SEP]')")
    journey.click("#spot")
    journey.wait("document.querySelector('#tokens [aria-pressed=true]').dataset.position === '13'")


@pytest.mark.long
def test_the_view_is_in_the_address_and_fits_a_narrow_page(page: Browser, server: Server) -> None:
    page.resize(390, 844)
    page.open(f"{server.address}/?view=journey&token=5&mask=causal&position=false")
    drawable(page)
    assert page.js("document.documentElement.scrollWidth <= innerWidth")
    assert "without a position" in text(page, "#notes")
    page.click("#fold")
    page.wait("document.querySelector('#side').checkVisibility()")
    assert page.js("document.documentElement.scrollWidth <= innerWidth"), "with its controls too"
    pixels.shot(page, "own-rank")
    assert page.js("document.querySelector('#plot-own-rank .main-svg').getBoundingClientRect().right <= innerWidth")


@pytest.mark.long
def test_ranks_read_alone_are_drawn_when_they_are_asked_for(
    browser: Browser, scope_of: Callable[[str], Scope], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    tiny = scope_of("bert")
    own = Scope.from_model(tiny.bench.opened.model, tiny.bench.opened.names.tokenizer)
    with Server(create_app(own)) as running:
        browser.open(f"{running.address}/?view=journey&token=4")
        drawable(browser)
        assert "was not asked for" in text(browser, "#notes")
        assert not list(tmp_path.glob("isolated-streams/*"))
        unfold(browser, "[name=isolated]")
        browser.click("[name=isolated]")
        drawable(browser, 8)  # once every token has been read alone
        assert browser.js("document.querySelector('#making').hidden")
        assert "isolated=true" in browser.js("location.search")
        assert "was not asked for" not in text(browser, "#notes")
        assert browser.js("document.querySelectorAll('.plot')[1].id") == "plot-isolated-rank", "beside the other rank"
        question = {"text": browser.js("document.querySelector('#text').value"), "isolated": True}
        told = httpx.post(f"{running.address}/api/v1/journey", json=question, timeout=60).json()
        ranks = [token["isolated_rank"] for token in told["tokens"]]
        stages = numbers(browser, "#journey > .hs-sheet .stages tbody tr")
        assert [row[1] for row in stages] == ranks[4]
        pixels.shot(browser, "isolated-rank")
        drawn = "document.querySelector('#plot-isolated-rank .canvas').data.at(-1).y"
        assert browser.js(f"Array.from({drawn})") == ranks[4]
        assert browser.js("document.querySelector('#plot-isolated-rank .canvas').layout.yaxis.type") == "log"
        browser.click("#plot-isolated-rank summary")
        browser.wait(f"document.querySelectorAll('#plot-isolated-rank tbody tr').length === {len(ranks)}")
        assert numbers(browser, "#plot-isolated-rank tbody tr") == ranks
        browser.go(0)
        drawable(browser, 8)
        assert browser.js("document.querySelector('[name=isolated]').checked")
        assert "isolated=True" in httpx.get(f"{running.address}/api/v1/take/reading.py?view=journey&isolated=true").text


@pytest.mark.slow
def test_on_paper_every_plot_is_drawn_though_none_below_was_seen(page: Chromium, tmp_path: Path) -> None:
    choose(page, "view", "journey")
    page.wait("document.querySelectorAll('#view .canvas[data-drawn]').length > 0")
    drawn = (
        "[...document.querySelectorAll('#view .canvas')].map((e) => e.querySelectorAll('.main-svg path').length > 0)"
    )
    assert not all(page.js(drawn)), "all are in sight: this tries nothing"
    page.js(f"matchMedia('print').addEventListener('change', (e) => {{ if (e.matches) window.paper = {drawn}; }}), 0")
    page.page.pdf(path=tmp_path / "journey.pdf")
    assert page.js("window.paper") == [True] * 7, "while the paper is laid out"
