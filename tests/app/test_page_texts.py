"""Texts of every kind are data: shown as they are, never acted on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.app.browsers import Browser
from tests.app.looks import choose, chosen, shows, text, write
from tests.app.serving import Server

Ask = Callable[..., Any]


@pytest.mark.slow(cases=1)
@pytest.mark.engines(long=("firefox", "webkit"))
@pytest.mark.parametrize(
    "written",
    [
        "A 🐍 and a 👩‍🚀 met",
        "שלום world مرحبا",
        "<script>document.title = 'lost'</script> <b>bold</b> &amp; \"'",
        "right‮to left and a zero​width",
    ],
)
def test_text_is_shown_as_text(page: Browser, ask: Ask, written: str) -> None:
    write(page, written)
    page.press("Enter")
    answer = ask(text=written, positions=20)
    shows(page, answer)
    shown = page.js("[...document.querySelectorAll('#tokens .label')].map((e) => e.textContent)")
    assert shown == [token["label"] for token in answer["tokens"]]
    assert page.js("document.title").endswith("headscope")
    assert page.js("document.querySelectorAll('main script, main b').length") == 0
    assert page.js("getComputedStyle(document.querySelector('td .hs-label')).unicodeBidi") == "isolate"
    page.go(0)
    shows(page, answer)
    assert chosen(page)["text"] == written


@pytest.mark.long
def test_a_shorter_text_keeps_a_token_selected(page: Browser, ask: Ask) -> None:
    page.click("#tokens [data-position='12']")
    shows(page, ask(token=12))
    write(page, "Time")
    page.press("Enter")
    shows(page, ask(text="Time", token=2))
    assert chosen(page)["token"] == 2


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("word " * 600, "the model reads at most 512"),
        ("   ", "The text is empty"),
        ("x" * 10_001, "10,001 characters"),
    ],
    ids=["too many tokens", "empty", "too many characters"],
)
def test_a_text_that_cannot_be_read_is_said_and_the_page_goes_on(
    page: Browser, ask: Ask, written: str, said: str
) -> None:
    page.js(f"(document.querySelector('#text').value = {written!r})")
    page.click("#ask button")
    page.wait(f"document.querySelector('#problem').textContent.includes({said!r})")
    page.wait("document.querySelectorAll('#view td, #tokens button, #verdict p').length === 0")  # of the text before
    assert (text(page, "#title"), text(page, "#selected")) == ("No answer", "")
    assert page.js("document.title") == "No answer · headscope"
    write(page, "All is well")
    page.press("Enter")
    shows(page, ask(text="All is well"))
    assert text(page, "#problem") == ""
    page.errors.clear()  # the browser logs the refused request


@pytest.mark.long
def test_of_a_long_text_the_nearest_positions_are_shown_and_all_on_request(page: Browser, ask: Ask) -> None:
    page.js(f"(document.querySelector('#text').value = {'word ' * 500!r})")
    page.click("#ask button")
    rows = "document.querySelectorAll('#positions tbody tr').length"
    page.wait(f"{rows} === 20")
    page.click("#positions button.quiet")
    page.wait(f"{rows} === 502")


@pytest.mark.slow
def test_what_is_pressed_below_a_text_of_many_lines_is_what_is_clicked(page: Browser, ask: Ask) -> None:
    page.resize(390, 844)
    written, tall = "the cat sat on the mat and " * 6, "document.querySelector('#text').offsetHeight"
    write(page, written)
    page.press("Enter")
    page.wait("document.querySelectorAll('#tokens button').length > 20")
    assert page.js(tall) > 100
    page.click("#tokens [data-position='3']")
    shows(page, ask(text=written, token=3, positions=20))
    page.wait(f"{tall} === 36")


@pytest.mark.slow
def test_a_text_that_was_typed_and_not_read_stays(page: Browser, ask: Ask) -> None:
    write(page, "A new text")
    assert page.js("'draft' in document.querySelector('#ask').dataset")
    choose(page, "layer", 2)
    shows(page, ask(layer=2))
    assert page.js("document.querySelector('#text').value") == "A new text"
    page.click("#ask button")
    shows(page, ask(text="A new text", layer=2))
    assert not page.js("'draft' in document.querySelector('#ask').dataset")


@pytest.mark.slow
def test_after_a_refusal_nothing_of_before_is_shown(page: Browser, server: Server, ask: Ask) -> None:
    page.open(f"{server.address}/?compare=text&other_text=Time+flies")
    page.wait("document.querySelector('#neighbors td')")
    page.click("#tokens [data-position='11']")
    page.wait("!document.querySelector('#problem').hidden")
    assert page.js("document.querySelectorAll('#view td, #verdict p').length") == 0
    assert page.js("document.querySelector('#tokens [aria-pressed=true]').dataset.position") == "11"
    choose(page, "compare", "none")
    shows(page, ask(token=11))
    page.errors.clear()


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("blank", ["text=", "text=+++"])
def test_an_address_of_a_blank_text_is_refused_and_not_replaced(page: Browser, server: Server, blank: str) -> None:
    page.open(f"{server.address}/?{blank}")
    page.wait("document.querySelector('#problem').textContent.includes('The text is empty')")
    assert page.js("document.querySelectorAll('#view td').length") == 0
    page.errors.clear()
