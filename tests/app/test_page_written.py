"""The view of what is written where: two matrices that are linked, for the pointer, the keyboard and screen readers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.app.browsers import Browser
from tests.app.looks import choose, text
from tests.app.serving import Server

Ask = Callable[..., Any]
MATRICES = ("written", "attended")


def numbers(page: Browser, matrix: str) -> list[list[float]]:
    """Every cell's number, row by row."""
    rows: list[list[str]] = page.js(
        f"[...document.querySelectorAll('#written [data-sheet={matrix}] tbody tr')].map((row) => "
        "[...row.cells].slice(1).map((cell) => cell.dataset.value))"
    )
    return [[float(cell) for cell in row] for row in rows]


def cell(matrix: str, position: int, token: int) -> str:
    return f"#written [data-sheet={matrix}] tbody tr:nth-child({position + 1}) td:nth-of-type({token + 1})"


def linked(page: Browser) -> list[list[Any]]:
    """The cells that are marked: which matrix, which row, which column."""
    found: list[list[Any]] = page.js(
        "[...document.querySelectorAll('#written .linked')].map((cell) => [cell.closest('.hs-sheet').dataset.sheet, "
        "cell.parentElement.sectionRowIndex, cell.cellIndex - 1])"
    )
    return found


@pytest.fixture
def view(page: Browser, server: Server) -> Browser:
    page.open(f"{server.address}/?view=written&layer=2")
    page.wait("document.querySelector('#written td') && !document.querySelector('[data-busy]')", 30)
    return page


@pytest.mark.slow
def test_where_no_head_has_a_carry_none_is_said_to_have_the_largest(page: Browser, server: Server, ask: Ask) -> None:
    page.open(f"{server.address}/?view=written&text=hello")
    page.wait("document.querySelector('#written td')")
    assert {head["mean"]["carry"] for head in ask("written", text="hello")["heads"]} == {None}
    assert "Shown is head 0, the first: none has a Carry here; choose another above." in text(page, "#written")


@pytest.mark.slow
def test_both_matrices_are_the_apis_and_a_head_can_be_chosen(view: Browser, ask: Ask) -> None:
    answer = ask("written", layer=2)
    largest = "whose mean Carry is the largest of this layer here"
    assert f"Shown is head {answer['head']}, {largest}; choose another above." in text(view, "#written")
    for head in (answer["head"], 3):
        if head == 3:
            view.click("#written [data-choose='3']")
            view.wait("document.querySelector('#title').textContent === 'Layer 2, head 3: what it writes where'")
        heads = answer["heads"][head]
        for matrix, expected in zip(MATRICES, (heads["auc"], heads["pattern"]), strict=True):
            assert numbers(view, matrix) == [pytest.approx(row, rel=1e-4, abs=1e-6) for row in expected]
    assert "Shown is head" not in text(view, "#written")
    assert "head=3" in view.js("location.search")


@pytest.mark.slow
def test_a_token_asks_for_no_matrices_since_both_are_of_all(view: Browser) -> None:
    view.js(
        "(window.asked = [], window.fetched = fetch,"
        " window.fetch = (path, ...more) => { asked.push(path); return fetched(path, ...more); }, 0)"
    )
    view.click("#tokens [data-position='3']")
    view.wait("asked.length")
    assert view.js("asked") == ["api/v1/read"]  # whether the weights are still the same
    view.click("#written [data-choose='3']")
    view.wait("location.search.includes('head=3') && asked.length > 1")
    assert view.js("asked[1]") == "api/v1/written"


@pytest.mark.slow
def test_the_cell_that_is_pointed_at_is_marked_in_both_and_told(view: Browser, ask: Ask) -> None:
    answer = ask("written", layer=2)
    for matrix in MATRICES:
        view.hover(cell(matrix, 3, 9))
        view.wait("document.querySelector('#written .told').textContent.startsWith('Position 3 like, token 9 like')")
        assert linked(view) == [["written", 3, 9], ["attended", 3, 9]]
    heads = answer["heads"][answer["head"]]
    told = text(view, "#written .told")
    assert f"AUC {heads['auc'][3][9]:.3f}, weight {heads['pattern'][3][9]:.3f}" in told
    view.hover("#title")
    view.wait("document.querySelectorAll('#written .linked').length === 0")


@pytest.mark.slow
def test_the_arrow_keys_move_through_a_matrix_and_mark_the_other(view: Browser) -> None:
    view.js(f"document.querySelector({cell('attended', 0, 0)!r}).focus()")
    view.press("ArrowRight", "ArrowDown", "ArrowDown")
    assert linked(view) == [["written", 2, 1], ["attended", 2, 1]]
    assert text(view, "output.told").startswith("Position 2 flies, token 1 time: AUC ")  # announced as it changes
    assert view.js("document.activeElement.dataset.where").startswith("position 2, token 1 time: AUC ")
    view.press("Enter")  # the position is selected, as in the other views
    view.wait("document.querySelector('#tokens [aria-pressed=true]').dataset.position === '2'")


@pytest.mark.long
def test_tables_have_names_and_say_what_is_hidden(view: Browser) -> None:
    regions = view.js("[...document.querySelectorAll('#written [role=region]')].map((one) => one.ariaLabel)")
    assert len(set(regions)) == 3
    assert all(part in regions[n] for n, part in enumerate(("what is written where", "what was attended", "own and")))
    choose(view, "mask", "causal")
    view.wait("document.querySelector('#notes').textContent.includes('even attention')")
    view.hover(cell("written", 2, 5))
    view.wait("document.querySelector('#written .told').textContent.includes('(hidden by the mask)')")


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize(("width", "beside"), [(1440, True), (390, False)])
def test_the_matrices_stand_side_by_side_where_there_is_room(view: Browser, width: int, beside: bool) -> None:
    view.resize(width, 900)
    tops = view.js("[...document.querySelectorAll('#written .pair > *')].map((one) => one.getBoundingClientRect().top)")
    assert (tops[0] == tops[1]) == beside
    assert view.js("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.long
def test_a_long_text_has_no_matrices_and_says_why(view: Browser) -> None:
    view.js(f"(document.querySelector('#text').value = {'word ' * 120!r})")
    view.click("#ask button")
    view.wait("document.querySelector('#written').textContent.includes('texts of up to 100 tokens; this one has 122')")
    assert view.js("document.querySelector('#written td')") is None


@pytest.mark.long
def test_one_position_alone_is_a_matrix_without_figures(page: Browser, server: Server) -> None:
    page.open(f"{server.address}/?view=written&mask=causal&text=flies")
    page.wait("document.querySelector('#written td') && !document.querySelector('[data-busy]')", 30)
    assert "–" in text(page, "#written [data-sheet=within]")
