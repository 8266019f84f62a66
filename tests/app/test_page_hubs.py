"""Hub-aware: both lists side by side, the hubs under each head's name, chance beside ranks and marks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.app.browsers import Browser
from tests.app.looks import choose, shows, text, unfold
from tests.app.serving import Server

Ask = Callable[..., Any]


def percent(share: float) -> str:
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def column(index: int) -> str:
    """JavaScript for the labels of one column of the table."""
    cells = f"#neighbors tbody td:nth-of-type({index + 1}) .hs-label"
    return f"[...document.querySelectorAll('{cells}')].map((e) => e.textContent)"


def holds(page: Browser, answer: dict[str, Any], background: dict[str, Any]) -> None:
    """Wait until the table shows both lists, in its first and last head."""
    for head in (0, len(answer["heads"]) - 1):
        for side, one in enumerate((answer, background)):
            wanted = json.dumps([near["label"] for near in one["heads"][head]["neighbors"]])
            page.wait(f"JSON.stringify({column(2 * head + side)}) === JSON.stringify({wanted})", 30)


def listed(page: Browser, selector: str) -> list[str]:
    """The texts of all elements."""
    found: list[str] = page.js(f"[...document.querySelectorAll({json.dumps(selector)})].map((e) => e.textContent)")
    return found


@pytest.mark.slow
def test_every_head_shows_both_lists_with_hubs_and_chance(page: Browser, ask: Ask) -> None:
    choose(page, "hubs", "on")
    answer, background = ask(), ask("background")
    holds(page, answer, background)
    heads = list(zip(answer["heads"], background["heads"], strict=True))
    hubs = [held["hubs"] for _, held in heads]
    names = listed(page, "#neighbors tfoot th")
    assert names == ["own", "chance", "in text", "hubs"]
    below = [listed(page, f"#neighbors tfoot tr:nth-child({n}) td") for n in range(1, 5)]
    told = [(f"{percent(one['largest'])} {one['label']}", f"skew {one['skewness']:.1f}") for one in hubs]
    assert below[3] == [cell for pair in told for cell in pair]
    shown = [
        percent(held["chance"]["listed"][row])
        for row in range(15)
        for head, held in heads
        if head["neighbors"][row]["kind"] in ("own", "text")
    ]
    assert shown
    assert listed(page, "#neighbors tbody .hs-beside") == shown
    for n, (_, held) in enumerate(heads):
        chance = held["chance"]
        rank = f"{chance['own_rank']:.1f}".removesuffix(".0")
        assert below[1][2 * n] == f"#{rank}, {percent(chance['as_near'])} as near"
        assert below[2][2 * n] == percent(chance["in_text"])
    said = " ".join(listed(page, "#neighbors .hs-legend"))
    assert f"{background['bank']['outputs']:,} outputs" in said
    assert f"{background['window']['outputs']:,} of them at position" in said


@pytest.mark.long
def test_the_switch_is_in_the_address_and_goes_off_again(page: Browser, server: Server, ask: Ask) -> None:
    page.open(f"{server.address}/?hubs=true&layer=2&reference=layer")
    page.wait("document.readyState === 'complete' && document.querySelector('#neighbors .hubs')", 30)
    asked = {"layer": 2, "reference": "layer"}
    holds(page, ask(**asked), ask("background", **asked))
    assert page.js("document.querySelector('[name=hubs]').checked")
    choose(page, "hubs", "on")
    shows(page, ask(**asked))
    assert not page.js("document.querySelector('#neighbors .hubs')")
    assert "hubs" not in page.js("location.search")


@pytest.mark.long
def test_it_is_not_shown_where_it_has_no_meaning(page: Browser) -> None:
    unfold(page, "[data-control=hubs]")
    here = "document.querySelector('[data-control=hubs]').checkVisibility()"
    assert page.js(here)
    choose(page, "compare", "causal")
    page.wait(f"!{here}")
    page.wait("document.querySelector('#neighbors .versus')")  # the answer moves what is clicked next
    choose(page, "compare", "none")
    page.wait(here)
    choose(page, "vector", "v")
    page.wait(f"!{here}")


@pytest.mark.slow
def test_a_hub_aware_neighbour_tells_its_score_and_why_it_is_near(page: Browser, ask: Ask) -> None:
    choose(page, "hubs", "on")
    page.wait("document.querySelector('#neighbors .hubs')", 30)
    page.hover("#neighbors tbody td:nth-of-type(2)")
    page.wait("document.querySelector('#readout').textContent.includes('head 0, hub-aware, rank 1')")
    assert "score" in text(page, "#readout")
    first = ask("background")["heads"][0]["neighbors"][0]
    page.click("#neighbors tbody td:nth-of-type(2)")
    page.wait("document.querySelector('#why caption')", 30)
    assert text(page, "#why caption").startswith("Why: ")
    assert "head 0 at 1 time" in text(page, "#why caption")
    assert text(page, "#why thead th:last-child") == first["label"]


@pytest.mark.long
def test_no_word_runs_into_its_number(page: Browser, ask: Ask) -> None:
    choose(page, "layer", 2)
    choose(page, "hubs", "on")
    holds(page, ask(layer=2), ask("background", layer=2))
    over = (
        "[...document.querySelectorAll('#neighbors tbody td:not([hidden])')].filter((cell) =>"
        " cell.querySelector('.hs-num') && cell.querySelector('.hs-label').getBoundingClientRect().right"
        " > cell.querySelector('.hs-num').getBoundingClientRect().left).map((cell) => cell.textContent)"
    )
    assert page.js(over) == []


@pytest.mark.long
def test_narrow_it_scrolls_in_its_own_container(page: Browser) -> None:
    page.resize(390, 844)
    choose(page, "hubs", "on")
    page.wait("document.querySelector('#neighbors .hubs')", 30)
    assert page.js("document.documentElement.scrollWidth <= innerWidth")
