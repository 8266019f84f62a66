"""The atlas: the nearest token of every layer and head by either basis, and the way from a cell to its head."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
import torch
import zoo

from headscope import Scope
from headscope.app import create_app
from headscope.show.numbers import percent
from tests.app.browsers import Browser, Chromium
from tests.app.looks import ATLAS_STANDS, GRID, choose, chosen, shows, text
from tests.app.serving import Server

Ask = Callable[..., Any]
CELLS = (
    f"[...document.querySelectorAll('{GRID}')].map((e) => [...e.querySelectorAll('tbody button')].map((b) =>"
    " [+b.dataset.layer, +b.dataset.head, b.querySelector('.hs-label').textContent, b.parentElement.className,"
    " b.querySelector('.hs-sign[aria-hidden]')?.textContent ?? '']))"
)
KINDS = {**{kind: f"hs-{kind}" for kind in ("own", "text", "variant", "special")}, "elsewhere": ""}
SIGNS = {"own": "▸", "text": "•", "variant": "≈", "special": "◦", "elsewhere": ""}


def cells(answer: dict[str, Any]) -> list[list[Any]]:
    """The grid that an answer of the API makes."""
    return [[c["layer"], c["head"], c["label"], KINDS[c["kind"]], SIGNS[c["kind"]]] for c in answer["cells"]]


def opened(page: Browser) -> None:
    choose(page, "view", "atlas")
    page.wait(ATLAS_STANDS)


def near(answer: dict[str, Any]) -> int:
    """How many heads above layer 0 are nearest to a token of the text."""
    return sum(c["layer"] > 0 and c["kind"] in ("own", "text") for c in answer["cells"])


@pytest.mark.slow
def test_the_basis_is_flipped_in_place_as_the_api_tells_it(page: Browser, ask: Ask) -> None:
    page.click("#tokens [data-position='11']")
    opened(page)
    by = {reference: ask("atlas", token=11, reference=reference) for reference in ("layer", "input")}
    above = [c["id"] != o["id"] for c, o in zip(*(one["cells"] for one in by.values()), strict=True) if c["layer"]]
    grid = f"(() => {{ const {{x, y, width, height}} = document.querySelector('{GRID} tbody').getBoundingClientRect();"
    box = f"{grid} return [x, y, width, height]; }})()"
    where = page.js(box)
    for reference, other in (("layer", "input"), ("input", "layer"), ("layer", "input")):
        page.click(f"#basis [value={reference}] + span")
        page.wait(f"document.querySelector('{GRID} caption')?.textContent.includes('reference {reference}')")
        page.wait("document.querySelector('#atlas .found')")
        assert page.js(CELLS) == [cells(by[reference])]
        assert page.js(box) == pytest.approx(where, abs=1), "the grid jumps"
        assert page.js("document.activeElement.value") == reference
        counts = page.js(f"[...document.querySelectorAll('{GRID} tbody th .hs-num')].map((e) => e.textContent)")
        assert counts == [f"{round(12 * (one['own'] + one['text']))}/12" for one in by[reference]["layers"]]
        names = {"layer": "each layer", "input": "layer 0"}
        assert text(page, "#atlas .found") == (
            "Heads above layer 0 that are nearest to the own or another token of this text: "
            f"{near(by[reference])} of 60 (encoded by {names[reference]}), {near(by[other])} of 60 (encoded by "
            f"{names[other]}). Between the two, {sum(above)} have another nearest token."
        )
    assert not page.js("document.querySelector('#neighbors td')")
    hidden = page.js("[...document.querySelectorAll('#controls [data-control][hidden]')].map((e) => e.dataset.control)")
    assert set(hidden) == {
        *("weigh", "hubs", "vector", "reference", "compare", "teach", "method", "sample", "isolated", "given"),
    }
    choose(page, "view", "heads")
    page.wait("document.querySelector('#neighbors caption')")
    assert not page.js("document.querySelector('#basis').checkVisibility()")


@pytest.mark.slow
def test_the_grid_of_the_other_basis_is_kept_out_of_sight_and_marked_too(page: Browser, server: Server) -> None:
    page.open(f"{server.address}/?view=atlas&token=11&layer=2&head=4")
    page.wait("document.querySelector('#atlas .spare')")
    assert not page.js("[...document.querySelectorAll('.spare *')].some((e) => e.checkVisibility())")
    current = (
        f"[...document.querySelectorAll('{GRID} [aria-current].chosen')].map((e) => [e.dataset.layer, e.dataset.head])"
    )
    for reference in ("input", "layer", "input", "layer"):
        page.click(f"#basis [value={reference}] + span")
        page.wait(f"document.querySelector('{GRID} caption').textContent.includes('reference {reference}')")
        assert page.js(current) == [["2", "4"]]
        page.wait("!document.querySelector('#status').textContent")  # chance is there
        kept = page.js(f"document.querySelector('{GRID}').kept")
        page.js("document.querySelectorAll('#atlas .atlas').forEach((table) => { table.kept = true })")
    assert kept, "it is drawn anew"


@pytest.mark.long
def test_where_the_basis_changes_nothing_it_says_so(browser: Browser) -> None:
    with Server(create_app(Scope.from_model(*zoo.build("albert")))) as running:  # its layers share one projection
        browser.open(f"{running.address}/?view=atlas&text=One%20two%20three&token=1")
        browser.wait("document.querySelector('#atlas .found')")
        assert text(browser, "#atlas .found").endswith(
            "The basis changes nothing here: every head has the same nearest token either way."
        )


@pytest.mark.slow
def test_between_three_bases_every_head_counts_that_any_of_them_changes(browser: Browser, scope_of: Any) -> None:
    scope = scope_of("bert")
    scope.isolate()
    near = [scope.read(zoo.TEXT).atlas(1, reference=one).ids[1:] for one in ("layer", "input", "isolated")]
    changed = int((torch.stack(near) != near[0]).any(0).sum())
    with Server(create_app(scope)) as server:
        browser.open(f"{server.address}/?view=atlas&reference=isolated&text={quote(zoo.TEXT)}")
        browser.wait("document.querySelector('#atlas .found')")
        assert text(browser, "#atlas .found").endswith(f"Between the three, {changed} have another nearest token.")


@pytest.mark.slow
def test_a_cell_leads_to_its_layer_and_head(page: Browser, ask: Ask) -> None:
    opened(page)
    page.click(f"{GRID} button[data-layer='3'][data-head='5']")
    shows(page, ask(layer=3, reference="layer"))
    assert chosen(page)["view"] == "heads"
    assert text(page, "#neighbors .head[aria-pressed=true]") == "head 5"
    page.go(-1)
    page.wait(ATLAS_STANDS)


@pytest.mark.slow
@pytest.mark.parametrize("moved", [(), ("ArrowDown", "ArrowRight")], ids=["at the first cell", "at another"])
def test_who_moves_through_the_grid_stays_where_he_is_when_chance_comes(page: Chromium, moved: tuple[str, ...]) -> None:
    held: list[Any] = []

    def hold(route: Any) -> None:
        if (route.request.post_data_json or {}).get("chance"):
            held.append(route)
        else:
            route.continue_()

    page.page.route("**/atlas", hold)
    opened(page)
    page.wait("document.querySelector('#status').textContent")  # that chance is asked for
    page.js(f"document.querySelector('{GRID} tbody button').focus()")
    page.press(*moved)
    (waits,) = held
    waits.continue_()
    page.wait(f"document.querySelector('{GRID} tbody th .hs-beside')")
    page.press(*("ArrowDown", "ArrowRight", "ArrowRight")[len(moved) :])
    assert page.js("[document.activeElement.dataset.layer, document.activeElement.dataset.head]") == ["1", "2"]
    assert page.js(f"document.querySelectorAll('{GRID} button[tabindex=\"0\"]').length") == 1


@pytest.mark.slow
def test_who_goes_back_to_another_layer_or_head_stays_in_the_grid(page: Browser) -> None:
    opened(page)
    for name, value in (("layer", 2), ("head", 3)):
        choose(page, name, value)
        page.wait(f"location.search.includes('{name}={value}')")
    current = f"document.querySelector('{GRID} [aria-current]')"
    page.wait(f"""{current}?.matches('[data-layer="2"][data-head="3"]')""")
    page.js(f"document.querySelector('{GRID} tbody button').focus()")
    page.press("ArrowDown", "ArrowRight")
    for layer in (2, 0):
        page.wait(
            "document.querySelector('#atlas .spare tbody')"
        )  # of the other basis, which stands beside it a while later
        page.go(-1)
        page.wait(f"!{current} && document.querySelector('[name=layer]:checked').value === '{layer}'")
        page.wait("!document.querySelector('#status').textContent")
        assert page.js("[document.activeElement.dataset.layer, document.activeElement.dataset.head]") == ["1", "1"]


@pytest.mark.slow
def test_arrows_move_through_the_grid(page: Browser) -> None:
    opened(page)
    page.js(f"document.querySelector('{GRID} tbody button').focus()")
    page.press("ArrowDown", "ArrowRight", "ArrowRight")
    assert page.js("[document.activeElement.dataset.layer, document.activeElement.dataset.head]") == ["1", "2"]
    assert page.js(f"document.querySelectorAll('{GRID} button[tabindex=\"0\"]').length") == 1


@pytest.mark.long
def test_the_atlas_is_in_the_address(page: Browser, server: Server, ask: Ask) -> None:
    page.open(f"{server.address}/?view=atlas&token=5&metric=euclidean&layer=2&head=4&space=output")
    page.wait(ATLAS_STANDS)
    asked = {"token": 5, "metric": "euclidean", "space": "output"}
    assert page.js(CELLS) == [cells(ask("atlas", **asked, reference="layer"))]
    current = f"[...document.querySelectorAll('{GRID} [aria-current]')].map((e) => [e.dataset.layer, e.dataset.head])"
    assert page.js(current) == [["2", "4"]]
    view = chosen(page)
    page.go(0)
    page.wait(ATLAS_STANDS)
    assert chosen(page) == view
    choose(page, "space", "embedding")
    page.wait(f"document.querySelector('{GRID} caption').textContent.includes('embedding')")
    page.wait("document.querySelector('#atlas .found')")
    assert page.js(CELLS) == [cells(ask("atlas", token=5, metric="euclidean", space="embedding"))]


@pytest.mark.slow
def test_chance_stands_beside_the_shares_and_is_asked_once_for_each_basis(page: Browser, ask: Ask) -> None:
    page.click("#tokens [data-position='11']")
    opened(page)
    asked: list[str] = []
    for reference in ("layer", "input", "layer", "input"):
        page.click(f"#basis [value={reference}] + span")
        layers = ask("atlas", token=11, reference=reference, chance=True)["chance"]["layers"]
        chances = [f"chance {percent(one['own'] + one['text'])}" for one in layers]
        beside = f"[...document.querySelectorAll('{GRID} tbody th .hs-beside')].map((e) => e.textContent)"
        page.wait(f"JSON.stringify({beside}) === {json.dumps(json.dumps(chances, separators=(',', ':')))}")
        assert page.js("document.querySelectorAll('#atlas [data-sheet=kinds] tbody .hs-beside').length") == 5 * 6
        assert "outputs of other texts" in text(page, "#atlas [data-sheet=kinds]")
        asked.append(reference)
        requests = page.js("performance.getEntriesByType('resource').filter((e) => e.name.includes('/atlas')).length")
        if len(asked) == 2:
            first = requests
    assert requests == first, "what stands in the page is asked again"


@pytest.mark.long
def test_heads_that_share_keys_and_values_are_marked_in_its_header(browser: Browser) -> None:
    with Server(create_app(Scope.from_model(*zoo.build("llama")))) as running:  # four heads, two of keys and values
        browser.open(f"{running.address}/?view=atlas&text=One%20two%20three&token=1")
        browser.wait("document.querySelector('#atlas .found')")
        titles = f"[...document.querySelectorAll('{GRID} thead th + th')].map((e) => [e.textContent.trim(), e.title])"
        assert browser.js(titles) == [
            [f"kv {head // 2} head {head}", f"shares keys and values with {head ^ 1}"] for head in range(4)
        ]
        browser.open("about:blank")


@pytest.mark.slow
def test_at_390_pixels_the_atlas_has_whole_words_and_needs_no_scrolling(page: Browser) -> None:
    page.resize(390, 844)
    opened(page)
    assert page.js("document.documentElement.scrollWidth <= innerWidth")
    wide = "[...document.querySelectorAll('#atlas .scroll')].map((e) => e.scrollWidth - e.clientWidth)"
    assert set(page.js(wide)) == {0}
    cut = f"[...document.querySelectorAll('{GRID} tbody button')].filter((e) => e.scrollWidth > e.clientWidth)"
    assert page.js(f"{cut}.map((e) => e.textContent)") == []


@pytest.mark.slow
def test_of_many_heads_every_column_still_has_its_number(browser: Browser) -> None:
    scope = Scope.from_model(*zoo.build("gpt2", shape={"n_head": 32, "n_embd": 64}))
    cut = "[...document.querySelectorAll('#atlas thead th')].filter((e) => e.scrollWidth > e.clientWidth).length"
    with Server(create_app(scope)) as server:
        browser.open(f"{server.address}/?view=atlas")
        browser.wait(ATLAS_STANDS)
        assert browser.js("document.querySelectorAll('#atlas .atlas thead th').length") >= 32
        assert browser.js(cut) == 0
