"""Make docs/images/*.png: the page of the demo weights, wide and narrow, light and dark; and its other views.

    python docs/screenshots.py

Needs the extras `app`, `demo` and `dev`, and Chromium on the path.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import ViewportSize, sync_playwright

IMAGES = Path(__file__).parent / "images"
SIZES = {1440: 900, 390: 1480}
# What each picture of a view shows, and what is there when it is drawn. Of the atlas, a token without words that the
# classroom switch would hide.
VIEWS = {
    "atlas": ("view=atlas&word=flies&layer=2&head=7", "#atlas [data-sheet=kinds] .hs-beside"),
    "attention": ("view=attention&word=banana&layer=2&head=7", "#pattern td"),
    "written": ("view=written&word=banana&layer=2&head=8", "#written td"),
    "journey": ("view=journey&word=banana", "[data-drawn]"),
    "layers": ("view=layers&word=banana&layer=1&head=1", "#glance td[data-id]"),
    "map": ("view=map&word=banana&layer=1&head=1", "[data-drawn]"),
    "worked": ("teach=true&word=banana&layer=1&head=1", "#worked td"),
}
PATIENCE = 180_000  # milliseconds: t-SNE takes its time
# The token that is pointed at, so that the linked marks are in the picture.
MARKED = "#tokens [data-position='2']"
# What the first view says last, worked out while nobody clicks: what other texts have, and whether the head matters.
LAST = ("half of other texts", "Without this head")


def main() -> None:
    """Start a server, photograph its first view, end it."""
    with served() as address:
        photograph(address)


@contextmanager
def served(model: str = "demo") -> Iterator[str]:
    """The address of a `headscope serve` of a model, which ends with the block."""
    command = [sys.executable, "-m", "headscope", "serve", "--model", model, "--port", "0", "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield next(found[0] for line in server.stdout if (found := re.search(r"http://\S+", line)))
    finally:
        server.terminate()
        server.wait()


def photograph(address: str) -> None:
    """One picture for each width and colour scheme."""
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for width, height in SIZES.items():
            for scheme in ("light", "dark"):
                size = ViewportSize(width=width, height=height)
                page = browser.new_context(viewport=size, color_scheme=scheme).new_page()
                page.goto(address)
                for words in LAST:
                    page.get_by_text(words).first.wait_for(timeout=PATIENCE)
                page.hover(MARKED)
                page.evaluate("scrollTo(0, 0)")
                page.screenshot(path=IMAGES / f"page-{width}-{scheme}.png")
                for view, (query, there) in VIEWS.items() if (width, scheme) == (1440, "light") else ():
                    page.goto(f"{address}?{query}")
                    page.wait_for_selector(there, timeout=PATIENCE)
                    if view == "worked":
                        page.evaluate("document.querySelector('#worked').scrollIntoView({behavior: 'instant'})")
                    page.wait_for_timeout(500)  # labels of a plot find their places
                    page.screenshot(path=IMAGES / f"{view}-{width}-{scheme}.png")
        browser.close()


if __name__ == "__main__":
    main()
