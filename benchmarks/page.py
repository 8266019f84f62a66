"""The page in Chromium, served by the demo weights: first table, a click to its table, bytes on the wire.

Between two clicks the page is looked at for a second, so that what it asks for later has come; `click_in_a_row_ms` is
without. Medians on the machine as it is: numbers to report need a quiet one. `python -m benchmarks.page` prints them.
"""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LAUNCHES = 9
LONG = "time and tide wait for no man " * 72  # 506 tokens of 512
HOUSE = Path(__file__).parents[1] / "headscope"
STATIC = (HOUSE / "app" / "static", HOUSE / "show" / "static")
# From the click to the frame after the one that painted the new table.
TIMED_CLICK = """([selector, figure]) => new Promise((done, fail) => {
  setTimeout(() => fail(new Error("no new table within 60 s")), 60000);
  const table = document.querySelector(`#${figure}`);
  const start = performance.now();
  const seen = new MutationObserver(() => {
    seen.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
  });
  seen.observe(table, { childList: true });
  document.querySelector(selector).click();
})"""
WIRE = """performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation"))
  .reduce((sum, entry) => sum + entry.transferSize, 0)"""


def run() -> dict[str, float]:
    """Milliseconds and kilobytes, medians."""
    from playwright.sync_api import sync_playwright

    with _server() as (address, ready), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        first, wire = [], []
        for _ in range(LAUNCHES + 1):
            for before in browser.contexts:
                before.close()
            page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            page.goto(address)
            page.wait_for_selector("#neighbors td")
            page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length")
            painted, drawn, bytes_ = page.evaluate(
                "[performance.getEntriesByName('first-contentful-paint')[0].startTime,"
                f" performance.getEntriesByName('tables')[0].startTime, {WIRE}]"
            )
            first.append(max(painted, drawn))
            wire.append(bytes_)
        new_layers = [_click(page, f"[name=layer][value='{layer}']", looked=0) for layer in (1, 2, 3, 4, 5)]
        tokens = [_click(page, f"#tokens [data-position='{token}']") for token in range(2, 14)]
        page.reload()
        page.wait_for_selector("#neighbors td")
        row = [_click(page, f"#tokens [data-position='{token}']", looked=0) for token in range(2, 14)]
        layers = [_click(page, f"[name=layer][value='{layer}']") for layer in (4, 3, 2, 1)]
        seen = [_click(page, f"#tokens [data-position='{token}']") for token in (12, 13) * 4]
        views = [_click(page, f"[name=view][value={view}]", view) for view in ("atlas", "attention", "heads") * 4]
        page.fill("#text", LONG)
        page.press("#text", "Enter")
        page.wait_for_function("() => document.querySelectorAll('#tokens button').length > 500", timeout=60_000)
        page.wait_for_function("() => !document.querySelector('[data-busy]')", timeout=60_000)
        long = [_click(page, f"#tokens [data-position='{token}']") for token in range(101, 113)]
        browser.close()
    median = statistics.median
    return {
        "ready_after_model_ms": ready,
        "first_table_ms": median(first[1:]),
        "click_encodings_cached_ms": median(tokens + layers),
        "click_in_a_row_ms": median(row),
        "click_answer_cached_ms": median(seen[2:]),
        "click_encodings_new_ms": median(new_layers),
        "view_answer_cached_ms": median(views[3:]),
        "click_long_text_ms": median(long),
        "long_to_short": median(long) / median(tokens),
        "library_encodings_new_ms": _library(),
        "wire_kb": median(wire) / 1000,
        "javascript_lines": sum(
            len(file.read_text("utf-8").splitlines()) for folder in STATIC for file in folder.glob("*.js")
        ),
    }


def _click(page: Any, selector: str, figure: str = "neighbors", looked: int = 1000) -> float:
    """Milliseconds of a click; then the page is `looked` at for so many."""
    took: float = page.evaluate(TIMED_CLICK, [selector, "neighbors" if figure == "heads" else figure])
    page.wait_for_function("() => !document.querySelector('[data-busy]')", timeout=60_000)
    page.wait_for_timeout(looked)
    return took


def _library() -> float:
    """The same first reading of a layer without server and page: encode the vocabulary, and search it."""
    from headscope import Scope

    reading = Scope.from_pretrained("demo").read("Time flies like an arrow. Fruit flies like a banana.")
    reading.nearest(1, 0)
    took = []
    for layer in (1, 2, 3, 4, 5):
        start = time.perf_counter()
        reading.nearest(1, layer)
        reading.nearest_positions(1, layer)
        took.append(1000 * (time.perf_counter() - start))
    return statistics.median(took)


@contextmanager
def _server() -> Iterator[tuple[str, float]]:
    """A served page with its first view worked out, and how long after printing its address it answered."""
    import httpx

    command = [sys.executable, "-m", "headscope", "serve", "--model", "demo", "--port", "0", "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = next(found[0] for line in process.stdout if (found := re.search(r"http://\S+", line)))
        start = time.perf_counter()
        httpx.get(address, timeout=60).raise_for_status()
        ready = 1000 * (time.perf_counter() - start)
        httpx.post(f"{address}api/v1/nearest", json={"html": True}, timeout=60).raise_for_status()
        yield address, ready
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
