"""Texts of every kind are data: shown as they are, never acted on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.app.browsers import Browser
from tests.app.looks import chosen, shows, text, write

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
