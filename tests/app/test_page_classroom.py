"""The classroom switch: words of a short list are starred out wherever the page shows tokens, and it says how many."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from headscope.app import page as page_part
from headscope.app.page.classroom import hides
from headscope.app.page.page import STATIC
from tests.app.browsers import Browser
from tests.app.looks import GRID, choose, text
from tests.app.serving import Server

Ask = Callable[..., Any]
READY = "document.readyState === 'complete' && document.querySelector('#neighbors td')"
LABELS = "[...document.querySelectorAll('#neighbors tbody td .hs-label')].map((e) => e.textContent)"
NUMBERS = "[...document.querySelectorAll('#neighbors :is(td, th) .hs-num')].map((e) => e.textContent)"
WIDTHS = "[...document.querySelectorAll('#neighbors td')].map((e) => e.getBoundingClientRect().width)"
BASES = ("input", "layer")
BANANA = "/?token=11"  # whose tables have words of the list at layer 0


@pytest.mark.parametrize(
    ("label", "hidden"),
    [("penis", True), ("##dick", True), ("␣Fucking", True), ("SHIT", True), ("raped", True)]
    + [(fine, False) for fine in ("grape", "class", "document", "cocktail", "heroine", "breaststroke", "Essex")],
)
def test_what_is_hidden(label: str, hidden: bool) -> None:
    assert hides(label) is hidden


def test_nothing_that_the_page_says_itself_is_hidden() -> None:
    said = (Path(page_part.__file__).parent / "words.json").read_text("utf-8")
    said += re.sub(r"<[^>]*>", " ", (STATIC / "index.html").read_text("utf-8"))
    assert not hides(said)


def stars(label: str) -> str:
    """A label as the switch leaves it, by the words of the vocabulary alone."""
    sign, word = re.fullmatch(r"(##|␣*)(.*)", label, re.DOTALL).groups()  # type: ignore[union-attr]
    return sign + "*" * len(word) if hides(label) else label


@pytest.mark.slow
@pytest.mark.parametrize("start", [BANANA])
def test_words_are_starred_and_counted_and_numbers_stay(page: Browser, ask: Ask) -> None:
    heads = ask(token=11)["heads"]
    wanted = [stars(head["neighbors"][rank]["label"]) for rank in range(15) for head in heads]
    hidden = sum("*" in label for label in wanted)
    assert hidden > 1
    numbers, widths = page.js(NUMBERS), page.js(WIDTHS)
    choose(page, "classroom", "on")
    page.wait(f"{LABELS}.some((one) => one.includes('*'))")
    assert page.js(LABELS) == wanted
    assert page.js(NUMBERS) == numbers
    assert page.js(WIDTHS) == widths
    starred = page.js("document.querySelectorAll('#view [data-starred]').length")  # with those of a card
    assert starred >= hidden
    assert text(page, "#veiled") == f"Classroom: {starred} words are hidden here; numbers and ranks are as they were."
    named = "[...document.querySelectorAll('[title], [aria-label]')].map((e) => e.title + ' ' + e.ariaLabel)"
    seen = page.js(f"[document.querySelector('.work').innerText, ...{named}].join(' ')")
    assert not hides(seen)
    where = wanted.index(next(one for one in wanted if "*" in one))
    page.hover(f"#neighbors tbody tr:nth-child({where // 12 + 1}) td:nth-child({where % 12 + 2})")
    page.wait("document.querySelector('#readout').textContent.includes('*')")
    assert not hides(text(page, "#readout"))
    choose(page, "classroom", "on")
    page.wait(f"!{LABELS}.some((one) => one.includes('*'))")
    assert text(page, "#veiled") == ""


@pytest.mark.long
def test_it_acts_in_other_views_too(page: Browser, server: Server, ask: Ask) -> None:
    page.open(f"{server.address}/?token=6&view=atlas&classroom=true")
    page.wait("document.querySelector('#atlas .found')")
    cells = [one["label"] for name in ("input", "layer") for one in ask("atlas", token=6, reference=name)["cells"]]
    page.click("#controls [name=view][value=layers]")
    page.wait("document.querySelector('#glance td')")
    page.click("#controls [name=view][value=heads]")
    page.wait("document.querySelector('#neighbors td')")
    assert not hides(page.js("document.querySelector('.work').innerText"))
    assert "are hidden here" in text(page, "#veiled") or "is hidden here" in text(page, "#veiled")
    assert len(cells) == 144


@pytest.mark.slow
@pytest.mark.parametrize("view", ["heads", "atlas", "attention", "layers", "written", "journey"])
def test_switched_off_it_leaves_no_star(page: Browser, server: Server, view: str) -> None:
    page.open(f"{server.address}/?view={view}&token=3&text=This%20is%20shit%20and%20shit.")
    drawn = "document.querySelector('#view td') && !document.querySelector('[data-busy], #verdict[aria-busy]')"
    stars = "document.querySelector('#view').textContent.split('**').length > 1"
    for on in (True, False, True, False):
        page.wait(f"{drawn} && !document.querySelector('#status').textContent")
        choose(page, "classroom", "on")
        page.wait(f"document.querySelector('#veiled').textContent.includes('Classroom') === {str(on).lower()}")
        page.wait(f"{stars} === {str(on).lower()}")


@pytest.mark.slow
def test_the_atlas_counts_the_grid_that_is_shown_and_has_its_words_again_afterwards(
    page: Browser, server: Server, ask: Ask
) -> None:
    given = "Those damn idiots make me sick as hell."
    page.open(f"{server.address}/?view=atlas&token=6&text={quote(given)}")
    shown = f"[...document.querySelectorAll('{GRID} td .hs-label')].map((e) => e.textContent)"
    by = {one: [c["label"] for c in ask("atlas", text=given, token=6, reference=one)["cells"]] for one in BASES}
    assert sum(map(hides, by["input"])) != sum(map(hides, by["layer"]))
    for basis in BASES:
        page.click(f"#basis [value={basis}] + span")
        page.wait("!document.querySelector('#status').textContent && document.querySelector('#atlas .spare')")
        for wanted in ([stars(label) for label in by[basis]], by[basis]):
            choose(page, "classroom", "on")
            page.wait(f"JSON.stringify({shown}) === JSON.stringify({json.dumps(wanted)})")
            page.wait("!document.querySelector('#status').textContent && document.querySelector('#atlas .spare')")
            hidden = len([label for label in wanted if "*" in label])
            told = text(page, "#veiled")
            if wanted == by[basis]:
                assert told == ""
            else:
                others = page.js("document.querySelectorAll('#view [data-starred]:not(.atlas *)').length")
                assert int(told.split()[1]) == hidden + others


@pytest.mark.slow
def test_it_is_in_the_address_and_remembered_and_files_say_that_they_are_whole(
    fresh: Callable[..., Any], server: Server
) -> None:
    page = fresh()
    page.open(f"{server.address}{BANANA}")
    page.wait(READY)
    assert not page.js("document.querySelector('.if-classroom').checkVisibility()")
    page.click("#visit")
    page.wait("document.querySelector('#tour-at').textContent.startsWith('1 of')", 60)
    page.click("#tour-classroom")
    page.wait("document.querySelector('#tour-classroom').getAttribute('aria-pressed') === 'true'")
    assert "classroom=true" in page.js("location.search")
    page.open(server.address)
    page.wait(READY)
    page.wait("location.search.includes('classroom=true') && document.querySelector('[name=classroom]').checked")
    page.click("[popovertarget=take]")
    page.wait("document.querySelector('.if-classroom').checkVisibility()")
    assert "files and programs hold every word" in text(page, ".if-classroom")
    another = fresh()
    another.open(f"{server.address}{BANANA}&classroom=true")
    another.wait(f"{LABELS}.some((one) => one.includes('*'))")
    assert page.errors == another.errors == []
