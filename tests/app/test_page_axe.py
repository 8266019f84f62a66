"""axe-core finds no serious fault: in every view and every sheet, wide and light, narrow and dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from headscope import Scope
from headscope.app import create_app
from tests.app.browsers import Chromium
from tests.app.serving import Server

OPENED = "document.querySelectorAll('details:not([open])').forEach((e) => { e.open = true; })"
# What is painted anew meanwhile is closed again.
DRAWN = (
    f"({OPENED}, true) && "
    "[...document.querySelectorAll('#view .plot details:not([hidden])')].every((e) => e.querySelector('td'))"
)
SHEETS = ("keys", "models", "take")

Visit = Callable[[str], Chromium]

pytestmark = pytest.mark.parametrize(
    ("width", "scheme"), [(1440, "light"), pytest.param(390, "dark", marks=pytest.mark.long)]
)


@pytest.fixture(scope="module")
def audited(engine_of: Callable[[str], Chromium]) -> Iterator[Chromium]:
    """A page that axe's script may be put into; one for all tests, since what costs is to make a context."""
    with closing(engine_of("chromium").page.context.browser.new_context(bypass_csp=True)) as context:
        yield Chromium(context.new_page())


@pytest.fixture
def visit(audited: Chromium, width: int, scheme: str) -> Visit:
    """Opens an address, all of its details open, and waits until it is drawn."""

    def opened(address: str) -> Chromium:
        audited.resize(width, 900)
        audited.page.emulate_media(color_scheme=scheme)
        audited.open(address)
        audited.wait("document.querySelector('#view .figure td, #plot-map')", 60)
        audited.wait("!document.querySelector('#status').textContent", 60)  # what is asked later is there too
        audited.wait(DRAWN)
        return audited

    return opened


def serious(page: Chromium, options: dict[str, object] | None = None) -> dict[str, str]:
    """The serious and critical faults, each with an element that has it; `options` are axe's."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page.page, options={"resultTypes": ["violations"]} | (options or {})).response["violations"]
    return {one["id"]: one["nodes"][0]["html"] for one in found if one["impact"] in ("serious", "critical")}


@pytest.mark.parametrize(
    "view",
    [
        "layer=2",
        *(
            pytest.param(view, marks=pytest.mark.slow)
            for view in (
                "layer=2&hubs=true",
                "view=atlas",
                "view=map&layer=1&head=2&method=pca",
            )
        ),
        *(
            pytest.param(view, marks=pytest.mark.long)
            for view in (
                "layer=2&compare=reference",
                "layer=2&head=1&why=1.1000&space=embedding",
                "view=attention&layer=2&head=3",
                "layer=1&teach=true",
                "view=written&layer=2",
                "view=journey",
                "view=layers&layer=1&head=2",
            )
        ),
    ],
)
def test_in_a_view(visit: Visit, server: Server, view: str) -> None:
    assert serious(visit(f"{server.address}/?{view}")) == {}


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("view", ["view=written&layer=2", "layer=2&hubs=true", "view=atlas", "view=attention&head=2"])
def test_in_the_second_set_of_colours(visit: Visit, server: Server, view: str) -> None:
    page = visit(f"{server.address}/?{view}")
    for scheme in ("light", "dark"):
        page.page.emulate_media(color_scheme=scheme)
        page.js("(document.documentElement.dataset.palette = 'second')")
        assert serious(page) == {}, scheme


@pytest.mark.long
def test_in_the_sheets(visit: Visit, server: Server) -> None:
    page = visit(server.address)
    for sheet in SHEETS:
        page.click(f"[popovertarget={sheet}]")
        page.wait(f"document.querySelector('#{sheet}').matches(':popover-open')")
        page.wait("!document.querySelector('[data-busy]')")
        assert serious(page) == {}, sheet
        page.click(f"#{sheet} [popovertargetaction=hide]")


@pytest.mark.long
def test_in_the_guided_visit_with_everything_unfolded(visit: Visit, server: Server) -> None:
    page = visit(f"{server.address}/?classroom=true&token=11")
    page.click("#visit")
    page.wait("document.querySelector('#tour-at').textContent.startsWith('1 of')", 60)
    page.wait("document.querySelector('#advanced').open && !document.querySelector('[data-busy]')")
    assert serious(page) == {}


@pytest.mark.long
def test_where_a_link_asks_for_another_model(visit: Visit, demo: Scope) -> None:
    with Server(create_app(demo, open_model=lambda name, progress: demo)) as running:
        page = visit(f"{running.address}/?model=another/model")
        page.wait("document.querySelector('#asked').open")
        assert serious(page) == {}


@pytest.mark.long
def test_where_the_page_is_read_only(visit: Visit, demo: Scope) -> None:
    with Server(create_app(demo, read_only=True)) as running:
        assert serious(visit(running.address)) == {}


@pytest.fixture(scope="module")
def with_survey(demo: Scope, few_sentences: Path) -> Iterator[Server]:
    """A server with a survey of the demo weights beside the readings."""
    with Server(create_app(demo, survey=few_sentences)) as running:
        yield running


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("view", ["layer=2", "layer=2&compare=reference", "layer=2&hubs=true", "view=survey"])
def test_beside_a_survey(visit: Visit, with_survey: Server, view: str) -> None:
    assert serious(visit(f"{with_survey.address}/?{view}")) == {}


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("view", ["layer=2", "layer=2&compare=reference", "layer=2&hubs=true"])
def test_a_surveys_rows_are_read_on_the_deepest_shade(visit: Visit, with_survey: Server, view: str) -> None:
    page = visit(f"{with_survey.address}/?{view}")
    cells = "document.querySelectorAll('#neighbors .usually td')"
    assert page.js(f"[...{cells}].map((cell) => cell.className = 'hs-10').length") >= 12
    assert serious(page, {"runOnly": ["color-contrast"]}) == {}
