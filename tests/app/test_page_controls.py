"""Every control of the page acts at once, and shows what the API answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.app.browsers import Browser
from tests.app.looks import EXPERIMENT, choose, chosen, labels, shows, text, unfold, write
from tests.app.serving import Server

Ask = Callable[..., Any]


@pytest.mark.engines
def test_first_view_is_the_experiments_question(page: Browser, ask: Ask) -> None:
    assert chosen(page) == EXPERIMENT
    assert page.js("document.querySelectorAll('#neighbors tbody td').length") == 15 * 12
    assert page.js("document.querySelectorAll('#positions tbody td').length") == 14 * 12
    assert text(page, "#selected") == "time is selected: position 1, id 2051."
    assert "all-MiniLM-L6-v2" in text(page, "#model")
    assert "Capture error" in text(page, "#card")
    assert "asked for by name: the demo weights" in text(page, "#card")
    shows(page, ask())


@pytest.mark.slow
@pytest.mark.engines
def test_tables_have_text_at_first_paint(page: Browser) -> None:
    page.wait("performance.getEntriesByName('first-contentful-paint').length")
    painted, drawn = page.js(
        "[performance.getEntriesByName('first-contentful-paint')[0].startTime,"
        " performance.getEntriesByName('tables')[0].startTime]"
    )
    assert drawn <= painted
    empty = page.js(
        "[...document.querySelectorAll('#neighbors tbody td, #positions tbody td')]"
        ".filter((e) => !e.hidden && (!e.innerText.trim() || !e.getBoundingClientRect().height)).length"
    )
    assert empty == 0


@pytest.mark.slow
@pytest.mark.engines(long=("firefox", "webkit"))
def test_text_is_read_by_enter_and_by_the_button(page: Browser, ask: Ask) -> None:
    write(page, "The bank of the river")
    page.press("Enter")
    shows(page, ask(text="The bank of the river"))
    write(page, "A bank of money")
    page.click("#ask button")
    shows(page, ask(text="A bank of money"))
    assert chosen(page)["text"] == "A bank of money"


@pytest.mark.slow
def test_token_is_selected_by_a_click(page: Browser, ask: Ask) -> None:
    page.click("#tokens [data-position='11']")
    shows(page, ask(token=11))
    assert text(page, "#selected") == "banana is selected: position 11, id 15212."
    assert "banana" in text(page, "#title")


@pytest.mark.slow(cases=3)
@pytest.mark.parametrize(
    ("name", "value", "question"),
    [
        ("layer", 3, {"layer": 3}),
        ("metric", "euclidean", {"metric": "euclidean"}),
        ("metric", "dot", {"metric": "dot"}),
        ("space", "output", {"space": "output"}),
        ("space", "embedding", {"space": "embedding"}),
        ("candidates", "words", {"candidates": "words"}),
        ("mask", "causal", {"mask": "causal"}),
        ("position", "on", {"position": False}),
    ],
)
def test_control_acts_at_once(page: Browser, ask: Ask, name: str, value: object, question: Any) -> None:
    choose(page, name, value)
    shows(page, ask(**question))
    # What a head writes is compared with embeddings that stand nowhere.
    moved = {"position": False} if value == "embedding" else {}
    assert {**EXPERIMENT, **question, **moved} == {**chosen(page), "layer": int(chosen(page)["layer"])} | (
        {} if "layer" in question else {"layer": "0"}
    )


def test_a_space_that_the_model_has_not_is_not_shown_and_the_control_says_why(page: Browser) -> None:
    shown = page.js("[...document.querySelectorAll('[name=space]')].filter((e) => e.closest('label').checkVisibility())"
                    ".map((e) => e.value)")  # fmt: skip
    assert shown == ["value", "output", "key", "query", "embedding"]
    page.click("[data-control=space] summary")
    page.wait("document.querySelector('[data-control=space] .says').checkVisibility()")
    assert "no language-model head" in text(page, "[data-control=space] .says")
    assert "needs a lens" in text(page, "[data-control=space] .says")


@pytest.mark.slow
def test_what_has_no_effect_is_not_shown(page: Browser) -> None:
    choose(page, "metric", "cosine")  # Advanced is open from here on
    here = "(name) => document.querySelector(`[data-control=${name}]`).checkVisibility()"
    names = ["reference", "position", "vector", "teach", "hubs"]
    assert page.js(f"{names}.map({here})") == [True] * 5
    choose(page, "space", "embedding")
    page.wait(f"!({here})('reference')")
    assert not page.js(f"({here})('position')")
    choose(page, "space", "value")
    choose(page, "vector", "v")
    page.wait(f"!({here})('teach') && !({here})('hubs')")
    choose(page, "vector", "z")
    choose(page, "compare", "causal")
    page.wait(f"!({here})('hubs') && ({here})('teach')")
    choose(page, "view", "journey")  # of all layers
    page.wait(f"!({here})('layer') && !({here})('head') && ({here})('mask')")
    choose(page, "view", "survey")
    page.wait(f"!({here})('layer') && !({here})('space')")
    assert page.js("[...document.querySelectorAll('#side > h2')].some((e) => e.checkVisibility())") is False


@pytest.mark.slow
def test_nothing_is_struck_through_and_a_closed_choice_in_an_address_says_why(page: Browser, server: Server) -> None:
    page.open(f"{server.address}/?compare=reference")
    page.wait("document.querySelector('#neighbors td')")
    assert page.js("document.querySelector('[name=compare][value=reference]').closest('label').checkVisibility()")
    assert text(page, "#nothing") == "There is nothing to compare: in layer 0 both references are one."
    assert page.js("document.querySelector('#nothing').checkVisibility()")
    lines = "[...document.querySelectorAll('#controls *')].map((e) => getComputedStyle(e).textDecorationLine)"
    assert not any("through" in line for line in page.js(lines))
    choose(page, "layer", 1)
    page.wait("document.querySelector('#nothing').textContent === ''")


@pytest.mark.slow
def test_the_reference_that_stands_is_the_one_that_is_asked_for(page: Browser, server: Server, ask: Ask) -> None:
    page.open(f"{server.address}/?space=key&reference=isolated&layer=3")
    shows(page, ask(space="key", layer=3))
    assert (chosen(page)["reference"], text(page, "#neighbors caption").count("reference layer")) == ("layer", 1)
    assert page.js("document.querySelector('[data-control=position]').hidden") is False
    choose(page, "compare", "reference")
    page.wait("document.querySelector('#neighbors .versus')")
    assert "This layer and Input" in text(page, "#neighbors caption")


@pytest.mark.long
def test_advanced_stays_as_it_was_left_and_opens_where_an_address_sets_something_in_it(
    fresh: Callable[..., Any], server: Server
) -> None:
    page = fresh()
    isopen = "document.querySelector('#advanced').open"
    page.open(server.address)
    page.wait("document.querySelector('#neighbors td')")
    assert not page.js(isopen)
    page.open(f"{server.address}/?metric=euclidean&mask=causal")
    page.wait("document.querySelector('#neighbors td')")
    assert page.js(isopen)
    assert text(page, "#advanced > summary") == "Advanced (2 set)"
    page.open(server.address)
    page.wait("document.querySelector('#neighbors td')")
    assert not page.js(isopen)
    page.click("#advanced > summary")
    page.go(0)
    page.wait("document.querySelector('#neighbors td')")
    assert page.js(isopen)
    page.click("#advanced > summary")
    page.press("m")  # a key shows what it changes
    page.wait(f"{isopen} && document.querySelector('[name=metric][value=euclidean]').checked")
    assert page.errors == []


@pytest.mark.slow
def test_every_neighbour_is_marked_by_its_kind(page: Browser, ask: Ask) -> None:
    page.click("#tokens [data-position='11']")
    choose(page, "layer", 1)
    answer = ask(token=11, layer=1)
    shows(page, answer)
    cells = page.js(
        "[...document.querySelectorAll('#neighbors tbody td')]"
        ".map((e) => [e.className, e.querySelector('.hs-sign[aria-hidden]')?.textContent ?? ''])"
    )
    signs = {"own": "▸", "text": "•", "variant": "≈", "special": "◦", "elsewhere": ""}
    told = [head["neighbors"][rank]["kind"] for rank in range(15) for head in answer["heads"]]
    assert cells == [["" if kind == "elsewhere" else f"hs-{kind}", signs[kind]] for kind in told]
    assert {"own", "text", "special"} <= set(told)
    assert "in the text at position 4" in page.js(
        "[...document.querySelectorAll('#neighbors td.hs-text')].map((e) => e.textContent).join()"
    )


@pytest.mark.long
def test_the_experiments_reference_changes_the_table_above_layer_0_and_says_what_it_is(page: Browser, ask: Ask) -> None:
    choose(page, "layer", 2)
    shows(page, ask(layer=2))
    assert text(page, "#notes") == ""
    choose(page, "reference", "input")
    shows(page, ask(layer=2, reference="input"))
    assert "unrelated" in text(page, "#notes")
    choose(page, "reference", "layer")
    shows(page, ask(layer=2))
    assert text(page, "#notes") == ""


@pytest.mark.slow
def test_own_token_is_marked_and_its_rank_stands_last(page: Browser, ask: Ask) -> None:
    for head in ask()["heads"]:
        cell = f"document.querySelector('#neighbors tfoot tr').cells[{head['head'] + 1}].textContent"
        marked = page.js(
            f"document.querySelectorAll('#neighbors tbody td.hs-own:nth-child({head['head'] + 2})').length"
        )
        listed = any(one["id"] == 2051 for one in head["neighbors"])
        assert marked == listed
        assert page.js(cell).split()[0] == f"#{head['own']['rank']}"


@pytest.mark.slow
def test_token_under_the_pointer_is_marked_in_every_column(page: Browser) -> None:
    page.hover("#tokens [data-position='11']")
    page.wait("document.querySelectorAll('#positions td.marked').length === 12")
    marked = page.js("[...document.querySelectorAll('td.marked .hs-label')].map((e) => e.textContent)")
    assert set(marked) == {"banana"}
    assert len(marked) == page.js(
        "[...document.querySelectorAll('td .hs-label')].filter((e) => e.textContent === 'banana').length"
    )
    assert "banana id 15212" in text(page, "#readout")


@pytest.mark.slow
def test_overtaken_requests_never_paint(page: Browser, ask: Ask) -> None:
    page.js("[1, 2, 3, 4, 5].forEach((n) => document.querySelector(`[name=layer][value='${n}']`).click())")
    shows(page, ask(layer=5))
    page.wait("!document.querySelector('[data-busy]')")
    assert page.js(labels("neighbors", 0)) == [one["label"] for one in ask(layer=5)["heads"][0]["neighbors"]]


@pytest.mark.slow
def test_each_control_and_table_is_explained_with_its_formula(page: Browser) -> None:
    sentences = page.js("[...document.querySelectorAll('#controls .says, .figure .says')].map((e) => e.textContent)")
    controls, tables = page.js("['[data-control]', '.figure caption'].map((e) => document.querySelectorAll(e).length)")
    assert len(sentences) >= controls + tables
    assert all(len(sentence) > 20 for sentence in sentences)
    unfold(page, "[data-control=metric]")
    page.click("[data-control=metric] summary")
    page.wait("document.querySelector('[data-control=metric] .formula').checkVisibility()")
    assert text(page, "[data-control=metric] .formula") == "1 − z·R / (|z| |R|)"
    assert "You selected time, number 2051" in text(page, "#how")
