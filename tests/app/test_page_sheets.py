"""A table of the page is the answer's sheet, cell for cell: the server lays an answer out once, for every medium."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from headscope import Scope
from headscope.question import defaults
from headscope.reading.answer import Answer
from headscope.reading.attention import pattern
from headscope.reading.reading import Reading
from headscope.show.brief import brief
from headscope.show.sheet import Cell, Sheet, beside
from tests.app.browsers import Browser
from tests.app.serving import Server

Sheets = Callable[[Reading], list[Sheet]]
TABLE = """(() => {
  const unseen = '.hs-hidden, .hidden, .rate, .order';
  const words = (cell) => {
    const seen = cell.cloneNode(true);
    seen.querySelectorAll(unseen).forEach((e) => e.remove());
    return seen.textContent.replace(/\\s+/g, '');
  };
  const tables = [...document.querySelectorAll('#view > :not(#verdict) .hs-sheet table')];
  // The atlas keeps the grid of the other basis laid out, and unseen; what is folded away counts.
  const keptUnseen = (e) => !e.closest('details:not([open])') && !e.checkVisibility({ visibilityProperty: true });
  return tables.filter((e) => !keptUnseen(e)).map((table) => ({
    caption: table.caption.textContent,
    head: [...table.tHead.rows].filter((row) => !row.matches('.usually')).map((row) => [...row.cells].map(words)),
    rows: [...table.querySelectorAll(':is(tbody, tfoot) tr')].map((row) => [...row.cells].map(words)),
  }));
})()"""
VIEWS: dict[str, tuple[str, str, Sheets]] = {
    "heads": (
        "token=11&layer=2",
        "#positions td",
        lambda reading: all_of(reading.nearest(11, 2), reading.nearest_positions(11, 2)),
    ),
    "both ends": (
        "token=3&space=embedding",
        "#positions td",
        lambda reading: all_of(reading.nearest(3, 0, "embedding"), reading.nearest_positions(3, 0)),
    ),
    "why": (
        "token=2&head=4&why=4.1000",
        "#view:has(#neighbors td):has(#positions td) #why td",
        lambda reading: all_of(
            near := reading.nearest(2, 0), reading.why(near, 4, 1000), reading.nearest_positions(2, 0)
        ),
    ),
    "other texts": (
        "token=11&layer=1&hubs=true",
        "#neighbors .hubs",
        lambda reading: all_of(reading.background(reading.nearest(11, 1)), reading.nearest_positions(11, 1)),
    ),
    "comparison": (
        "token=4&layer=3&compare=reference",
        "#neighbors .versus",
        lambda reading: all_of(
            reading.compare(reading, 4, 3, other_reference="input"), reading.nearest_positions(4, 3)
        ),
    ),
    "atlas": (
        "view=atlas&token=11",
        "#atlas [data-sheet=kinds] .hs-beside",
        lambda reading: all_of(reading.atlas_chance(reading.atlas(11))),
    ),
    "attention": (
        "view=attention&token=5&layer=2&head=3&weigh=norms",
        "#pattern td",
        lambda reading: [
            *reading.attention(5, 2, "norms").sheets(),
            pattern(
                2,
                3,
                reading.tokens,
                reading.pattern_of(2, "norms")[3].tolist(),
                reading.attended(2).visible.tolist(),
                "norms",
                5,
            ),
        ],
    ),
    "journey": (
        "view=journey&token=11",
        "#mixing td",
        lambda reading: [reading.journey().of(11), *reading.mixing().sheets_at(11)],
    ),
    "layers": (
        "view=layers&token=11",
        "#glance td[data-id]",
        lambda reading: [
            beside([*reading.glance().sheets(), reading.mixing().by_head(11), reading.atlas(11).by_head()])
        ],
    ),
    "written": (
        "view=written&layer=2&head=3&metric=dot",
        "#written td",
        lambda reading: [*reading.written(2, metric="dot", head=3).sheets()[1:], *_first(reading)],
    ),
}


def _first(reading: Reading) -> list[Sheet]:
    return list(reading.written(2, metric="dot", head=3).sheets()[:1])


def all_of(*answers: Answer) -> list[Sheet]:
    return [sheet for answer in answers for sheet in answer.sheets()]


def words(cell: Cell | str) -> str:
    """What a cell says, as HTML writes it: a real minus before numbers, and spaces as they come."""
    if isinstance(cell, str):
        return "".join(cell.split())
    number = cell.number.replace("-", "−")
    parts = (cell.marked, cell.beside, number) if cell.label else (number, cell.beside)
    return "".join("".join(parts).split())


def written(sheet: Sheet) -> dict[str, Any]:
    (sheet,) = brief([sheet])
    over = [["", *map(words, sheet.over)], list(map(words, sheet.columns))]
    return {
        "caption": sheet.caption,
        "head": over if sheet.over else [[words(sheet.stub), *map(words, sheet.columns)]],
        "rows": [[words(row.head), *map(words, row.cells)] for row in sheet.rows],
    }


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("view", VIEWS)
def test_every_cell_is_the_sheets(page: Browser, server: Server, demo: Scope, view: str) -> None:
    address, there, sheets = VIEWS[view]
    page.open(f"{server.address}/?{address}")
    page.wait(f"document.querySelector({json.dumps(there)}) && !document.querySelector('[data-busy]')", 30)
    assert page.js(TABLE) == [written(sheet) for sheet in sheets(demo.read(defaults.TEXT))]


@pytest.mark.slow
def test_the_numbers_of_a_plot_are_the_sheet_of_every_token(page: Browser, server: Server, demo: Scope) -> None:
    page.open(f"{server.address}/?view=journey&token=11")
    page.wait("document.querySelectorAll('.plot').length === 7", 30)
    sheets = {sheet.name: sheet for sheet in demo.read(defaults.TEXT).journey().sheets()}
    for name, sheet in sheets.items():
        plot = f"#plot-{name.replace('_', '-')}"
        page.click(f"{plot} summary")
        page.wait(f"document.querySelector('{plot} tbody tr')", 30)
        assert page.js(TABLE.replace("#view", plot)) == [written(sheet)]


@pytest.mark.long
def test_with_effects_their_columns_stand_beside_the_others(page: Browser, server: Server, demo: Scope) -> None:
    page.open(f"{server.address}/?view=layers&token=11")
    page.wait("document.querySelector('#glance td[data-id]')", 30)
    page.click("#glance [data-by=mean]")
    page.wait("document.querySelector('#glance [data-sort=moved]') && !document.querySelector('[data-busy]')", 60)
    reading = demo.read(defaults.TEXT)
    heads = [*reading.glance().sheets(), reading.mixing().by_head(11), reading.atlas(11).by_head()]
    assert page.js(TABLE) == [written(beside([*heads, reading.effects(11, "mean").by_head()]))]


@pytest.mark.slow
def test_what_stands_in_a_sheet_is_data(page: Browser, server: Server) -> None:
    page.open(f"{server.address}/?text=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E+%3Cscript%3E&token=3&view=attention&head=1")
    page.wait("document.querySelector('#pattern td')", 30)
    assert page.js("document.querySelectorAll('#view :is(img, script)').length") == 0
    assert "<" in page.js("document.querySelector('#attention tbody').textContent")
