"""An address that names its token by a word, and the teacher's view with this text's numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.app.browsers import Browser
from tests.app.looks import choose, chosen, shows
from tests.app.serving import Server

Ask = Callable[..., Any]


@pytest.mark.slow
def test_an_address_may_name_its_token_by_the_word(page: Browser, server: Server, ask: Ask) -> None:
    ask(layer=1)  # the answer that the page is sent with where the word is not looked at
    page.open(f"{server.address}/?word=Banana&layer=1")
    shows(page, ask(token=11, layer=1))
    assert "token=11" in page.js("location.search")
    assert "word" not in page.js("location.search")


@pytest.mark.slow
def test_the_teachers_view_works_out_the_chosen_heads_nearest(page: Browser, ask: Ask) -> None:
    page.click("#tokens [data-position='11']")
    choose(page, "head", 7)
    choose(page, "teach", "on")
    page.wait("document.querySelector('#worked h3')")
    answer = ask("worked", token=11, head=7)
    shown = page.js(
        "[...document.querySelectorAll('#worked li')].map((li) => [...li.querySelectorAll('tbody tr')]"
        ".map((tr) => [...tr.cells].map((td) => td.textContent)))"
    )
    assert len(shown) == 4
    products = [float(row[1].replace("−", "-")) for row in shown[0]]
    assert all(
        abs(a - one["product"]) <= 0.006 + 1e-3 * abs(a) for a, one in zip(products, answer["sources"], strict=True)
    )
    weights = [float(row[2].replace("−", "-")) for row in shown[1]]
    assert all(abs(a - one["weight"]) < 6e-5 for a, one in zip(weights, answer["sources"], strict=True))
    assert abs(float(shown[3][-1][1]) - ask(token=11)["heads"][7]["neighbors"][0]["distance"]) < 6e-5


@pytest.mark.slow
def test_a_neighbour_that_is_clicked_is_worked_out(page: Browser, ask: Ask) -> None:
    choose(page, "teach", "on")
    page.wait("document.querySelector('#worked h3')")
    page.click("#neighbors tbody tr:nth-child(4) td:nth-child(6)")
    near = ask()["heads"][4]["neighbors"][3]
    page.wait(f"document.querySelector('#worked h3').textContent.includes('from {near['label']} in L0H4')")
    assert chosen(page)["head"] == "4"
    page.go(0)
    page.wait(f"document.querySelector('#worked h3')?.textContent.includes('from {near['label']} in L0H4')")
