"""The report's page: well formed, whole by itself, with every figure, in light and dark."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from headscope.show.charts.palette import INKS

pytestmark = pytest.mark.slow  # its report has every figure that there is

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Tags and their attributes; fails where one is closed that is not open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def values(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.tags if name in attributes]


@pytest.fixture(scope="module")
def text(report: Path) -> str:
    return (report / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_every_element_is_closed_and_every_id_is_the_only_one(page):
    assert page.open == []
    ids = page.values("id")
    assert len(set(ids)) == len(ids)


def test_nothing_runs_and_nothing_is_fetched(text, page):
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    ids = set(page.values("id"))
    links = [*page.values("href"), *page.values("xlink:href"), *re.findall(r"url\(([^)]*)\)", text)]
    assert links
    assert all(link.startswith("#") and link[1:] in ids for link in links)
    assert "@import" not in text
    # An XML namespace is a name, and is not fetched.
    assert set(re.findall(r"https?://[^\"' <]+", text)) <= {
        "http://www.w3.org/1999/xlink",
        "http://www.w3.org/2000/svg",
    }


def test_it_holds_every_figure_with_a_name(report, page):
    files = {path.stem for path in (report / "figures").iterdir()}
    assert {f"figure-{name}" for name in files} == {i for i in page.values("id") if i.startswith("figure-")}
    drawn = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert {attributes["aria-labelledby"] for attributes in drawn} == {f"{name}-title" for name in files}
    assert {attributes["role"] for attributes in drawn} == {"img"}
    for kind in ("heads", "classes", "nulls", "layers", "kinds"):
        assert any(name.startswith("one-") and name.endswith(f"-{kind}") for name in files)
    assert any(name.startswith("contrast-survey") for name in files)
    assert any(name.startswith("contrast-mask") for name in files)
    assert any(name.startswith("contrast-reference") for name in files)


def test_headings_go_down_one_level_at_a_time(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_no_colour_is_left_that_dark_paper_would_not_change(text):
    style, _, body = text.partition("</style>")
    assert set(re.findall(r"var\(--c(\w+)\)", body)) <= {light[1:] for light in INKS}
    drawings = "".join(re.findall(r"<svg.*?</svg>", body, re.DOTALL))
    assert not re.search(r"(?:fill|stroke): ?#", drawings)
    light, dark = (set(re.findall(r"--c(\w+):", part)) for part in style.split("@media")[:2])
    assert light == dark == {ink[1:] for ink in INKS}


def test_what_was_measured_stands_in_it(page, surveys):
    shown = "".join(page.texts)
    for path in surveys:
        manifest = json.loads((path / "manifest.json").read_text())
        for part in (manifest["model"]["weights_sha256"], manifest["texts"]["sha256"], *manifest["versions"].values()):
            assert part in shown
        assert f"{manifest['texts']['positions']:,}" in shown


def test_verdicts_are_told_apart_without_colour(report):
    drawing = (report / "figures" / "one-value-cosine-model-layer-heads.svg").read_text()
    numbers = (report / "numbers" / "one-value-cosine-model-layer-heads.csv").read_text()
    hatched = len(re.findall(r"fill: url\(#", drawing))
    assert hatched == numbers.count("undetermined") + 1  # one in the legend
    assert drawing.count(">=</text>") == numbers.count("at chance")
