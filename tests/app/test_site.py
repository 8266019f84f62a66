"""The site of the documentation is built by its one command, and every page of it opens, alone and readable."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.app.browsers import Chromium
from tests.app.test_page_axe import serious

ROOT = Path(__file__).parents[2]
WITHOUT_FETCHING: dict[str, object] = {"preload": False}  # axe would read style sheets, which a file may not

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("sphinx", "furo", "myst_nb")),
    reason="the site needs the extra docs (Python 3.11 or later)",
)


def site(out: Path) -> Path:
    """The built site; a warning, such as a broken link, is an error."""
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "docs", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.fixture
def alone(engine_of: object) -> Iterator[Chromium]:
    """A page that axe's script may be put into."""
    chromium = engine_of("chromium")  # type: ignore[operator]
    with closing(chromium.page.context.browser.new_context(bypass_csp=True)) as context:
        yield Chromium(context.new_page())


def fits(page: Chromium) -> bool:
    """Whether nothing stands out to the right, once the window has settled after a change of width."""
    try:
        page.wait("document.documentElement.scrollWidth <= innerWidth", 0.5)
    except TimeoutError:
        return False
    return True


@pytest.mark.long
def test_pages_open_ask_no_host_and_fit(alone: Chromium, tmp_path: Path) -> None:
    built = site(tmp_path / "site")
    pages = sorted(built.rglob("*.html"))
    assert {built / name for name in ("index.html", "findings.html", "gallery.html")} <= set(pages)
    asked: list[str] = []
    alone.page.on("request", lambda request: asked.append(request.url))
    wide, wrong, faults = [], [], {}
    for page in pages:
        living = page.parent.name == "gallery"
        for width, scheme in ((1440, "light"), (390, "dark")):
            alone.resize(width, 900)
            alone.page.emulate_media(color_scheme=scheme)
            alone.open(page.as_uri())
            name = f"{page.relative_to(built)} at {width}"
            wrong += [(name, error) for error in alone.errors]
            if not fits(alone):
                wide.append(name)
            found = {} if living or page.name in ("genindex.html", "search.html") else serious(alone, WITHOUT_FETCHING)
            if found:
                faults[name] = found
            alone.errors.clear()
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    assert wrong == []
    assert wide == []
    assert faults == {}
