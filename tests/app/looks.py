"""What a reader sees on the page."""

from __future__ import annotations

import json
from typing import Any

from tests.app.browsers import Browser

EXPERIMENT = {
    "view": "heads",
    "space": "value",
    "vector": "z",
    "weigh": "weights",
    "text": "Time flies like an arrow. Fruit flies like a banana.",
    "token": 1,
    "layer": "0",
    "head": "none",
    "metric": "cosine",
    "reference": "layer",
    "position": True,
    "candidates": "all",
    "mask": "model",
    "compare": "none",
    "method": "tsne",
}

GRID = "#atlas .hs-sheet:not(.spare) .atlas"  # that is shown; those of other bases are kept
ATLAS_STANDS = f"document.querySelectorAll('{GRID}').length === 1 && document.querySelector('#atlas .found')"

# What is pointed at must not move while the verdict comes.
VERDICT_STANDS = "document.querySelector('#verdict .verdict-words') && !document.querySelector('#verdict[aria-busy]')"

# JavaScript that has `clicks` tell what was clicked from now on.
HEARD = (
    "window.clicks?.splice(0) ?? (window.clicks = [], addEventListener('click', (e) => clicks.push(e.target), true))"
)


def labels(figure: str, head: int) -> str:
    """JavaScript for the labels of one column of a table (`neighbors` or `positions`)."""
    cells = f"#{figure} tbody td:nth-child({head + 2}) .hs-label"
    return f"[...document.querySelectorAll('{cells}')].map((e) => e.textContent)"


def shows(page: Browser, answer: dict[str, Any]) -> None:
    """Wait until both tables are those of an answer of the API, in their first and last column."""
    for figure in ("neighbors", "positions"):
        for head in (0, len(answer["heads"]) - 1):
            wanted = json.dumps([entry["label"] for entry in answer["heads"][head][figure]])
            page.wait(f"JSON.stringify({labels(figure, head)}) === JSON.stringify({wanted})")


def text(page: Browser, selector: str) -> str:
    """An element's text."""
    return str(page.js(f"document.querySelector({json.dumps(selector)}).textContent"))


def chosen(page: Browser) -> dict[str, Any]:
    """Every control, as it stands."""
    found: dict[str, Any] = page.js(
        "Object.fromEntries([['text', document.querySelector('#text').value],"
        " ['token', Number(document.querySelector('#tokens [aria-pressed=true]').dataset.position)],"
        " ['position', document.querySelector('[name=position]').checked],"
        " ...[...document.querySelectorAll('#controls :is([type=radio]:checked, [type=range])')]"
        ".map((e) => [e.name, e.value])])"
    )
    return found


def choose(page: Browser, name: str, value: object) -> None:
    """Click one choice of a control; on a narrow page the controls are opened first."""
    if name != "view":
        # A page that was just made narrow folds its controls a moment later.
        shown = "document.querySelector('#side').checkVisibility()"
        page.wait(f"document.querySelector('#fold').getAttribute('aria-expanded') === String({shown})")
        if not page.js(shown):
            page.click("#fold")
    unfold(page, f"#controls [name={name}]")
    control = f"#controls [name={name}][value='{value}']"
    for _ in range(3):  # what is painted meanwhile may move it away after it was looked for: a reader clicks once more
        page.js(HEARD)
        page.click(control)
        reached = f"window.clicks?.some((one) => one.matches({json.dumps(control)})) ?? true"  # another page by now
        if page.js(f"document.querySelector({json.dumps(control)})?.disabled || ({reached})"):
            return
    raise AssertionError(f"{control} moved away under three clicks")


def unfold(page: Browser, selector: str) -> None:
    """Open what is folded away where a control stands."""
    if page.js(f"document.querySelector({json.dumps(selector)})?.closest('#advanced:not([open])') != null"):
        page.click("#advanced > summary")
        page.wait("document.querySelector('#advanced').open")  # else what is in it stands nowhere, and is missed


def write(page: Browser, what: str) -> None:
    """Put another text into the box, as a reader who selects all of it and types."""
    page.click("#text")
    page.js("document.querySelector('#text').select()")
    page.press(what)
