"""The address holds the whole view: loading it again, going back or sending it shows the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.app.browsers import Browser
from tests.app.looks import EXPERIMENT, choose, chosen, shows, text
from tests.app.serving import Server

Ask = Callable[..., Any]


@pytest.mark.slow
@pytest.mark.engines(long=("firefox", "webkit"))
def test_reload_and_a_sent_link_show_the_same_view(page: Browser, server: Server, ask: Ask) -> None:
    page.click("#tokens [data-position='2']")
    choose(page, "layer", 4)
    choose(page, "metric", "euclidean")
    choose(page, "reference", "input")
    choose(page, "position", "on")
    choose(page, "candidates", "words")
    choose(page, "mask", "causal")
    question = {
        "token": 2,
        "layer": 4,
        "metric": "euclidean",
        "reference": "input",
        "position": False,
        "candidates": "words",
        "mask": "causal",
    }
    shows(page, ask(**question))
    view, address = chosen(page), page.js("location.href")
    page.go(0)
    shows(page, ask(**question))
    assert chosen(page) == view
    page.open(server.address)
    page.open(address)
    shows(page, ask(**question))
    assert chosen(page) == view


@pytest.mark.long
@pytest.mark.engines(long=("firefox", "webkit"))
def test_back_and_forward_walk_through_the_views(page: Browser, ask: Ask) -> None:
    page.click("#tokens [data-position='5']")
    shows(page, ask(token=5))
    choose(page, "layer", 1)
    shows(page, ask(token=5, layer=1))
    page.go(-1)
    shows(page, ask(token=5))
    page.go(-1)
    shows(page, ask())
    assert chosen(page) == EXPERIMENT
    page.go(1)
    shows(page, ask(token=5))
    assert chosen(page) == {**EXPERIMENT, "token": 5}


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize(
    ("said", "meant"), [("", "layer"), ("&reference=layer", "layer"), ("&reference=input", "input")]
)
def test_an_address_that_names_no_reference_means_the_layers_own(
    page: Browser, server: Server, ask: Ask, said: str, meant: str
) -> None:
    page.open(f"{server.address}/?token=11&layer=3{said}")
    shows(page, ask(token=11, layer=3, reference=meant))
    assert chosen(page)["reference"] == meant
    page.go(0)
    shows(page, ask(token=11, layer=3, reference=meant))


@pytest.mark.slow
def test_address_of_another_model_is_said(page: Browser, server: Server, ask: Ask) -> None:
    page.open(f"{server.address}/?layer=1&model=FacebookAI/roberta-base")
    shows(page, ask(layer=1))
    assert "This link was made with FacebookAI/roberta-base" in text(page, "#model")


@pytest.mark.slow
def test_address_of_a_layer_that_is_not_there_is_said_and_the_page_goes_on(
    page: Browser, server: Server, ask: Ask
) -> None:
    page.open(f"{server.address}/?layer=9")
    page.wait("document.querySelector('#problem').textContent.includes('layers are 0 to 5')")
    choose(page, "layer", 2)
    shows(page, ask(layer=2))
    assert page.js("document.querySelector('#problem').hidden")
    page.errors.clear()  # the browser logs the refused request


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("space=spam", ["space=spam (open here: value, output, key, query, embedding)"]),
        ("space=unembedding&seed=abc", ["space=unembedding (open here: value", "seed=abc (not a number"]),
        ("word=zebra", ["word=zebra (no token of the text)"]),
        ("token=99", ["token=99 (the last is 13)"]),
        ("head=40", ["head=40 (open here: 0, 1,"]),
        (
            "view=heats&hubs=maybe&why=banana",
            ["view=heats (open here: heads,", "hubs=maybe (", "why=banana (not as"],
        ),
        ("space=" + "x" * 3000, ["space=" + "x" * 60 + "… (open here"]),
    ],
)
@pytest.mark.slow(cases=2)
def test_what_of_an_address_cannot_be_used_is_said_until_something_is_chosen(
    page: Browser, server: Server, ask: Ask, said: str, told: list[str]
) -> None:
    page.open(f"{server.address}/?layer=2&{said}")
    page.wait("document.querySelector('#problem').textContent.startsWith('Of this address could not be used:')")
    problem = text(page, "#problem")
    assert [one for one in told if one not in problem] == []
    assert (problem.count("="), chosen(page)["layer"]) == (len(told), "2")
    page.click("#tokens [data-position='5']")
    shows(page, ask(token=5, layer=2))
    assert page.js("document.querySelector('#problem').hidden")


def test_of_an_address_that_can_be_used_nothing_is_said(page: Browser, server: Server, ask: Ask) -> None:
    page.open(f"{server.address}/?layer=2&word=BANANA&seed=5&head=3&space=output&classroom=false&utm_source=mail")
    shows(page, ask(token=11, layer=2, space="output"))
    assert page.js("document.querySelector('#problem').hidden")


def test_the_address_names_the_token_that_a_shorter_text_leaves(page: Browser, server: Server, ask: Ask) -> None:
    page.click("#tokens [data-position='13']")
    shows(page, ask(token=13))
    page.click("#text")
    page.js("document.querySelector('#text').select()")
    page.press("one short text", "Enter")
    shows(page, ask(text="one short text", token=4))
    query = page.js("location.search")
    assert "token=4&" in query
    taken = httpx.get(f"{server.address}/api/v1/take/neighbors.csv{query}", timeout=60)
    assert taken.status_code == 200, taken.text
