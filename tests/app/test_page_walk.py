"""One walk through all views, in every engine: each is there, fits its window, and is found again on the way back."""

from __future__ import annotations

import pytest

from tests.app.browsers import Browser
from tests.app.looks import choose, text

THERE = {
    "heads": "document.querySelector('#neighbors td') && document.querySelector('#positions td')",
    "atlas": "document.querySelector('#atlas td')",
    "attention": "document.querySelector('#attention td')",
    "written": "document.querySelector('#written td')",
    "journey": "document.querySelector('#mixing td') && document.querySelectorAll('.plot').length === 7",
    "layers": "document.querySelector('#glance td')",
    "map": "document.querySelector('#plot-map .main-svg')",
}
# Titles of rows that run out of their cell, into its numbers or cut off.
RUN_OUT = (
    "[...document.querySelectorAll('#view :is(.within, .stages) tbody th')]"
    ".filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.textContent)"
)


@pytest.mark.slow
@pytest.mark.engines
@pytest.mark.parametrize("width", [1440, pytest.param(390, marks=pytest.mark.long)])
def test_every_view_is_there_and_is_found_again(page: Browser, width: int) -> None:
    page.resize(width, 900)
    page.click("#tokens [data-position='11']")
    page.wait("document.querySelector('#title').textContent.includes('banana')")
    titles = {}
    for view, there in THERE.items():
        if view != "heads":
            choose(page, "view", view)
        page.wait(there, 20)
        page.wait("!document.querySelector('[data-busy]') && document.querySelector('#making').hidden", 20)
        assert page.js("document.documentElement.scrollWidth <= innerWidth"), view
        assert page.js(RUN_OUT) == [], view
        titles[view] = text(page, "#title")
    assert len(set(titles.values())) == len(THERE)
    for view in reversed(list(THERE)[:-1]):
        page.go(-1)
        page.wait(f"document.querySelector('#title').textContent === {titles[view]!r}", 20)
        page.wait(THERE[view], 20)
        assert page.js("document.querySelector('#tokens [aria-pressed=true]').dataset.position") == "11"
    page.errors[:] = [one for one in page.errors if "409" not in one]  # a map that is being made answers so
