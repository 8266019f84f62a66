"""The method, told under “Method” with the numbers of the answer that stands on the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.app.browsers import Browser
from tests.app.looks import choose, shows

Ask = Callable[..., Any]


def told(page: Browser) -> str:
    """All steps, whose sheet is closed."""
    return " ".join(page.js("document.querySelector('#steps').textContent").split())


@pytest.mark.slow
def test_it_names_the_head_that_ranks_the_own_token_best(page: Browser, ask: Ask) -> None:
    answer = ask()
    best = min(answer["heads"], key=lambda head: head["own"]["rank"])
    steps = told(page)
    assert f"Head {best['head']} puts" in steps
    rank = best["own"]["rank"]
    assert f"rank {rank:,}: the number of candidates strictly nearer is {rank - 1:,}." in steps
    own = answer["tokens"][answer["selected"]]
    assert f"number {own['id']} of a vocabulary of 30,522, at position {own['position']}" in steps


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize(
    ("control", "value", "asked", "says"),
    [
        ("reference", "input", {"reference": "input"}, "the value projection of layer 0, as if it stood at position 1"),
        ("position", "on", {"position": False}, "the value projection of layer 3, without a position"),
        ("space", "output", {"space": "output"}, "you chose Output"),
    ],
)
def test_the_road_of_the_vocabulary_is_the_one_that_was_asked_for(
    page: Browser, ask: Ask, control: str, value: str, asked: dict[str, Any], says: str
) -> None:
    choose(page, "layer", 3)
    shows(page, ask(layer=3))
    assert "the value projection of layer 3, as if it stood at position 1" in told(page)
    choose(page, control, value)
    shows(page, ask(layer=3, **asked))
    assert says in told(page)
    assert "undefined" not in told(page)
