"""Two answers side by side: what is chosen is compared, told, and kept in the address."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.app.browsers import Browser
from tests.app.looks import EXPERIMENT, choose, chosen, shows, text
from tests.app.serving import Server

Ask = Callable[..., Any]
HEADINGS = "[...document.querySelectorAll('#neighbors thead tr:last-child th')].map((e) => e.textContent)"


def column(index: int) -> str:
    """JavaScript for the labels of one column of the table."""
    cells = f"#neighbors tbody td:nth-of-type({index + 1}) .hs-label"
    return f"[...document.querySelectorAll('{cells}')].map((e) => e.textContent)"


def compares(page: Browser, answer: dict[str, Any]) -> None:
    """Wait until the table shows both sides of an answer of the API, in its first and last head."""
    for head in (0, len(answer["one"]["heads"]) - 1):
        for side, name in enumerate(("one", "other")):
            wanted = json.dumps([near["label"] for near in answer[name]["heads"][head]["neighbors"]])
            page.wait(f"JSON.stringify({column(2 * head + side)}) === JSON.stringify({wanted})")


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize(
    ("choice", "other", "names"),
    [
        ("reference", {"reference": "input"}, ["This layer", "Input layer"]),
        ("causal", {"mask": "causal"}, ["Own mask", "Mask causal"]),
    ],
)
def test_every_head_stands_side_by_side(page: Browser, ask: Ask, choice: str, other: Any, names: list[str]) -> None:
    choose(page, "layer", 2)
    choose(page, "compare", choice)
    answer = ask("compare", layer=2, other=other)
    compares(page, answer)
    assert page.js(HEADINGS) == names * 12
    assert text(page, "#neighbors thead th") == "head 0"
    changes = page.js("[...document.querySelectorAll('#neighbors tfoot tr:last-child td')].map((e) => e.textContent)")
    for head, both, own in zip(answer["heads"], changes[::2], changes[1::2], strict=True):
        way = "farther" if head["moved"] > 0 else "nearer"
        assert own == (f"{abs(head['moved'])} {way}" if head["moved"] else "own stays")
        assert both == f"{round(15 * head['overlap'])} of 15 shared"
    shared = page.js("document.querySelectorAll('#neighbors td.hs-shared').length")
    assert shared == 2 * sum(round(15 * head["overlap"]) for head in answer["heads"])


@pytest.mark.long
def test_a_comparison_is_in_the_address(page: Browser, server: Server, ask: Ask) -> None:
    choose(page, "compare", "causal")
    answer = ask("compare", other={"mask": "causal"})
    compares(page, answer)
    page.go(0)
    compares(page, answer)
    page.go(-1)
    shows(page, ask())
    assert chosen(page) == EXPERIMENT
    assert not page.js("document.querySelector('#neighbors .versus')")
    page.open(f"{server.address}/?layer=1&compare=reference")
    compares(page, ask("compare", layer=1, other={"reference": "input"}))
    assert "On the right side: " in text(page, "#notes")


@pytest.mark.long
def test_a_choice_that_would_change_nothing_is_closed_and_says_why(page: Browser, ask: Ask) -> None:
    closed = "[...document.querySelectorAll('[name=compare]:disabled')].map((e) => e.value)"
    says = "[data-control=compare] .says"
    assert page.js(closed) == ["reference", "full", "model"]
    assert "in layer 0 both references are one" in text(page, says)
    assert "the mask is full already" in text(page, says)
    choose(page, "mask", "causal")
    choose(page, "layer", 1)
    assert page.js(closed) == ["causal", "model"]
    choose(page, "compare", "full")
    compares(page, ask("compare", layer=1, mask="causal", other={"mask": "full"}))
    choose(page, "mask", "full")
    shows(page, ask(layer=1, mask="full"))
    assert "There is nothing to compare." in text(page, says)


@pytest.mark.slow
def test_two_texts_stand_side_by_side(page: Browser, server: Server, ask: Ask) -> None:
    choose(page, "compare", "text")
    page.wait("document.querySelector('#other-text').checkVisibility()")
    page.click("#other-text")
    page.press("It is no time to lose", "Enter")
    answer = ask("compare", other={"text": "It is no time to lose"})
    assert answer["other"]["selected"] == 4
    compares(page, answer)
    assert page.js(HEADINGS) == ["This text", "Other text"] * 12
    page.go(0)
    compares(page, answer)
    page.open(f"{server.address}/?token=11&compare=text&other_text=No+such+fruit")
    page.wait("document.querySelector('#problem').textContent.includes('no token \\'banana\\'')")
    page.errors.clear()  # the browser logs the refused request


@pytest.mark.slow
def test_keys_and_pointer_reach_both_sides(page: Browser) -> None:
    choose(page, "compare", "causal")
    page.wait("document.querySelector('#neighbors .versus')")
    page.js("document.querySelector('#neighbors tbody td').focus()")
    page.press("ArrowRight")
    assert "head 0, Mask causal, rank 1" in page.js("document.activeElement.dataset.where")
    page.hover("#neighbors tbody td:nth-of-type(2)")
    page.wait("document.querySelector('#readout').textContent.includes('head 0, Mask causal, rank 1')")
    marked = page.js("new Set([...document.querySelectorAll('#neighbors td.marked')].map((e) => e.dataset.head)).size")
    assert f"among the nearest of {marked} head" in text(page, "#readout")


@pytest.mark.long
def test_narrow_comparison_scrolls_in_its_own_container(page: Browser) -> None:
    page.resize(390, 844)
    choose(page, "compare", "causal")
    page.wait("document.querySelector('#neighbors .versus')")
    assert page.js("document.documentElement.scrollWidth <= innerWidth")
    page.js("document.querySelector('#neighbors .scroll').scrollLeft = 400")
    rank, edge = page.js(
        "['#neighbors tbody th', '#neighbors .scroll'].map((e) => document.querySelector(e).getBoundingClientRect().x)"
    )
    assert rank == pytest.approx(edge, abs=1), "the first column stays"
