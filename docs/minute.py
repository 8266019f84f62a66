"""A newcomer's minute, walked: every view, every file to take away, the test on 60 texts, paper, keys, at every width.

    python docs/minute.py DIRECTORY [ONLY ...]

In Chromium, against a real `headscope serve` of the demo weights. Pictures and files go to DIRECTORY, to be looked at;
one line is printed for each step: whether it worked, by how many pixels the page can be moved sideways, what axe finds
(serious and critical), and for each control the time to its effect, beside the load of the machine. ONLY are parts
(looks, paper, taken, living, controls, keys, tested) or pictures of `looks`, as `looks-390-dark`. Ends with 1 where a
step failed. Needs the extras `app`, `demo`, `survey` and `dev`, and Chromium on the path.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Error, Locator, Page, sync_playwright
from screenshots import served

PATIENCE = 180_000  # milliseconds
# What is looked at, and what is there once it is drawn.
VIEWS = {
    "heads": ("word=banana&layer=1", "#positions td"),
    "head": ("word=banana&layer=1&head=1&teach=true", "#worked td"),
    "compare": ("word=banana&layer=2&compare=reference", "#neighbors .versus"),
    "hubs": ("word=banana&layer=2&hubs=true", "#neighbors .hubs"),
    "atlas": ("view=atlas&word=banana&layer=2&head=7", "#atlas [data-sheet=kinds] .hs-beside"),
    "attention": ("view=attention&word=banana&layer=2&head=7", "#pattern td"),
    "written": ("view=written&word=banana&layer=2&head=8", "#written td"),
    "journey": ("view=journey&word=banana", "#mixing .plot"),
    "layers": ("view=layers&word=banana&layer=1&head=1", "#glance td[data-id]"),
    "map": ("view=map&word=banana&layer=1&head=1&method=pca", "[data-drawn]"),
    "survey": ("view=survey", "#survey .plot svg"),
}
# Width, height, and how much larger the browser shows everything: 1440 × 900 at 200 % has half as many pixels of CSS.
SIZES = {
    "1440": (1440, 900, 1),
    "1024": (1024, 768, 1),
    "768": (768, 1024, 1),
    "390": (390, 844, 1),
    "200%": (720, 450, 2),
}
SCHEMES = ("light", "dark")
QUIET = "!document.querySelector('[data-busy], #verdict[aria-busy]') && document.querySelector('#making').hidden"
HIGH = "Math.max(document.documentElement.scrollHeight, innerHeight)"
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# What is cut off where it stands: words, not what scrolls inside a box made for it.
CUT = """[...document.querySelectorAll('#view :is(td, th, p, h2, summary, button, caption), .top *, #bar *')]
  .filter((e) => e.checkVisibility() && getComputedStyle(e).overflowX !== 'visible'
    && getComputedStyle(e).overflowX !== 'auto' && e.clientWidth > 8 && e.scrollWidth > e.clientWidth + 1)
  .map((e) => e.textContent.trim().slice(0, 30)).filter(Boolean)"""
SEEN = """async () => {
  for (const plot of document.querySelectorAll('#view .plot')) {
    plot.scrollIntoView();
    await new Promise((later) => setTimeout(later, 400));
  }
  scrollTo({ top: 0, behavior: 'instant' });
}"""
# In a picture of a whole page what stays in view would cover what is below it.
UNSTUCK = ".bar, .readout, .side { position: static !important; }"
# From the click to the frame after the one that painted what it asked for.
EFFECT = """([selector, marked]) => new Promise((done, fail) => {
  setTimeout(() => fail(new Error('no effect within 60 s')), 60000);
  const start = performance.now();
  const effect = () => requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
  const mark = performance.mark.bind(performance);
  performance.mark = (name) => { mark(name); if (name === marked) { performance.mark = mark; effect(); } };
  document.querySelector(selector).click();
})"""
# Clicks there and back, so that each control is measured in both of its states.
CONTROLS = {
    "token": ("heads", "#tokens [data-position='12']", "#tokens [data-position='11']"),
    "layer": ("heads", "[name=layer][value='2']", "[name=layer][value='1']"),
    "head": ("heads", "[name=head][value='3']", "[name=head][value='none']"),
    "reference": ("heads", "[name=reference][value=input]", "[name=reference][value=layer]"),
    "metric": ("heads", "[name=metric][value=dot]", "[name=metric][value=cosine]"),
    "candidates": ("heads", "[name=candidates][value=words]", "[name=candidates][value=all]"),
    "compare": ("heads", "[name=compare][value=reference]", "[name=compare][value=none]"),
    "basis of the atlas": ("atlas", "[name=basis][value=input]", "[name=basis][value=layer]"),
    "token of the atlas": ("atlas", "#tokens [data-position='12']", "#tokens [data-position='11']"),
    "weigh by": ("attention", "[name=weigh][value=norms]", "[name=weigh][value=weights]"),
    "head of Written": ("written", "[name=head][value='3']", "[name=head][value='8']"),
    "token of the journey": ("journey", "#tokens [data-position='12']", "#tokens [data-position='11']"),
    "token of the layers": ("layers", "#tokens [data-position='12']", "#tokens [data-position='11']"),
    "view": ("heads", "[name=view][value=attention]", "[name=view][value=heads]"),
}
TIMES = 9
# What was not looked at before, one after another.
NEW = {
    "a new token": ("heads", "#tokens [data-position='{}']"),
    "a new token of the atlas": ("atlas", "#tokens [data-position='{}']"),
    "a new token of the layers": ("layers", "#tokens [data-position='{}']"),
    "a new token of the journey": ("journey", "#tokens [data-position='{}']"),
    "a new head of Written": ("written", "[name=head][value='{}']"),
}
LOOKED = 2_000  # milliseconds for which a reader looks at each


@dataclass(frozen=True)
class Walk:
    """A browser at a served page, and what was found on the way."""

    browser: Browser
    address: str
    folder: Path
    faults: list[str]

    def tell(self, step: str, faults: list[str], says: str = "") -> None:
        """Print one step; `faults` are what is wrong with it."""
        self.faults.extend(f"{step}: {fault}" for fault in faults)
        print("ok  " if not faults else "FAIL", step, says, *(f"[{fault}]" for fault in faults), flush=True)

    @contextmanager
    def page(self, size: str = "1440", scheme: str = "light") -> Iterator[Page]:
        """A fresh page, which notes its errors as a fault."""
        width, height, scale = SIZES[size]
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            device_scale_factor=scale,
            color_scheme=scheme,  # type: ignore[arg-type]
            bypass_csp=True,  # axe's script is put into the page
            accept_downloads=True,
            permissions=["clipboard-read", "clipboard-write"],
        )
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            # A map that is being made answers 409.
            lambda said: errors.append(said.text) if said.type == "error" and "409" not in said.text else None,
        )
        yield page
        context.close()
        self.faults.extend(f"console, {size} {scheme}: {error}" for error in errors)
        for error in errors:
            print("FAIL console", error, flush=True)

    def open(self, page: Page, view: str) -> None:
        """A view, drawn."""
        query, there = VIEWS[view]
        page.goto(f"{self.address}?{query}")
        page.wait_for_selector(there)
        page.wait_for_function(QUIET)
        page.wait_for_timeout(700)  # labels of a plot find their places; other texts come beside the verdict


def looks(walk: Walk, only: set[str]) -> None:
    """Every view at every size, light and dark: pictures, what overflows, what axe finds."""
    for size in SIZES:
        for scheme in SCHEMES:
            if only and f"looks-{size}-{scheme}" not in only:
                continue
            with walk.page(size, scheme) as page:
                for view in VIEWS:
                    step = f"{view} {size} {scheme}"
                    try:
                        walk.open(page, view)
                    except Error as error:
                        walk.tell(step, [str(error).splitlines()[0]])
                        continue
                    page.evaluate(SEEN)  # a plot is drawn when it is seen
                    picture = walk.folder / f"{view}-{size}-{scheme}.png"
                    page.set_viewport_size({"width": SIZES[size][0], "height": page.evaluate(HIGH)})
                    page.wait_for_timeout(300)  # what was out of sight is painted now
                    page.screenshot(path=picture, animations="disabled", style=UNSTUCK)
                    page.set_viewport_size({"width": SIZES[size][0], "height": SIZES[size][1]})
                    sideways, cut = page.evaluate(SIDEWAYS), page.evaluate(CUT)
                    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
                    axe = [one["id"] for one in found if one["impact"] in ("serious", "critical")]
                    faults = [f"{sideways} px sideways"] * bool(sideways > 0) + [f"axe: {one}" for one in axe]
                    says = f", cut: {cut}" if cut else ""
                    walk.tell(step, faults, f"sideways {sideways} px, axe {len(axe)}{says}")


def paper(walk: Walk, only: set[str]) -> None:
    """Every view printed."""
    with walk.page() as page:
        for view in VIEWS:
            walk.open(page, view)
            file = walk.folder / f"print-{view}.pdf"
            page.pdf(path=file, format="A4", print_background=False)
            sheets = len(re.findall(rb"/Type\s*/Page\b", file.read_bytes()))
            says = f"{sheets} pages, {file.stat().st_size // 1000} kB"
            walk.tell(f"print {view}", [] if sheets else ["no page"], says)


def taken(walk: Walk, only: set[str]) -> None:
    """Everything that a view gives away, pressed; link and program from the clipboard."""
    with walk.page() as page:
        for view in VIEWS:
            walk.open(page, view)
            offered = page.locator(".downloads button")
            for number in range(offered.count()):
                _download(walk, page, f"{view} plot", offered.nth(number))
            page.click("[popovertarget=take]")
            page.wait_for_function(
                "document.querySelector('#script').textContent"
                " && !document.querySelector('#files').textContent.startsWith('…')"
            )
            for number in range(page.locator("#files :is(a, button)").count()):
                _download(walk, page, view, page.locator("#files :is(a, button)").nth(number))
            for copy, there in (("link", "http"), ("script", "headscope")):
                page.click(f"#copy-{copy}")
                page.wait_for_function(f"document.querySelector('#copy-{copy}').textContent === 'Copied'")
                copied = page.evaluate("navigator.clipboard.readText()")
                walk.tell(f"{view}: copy the {copy}", [] if there in copied else [f"copied {copied[:40]!r}"])
                (walk.folder / f"taken-{view}-{copy}.txt").write_text(copied, "utf-8")


def _download(walk: Walk, page: Page, view: str, link: Locator) -> None:
    says = link.text_content()
    with page.expect_download() as coming:
        link.click()
    file = walk.folder / f"taken-{view.replace(' ', '-')}-{coming.value.suggested_filename}"
    coming.value.save_as(file)
    size = file.stat().st_size
    walk.tell(f"{view}: {says}", [] if size > 100 else ["empty"], f"{file.name}, {size // 1000} kB")


def _asked_by(page: Page) -> list[str]:
    """The addresses that a page asks for from now on."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    return asked


def living(walk: Walk, only: set[str]) -> None:
    """The one file of every view, opened from disk with no network: drawn, no wider than the window, no request."""
    for size, scheme in (("1440", "light"), ("390", "dark")):
        with walk.page(size, scheme) as page:
            page.context.set_offline(True)
            for file in sorted(walk.folder.glob("taken-*.html")):
                asked = _asked_by(page)
                page.goto(file.resolve().as_uri())
                page.wait_for_selector("table td")
                page.wait_for_timeout(1000)
                page.screenshot(path=walk.folder / f"{file.stem}-{size}-{scheme}.png", full_page=True)
                sideways = page.evaluate(SIDEWAYS)
                others = [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
                faults = [f"{sideways} px sideways"] * bool(sideways > 0) + [f"asks for {url}" for url in others]
                walk.tell(f"living {file.name} {size} {scheme}", faults, f"sideways {sideways} px")


def controls(walk: Walk, only: set[str]) -> None:
    """Each control, from the click to the frame with its effect: there and back, and where nothing is at hand yet."""
    with walk.page() as page:
        for name, (view, there, back) in CONTROLS.items():
            walk.open(page, view)
            took = _taken(page, [there, back] * TIMES, 600)  # what is asked later has come, and is not measured
            _tell_times(walk, name, took[2:], f"first {took[0]:.0f}; ")
        for name, (view, one) in NEW.items():
            walk.open(page, view)
            page.wait_for_timeout(LOOKED)
            _tell_times(walk, name, _taken(page, [one.format(n) for n in (*range(8), 9, 10)], LOOKED))


def _taken(page: Page, clicked: list[str], pause: int) -> list[float]:
    """Milliseconds from each click to the frame with its effect, with a pause after each."""
    took = []
    for selector in clicked:
        took.append(page.evaluate(EFFECT, [selector, "tables"]))
        page.wait_for_function(QUIET)
        page.wait_for_timeout(pause)
    return took


def _tell_times(walk: Walk, name: str, took: list[float], says: str = "") -> None:
    spread = f"median {statistics.median(took):.0f} ms, least {min(took):.0f}, most {max(took):.0f}; "
    walk.tell(f"control {name}", [], f"{spread}{says}load {os.getloadavg()[0]:.1f}")


def keys(walk: Walk, only: set[str]) -> None:
    """A text written, a token, layer, head and every view chosen, and the view taken away, without a pointer."""
    with walk.page() as page:
        page.goto(walk.address)
        page.wait_for_selector("#neighbors td")
        page.keyboard.press("t")
        page.keyboard.press("Control+a")
        page.keyboard.insert_text("The bank of the river was steep")
        page.keyboard.press("Enter")
        page.wait_for_function("document.querySelectorAll('#tokens button').length === 9")
        page.keyboard.press("Escape")
        for key in ("ArrowRight", "ArrowDown", "h"):
            page.keyboard.press(key)
        page.wait_for_function("['token=2', 'layer=1', 'head=0'].every((one) => location.search.includes(one))")
        views = ("heads", "atlas", "attention", "written", "journey", "layers", "map", "survey")
        for number, view in enumerate(views, 1):
            page.keyboard.press(str(number))
            page.wait_for_selector(f"[name=view][value={view}]:checked", state="attached")
            page.wait_for_selector(VIEWS[view][1] if view not in ("attention",) else "#attention td")
            page.wait_for_function(QUIET)
            walk.tell(f"key {number}: {view}", [])
        page.keyboard.press("1")
        page.wait_for_selector("#neighbors td")
        page.keyboard.press("s")
        page.wait_for_selector("#files a")
        walk.tell("key s: the files are offered", [])
        page.keyboard.press("Escape")
        focus, dark = [], []
        page.evaluate("document.activeElement.blur()")
        for _ in range(80):
            page.keyboard.press("Tab")
            seen = page.evaluate(
                "((e) => [e.id || e.name || e.textContent.trim().slice(0, 20),"
                " [e, e.nextElementSibling, e.parentElement]"
                ".some((one) => one && getComputedStyle(one).outlineStyle !== 'none')])(document.activeElement)"
            )
            focus.append(seen[0])
            if not seen[1] and page.evaluate(
                "document.activeElement !== document.body"
            ):  # past the last, it is the browser's
                dark.append(seen[0])
        walk.tell("Tab, 80 times", [f"without a ring: {dark}"] if dark else [], f"{len(set(focus))} places")


def tested(walk: Walk, only: set[str]) -> None:
    """A model that nobody has tested, tested on 60 texts from the page; the words before, meanwhile and after."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HEADSCOPE_CACHE"] = f"{folder}/cache"
        with served(_untested(Path(folder) / "tiny-untrained")) as address:
            here = Walk(walk.browser, address, walk.folder, walk.faults)
            with here.page() as page:
                page.goto(address)
                page.wait_for_selector("#test-it button")
                page.wait_for_function(QUIET)
                walk.tell("before a test", [], page.inner_text("#verdict")[-120:].replace("\n", " "))
                page.screenshot(path=walk.folder / "tested-before.png")
                page.click("#test-it button")
                page.wait_for_function("document.querySelector('#test-it')?.textContent.includes('measuring')")
                page.screenshot(path=walk.folder / "tested-meanwhile.png")
                page.wait_for_selector("#neighbors .usually", timeout=5 * PATIENCE)  # 60 texts take minutes
                page.wait_for_function(QUIET)
                page.screenshot(path=walk.folder / "tested-after.png", full_page=True)
                says = page.text_content(".surveyed") or ""
                claims = [] if "nothing is claimed" in says else ["an untrained model gets a claim"]
                walk.tell("after a test", claims, says)
                page.goto(f"{address}?view=survey")
                page.wait_for_selector("#survey .plot svg")
                page.screenshot(path=walk.folder / "tested-survey.png", full_page=True)
        del os.environ["HEADSCOPE_CACHE"]


def _untested(place: Path) -> str:
    """A small BERT with weights at random, and the demo weights' tokenizer."""
    import torch
    from transformers import BertConfig, BertModel

    from headscope import Scope

    tokenizer = Scope.from_pretrained("demo").bench.opened.names.tokenizer
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    config = BertConfig(vocab_size=len(tokenizer), **sizes)
    BertModel(config).save_pretrained(place)
    tokenizer.save_pretrained(place)
    return str(place)


PARTS: dict[str, Callable[[Walk, set[str]], None]] = {
    "looks": looks,
    "paper": paper,
    "taken": taken,
    "living": living,
    "controls": controls,
    "keys": keys,
    "tested": tested,
}


def main(folder: str, *only: str) -> int:
    """Walk the parts that are asked for, or all."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    asked = [name for name in PARTS if not only or any(one.split("-")[0] == name for one in only)]
    with served() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        walk = Walk(browser, address, place, [])
        for name in asked:
            try:
                PARTS[name](walk, {one for one in only if "-" in one})
            except Error as error:
                walk.tell(name, [str(error).splitlines()[0]])
        browser.close()
    print(f"{len(walk.faults)} faults", *walk.faults, sep="\n")
    return int(bool(walk.faults))


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or sys.exit(__doc__))))
