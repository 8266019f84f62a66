"""The view Layers: every head in numbers, sorted, near beside matters; and the way from a head to its layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.app.browsers import Browser
from tests.app.looks import choose, chosen, shows, text
from tests.app.serving import Server

Ask = Callable[..., Any]
HEADS = "[...document.querySelectorAll('#glance tbody button')].map((b) => [+b.dataset.layer, +b.dataset.head])"


@pytest.fixture
def layers(page: Browser) -> Browser:
    """The view, of the token banana, with what every head is near to."""
    page.click("#tokens [data-position='11']")
    choose(page, "view", "layers")
    page.wait("document.querySelectorAll('#glance td[data-id]').length === 72", 60)
    return page


def column(page: Browser, name: str) -> list[str]:
    """A column of the table, from above."""
    found: list[str] = page.js(
        "(() => { const heads = [...document.querySelectorAll('#glance thead button')].map((b) => b.dataset.sort);"
        f" const n = heads.indexOf('{name}');"
        " return [...document.querySelectorAll('#glance tbody tr')].map((r) => [...r.cells[n].childNodes]"
        ".filter((e) => !e.matches?.('.hs-hidden')).map((e) => e.textContent).join('')); })()"
    )
    return found


def numbers(page: Browser, name: str) -> list[float]:
    return [float(cell.replace("−", "-").replace(",", "")) for cell in column(page, name)]


@pytest.mark.slow
def test_every_number_is_the_apis(layers: Browser, ask: Ask) -> None:
    glance, mixing, atlas = ask("glance")["heads"], ask("mixing")["layers"], ask("atlas", token=11)["cells"]
    assert layers.js(HEADS) == [[head["layer"], head["head"]] for head in glance]
    for name in ("entropy", "on_own", "on_previous", "on_special", "strength"):
        assert numbers(layers, name) == pytest.approx([head[name] for head in glance], abs=6e-4, rel=5e-3)
    for kind in ("weights", "norms"):
        told = [head[kind][11] for layer in mixing for head in layer["heads"]]
        assert numbers(layers, kind) == pytest.approx(told, abs=6e-4)
    assert numbers(layers, "own_rank") == [cell["own_rank"] for cell in atlas]
    signs = {"own": "▸", "text": "•", "variant": "≈", "special": "◦", "elsewhere": ""}
    assert column(layers, "near") == [signs[cell["kind"]] + cell["label"] for cell in atlas]
    row = "[...document.querySelectorAll('#glance tbody tr:first-child td')]"
    where = layers.js(f"{row}.map((e) => e.dataset.where)")
    assert where[1].startswith("L0H0, own 0.")  # what is pointed at is told as its column is called
    assert where[7] == f"L0H0, {layers.js(f'{row}[7].dataset.says')}"  # a token: there is no number that is not finite


@pytest.mark.long
def test_the_columns_sort_both_ways(layers: Browser) -> None:
    layers.click("#glance [data-sort=strength]")
    down = numbers(layers, "strength")
    assert down == sorted(down, reverse=True)
    assert layers.js("document.querySelector('#glance [aria-sort]').ariaSort") == "descending"
    assert layers.js("document.activeElement.dataset.sort") == "strength"
    layers.click("#glance [data-sort=strength]")
    layers.wait("document.querySelector('#glance [aria-sort]').ariaSort === 'ascending'")
    up = numbers(layers, "strength")
    assert up == sorted(up)
    layers.click("#glance [data-sort=head]")
    assert layers.js(HEADS)[:2] == [[0, 0], [0, 1]]


@pytest.mark.slow
def test_another_token_changes_its_own_columns_and_neither_the_order_nor_the_others(layers: Browser, ask: Ask) -> None:
    layers.click("#glance [data-sort=strength]")
    down, titles = numbers(layers, "strength"), layers.js("document.querySelectorAll('#glance thead button').length")
    caption = text(layers, "#glance caption")
    layers.js("document.querySelector('#glance td[data-measure=strength]').dataset.stays = ''")
    layers.js("performance.clearResourceTimings()")
    for token in (2, 11):
        layers.click(f"#tokens [data-position='{token}']")
        atlas = {(cell["layer"], cell["head"]): cell for cell in ask("atlas", token=token)["cells"]}
        layers.wait(f"document.querySelector('#title').textContent.includes('(position {token})')")
        layers.wait("!document.querySelector('[data-busy]') && !document.querySelector('#status').textContent")
        layers.wait("document.querySelector('#glance table').ariaBusy === 'false'")  # the rows out of sight too
        order = [tuple(place) for place in layers.js(HEADS)]
        assert numbers(layers, "strength") == down
        assert numbers(layers, "own_rank") == [atlas[place]["own_rank"] for place in order]
        mixing = ask("mixing")["layers"]
        told = [mixing[layer]["heads"][head]["norms"][token] for layer, head in order]
        assert numbers(layers, "norms") == pytest.approx(told, abs=6e-4)
        assert layers.js("document.querySelectorAll('#glance thead button').length") == titles
    assert text(layers, "#glance caption") == caption  # it says the token, which is the first again
    assert layers.js("document.querySelectorAll('#glance [data-stays]').length") == 1  # it is the same cell
    asked = layers.js("performance.getEntriesByType('resource').map((one) => one.name.split('/').at(-1))")
    assert "mixing" in asked
    assert "glance" not in asked  # what no token changes


@pytest.mark.long
def test_what_every_head_is_near_to_stays_while_the_table_is_shown_anew(layers: Browser) -> None:
    assert column(layers, "near")
    layers.js(
        "(window.without = 0, new MutationObserver(() => {"
        " const table = document.querySelector('#glance table');"
        " window.without += table && !table.querySelector('[data-sort=near]') }"
        ").observe(document.querySelector('#glance'), { childList: true, subtree: true }))"
    )
    layers.click("#glance [data-by=zero]")
    layers.wait("document.querySelector('#glance [data-sort=moved]')", 60)
    layers.wait("!document.querySelector('[data-busy]') && !document.querySelector('#status').textContent")
    assert layers.js("window.without") == 0


@pytest.mark.slow
def test_effects_are_worked_out_on_request(layers: Browser, ask: Ask) -> None:
    assert column(layers, "near")
    assert not layers.js("document.querySelector('#glance [data-sort=moved]')")
    layers.click("#glance [data-by=zero]")
    layers.wait("document.querySelector('#glance [data-sort=moved]')", 60)
    told = ask("effects", token=11)
    assert numbers(layers, "moved") == pytest.approx([head["moved"] for head in told["heads"]], abs=6e-4)
    assert "z replaced by zeros" in text(layers, "#glance [role=status]")
    assert told["notes"][0] in text(layers, "#notes")
    layers.click("#glance [data-sort=moved]")
    most = max(told["heads"], key=lambda head: head["moved"])
    assert layers.js(HEADS)[0] == [most["layer"], most["head"]]
    layers.click("#glance [data-by=mean]")
    layers.wait("document.querySelector('#glance [role=status]').textContent.includes('its mean')", 60)
    told = ask("effects", token=11, replaced_by="mean")
    assert max(numbers(layers, "moved")) == pytest.approx(max(head["moved"] for head in told["heads"]), abs=6e-4)
    # Another token has not been asked for.
    layers.click("#tokens [data-position='2']")
    layers.wait("!document.querySelector('#glance [data-sort=moved]')")


@pytest.mark.long
def test_a_head_leads_to_its_layer_and_is_marked(layers: Browser, ask: Ask) -> None:
    layers.click("#glance button[data-layer='3'][data-head='5']")
    shows(layers, ask(token=11, layer=3))
    assert chosen(layers)["view"] == "heads"
    assert text(layers, "#neighbors .head[aria-pressed=true]") == "head 5"
    layers.go(-1)
    layers.wait("document.querySelectorAll('#glance td[data-id]').length === 72")
    choose(layers, "head", 5)
    layers.wait("document.querySelectorAll('#glance .chosen[data-head]').length >= 1")


@pytest.mark.slow
def test_arrows_move_through_the_table(layers: Browser) -> None:
    assert layers.js("document.querySelectorAll('#glance tbody [tabindex=\"0\"]').length") == 1
    layers.js("document.querySelector('#glance tbody button').focus()")
    layers.press("ArrowDown", "ArrowDown")
    assert layers.js("[document.activeElement.dataset.layer, document.activeElement.dataset.head]") == ["0", "2"]
    layers.press("ArrowRight", "ArrowRight")
    assert layers.js("document.activeElement.cellIndex") == 2


@pytest.mark.slow
@pytest.mark.parametrize("row", [1, 70], ids=["a row in sight", "a row out of sight"])
def test_who_is_in_a_column_that_changes_stays_there(layers: Browser, row: int) -> None:
    cell = f"document.querySelector('#glance tbody').rows[{row}].cells[7]"
    layers.js(f"{cell}.focus({{preventScroll: true}}), scrollTo({{top: 0, behavior: 'instant'}})")
    assert layers.js(f"{cell}.dataset.measure")
    layers.js("document.querySelector('#tokens [data-position=\"3\"]').click()")  # as a link that leads back would
    layers.wait("document.querySelector('#title').textContent.includes('(position 3)')")
    layers.wait("!document.querySelector('[data-busy]') && !document.querySelector('#status').textContent")
    layers.wait("document.querySelector('#glance table').ariaBusy === 'false'")
    assert layers.js(f"document.activeElement === {cell}")


@pytest.mark.slow
def test_the_view_is_in_the_address_and_scrolls_in_its_own_container(page: Browser, server: Server) -> None:
    page.resize(390, 844)
    page.open(f"{server.address}/?view=layers&token=5&layer=2&head=4&mask=causal")
    page.wait("document.querySelectorAll('#glance td[data-id]').length === 72", 60)
    assert page.js("document.documentElement.scrollWidth <= innerWidth")
    assert page.js(
        "[...document.querySelectorAll('#glance .chosen')].map((e) => [e.dataset.layer, e.dataset.head])"
    ) == [["2", "4"]]


@pytest.mark.slow
@pytest.mark.engines(long=("firefox", "webkit"))
def test_a_head_at_the_end_of_the_table_leads_to_the_top_of_its_view(page: Browser, server: Server) -> None:
    page.open(f"{server.address}/?view=layers")
    page.wait("document.querySelectorAll('#glance tbody tr').length === 72 && !document.querySelector('[data-busy]')")
    page.wait("!document.querySelector('#status').textContent && !document.querySelector('#glance [aria-busy=true]')")
    page.click("#glance tbody tr:last-child th button")
    page.wait("document.querySelector('#title').textContent.startsWith('Layer 5: ')")
    title, bar = "document.querySelector('#title')", "document.querySelector('#bar')"
    page.wait(f"{title}.getBoundingClientRect().top >= {bar}.getBoundingClientRect().bottom")
    page.wait(f"{title}.getBoundingClientRect().bottom < innerHeight")
