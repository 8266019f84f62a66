"""The guided visit: it says what was measured on this model and text, and stands beside what it describes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import zoo

from headscope import Scope
from headscope.app import create_app
from headscope.app.page.classroom import hides
from tests.app.browsers import Browser
from tests.app.looks import chosen, shows, text, write
from tests.app.serving import Server

READY = "document.readyState === 'complete' && document.querySelector('#neighbors td')"
SETTLED = "!document.querySelector('[data-busy]') && document.querySelector('#making').hidden"
OF_TEXT = ("own", "text")


@pytest.fixture(scope="module", params=["demo", "albert", "qwen2"])
def visited(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Servers of a model whose bases differ, of one whose layers share W_V, and of a causal one of grouped heads."""
    name = request.param
    scope = request.getfixturevalue("demo") if name == "demo" else Scope.from_model(*zoo.build(name))
    with Server(create_app(scope)) as running:
        yield running


def asked(server: Server, route: str, **question: Any) -> Any:
    answer = httpx.post(f"{server.address}/api/v1/{route}", json=question, timeout=240)
    return answer.raise_for_status().json()


def opened(page: Browser, server: Server) -> None:
    page.errors.clear()
    page.open(server.address)
    page.wait(READY)
    page.click("#visit")
    page.wait("document.querySelector('#tour-at').textContent.startsWith('1 of')", 60)


def onward(page: Browser) -> None:
    before = text(page, "#tour-at")
    page.click("#tour-next")
    page.wait(f"document.querySelector('#tour-at').textContent !== '{before}'")


def told(page: Browser) -> tuple[str, str]:
    page.wait(SETTLED, 30)
    return text(page, "#tour-title"), text(page, "#tour-says")


def quoted(label: str) -> str:
    return f"“{label.strip('␣')}”"


def of_text(server: Server, reference: str, token: int) -> list[tuple[int, int, bool, int]]:
    """Above layer 0, whether each head is nearest to a token of the text: (layer, head, whether, id)."""
    cells = asked(server, "atlas", token=token, reference=reference)["cells"]
    return [(one["layer"], one["head"], one["kind"] in OF_TEXT, one["id"]) for one in cells if one["layer"]]


@pytest.mark.slow(cases=1)
def test_every_sentence_holds_the_numbers_of_this_model_and_text(browser: Browser, visited: Server) -> None:
    tokens = asked(visited, "read")["tokens"]
    opened(browser, visited)

    # A head that keeps its token, or how near the nearest comes.
    title, says = told(browser)
    at, head = chosen(browser)["token"], int(chosen(browser)["head"])
    near = asked(visited, "nearest", token=at)
    shows(browser, near)
    own = near["heads"][head]
    keeping = [one["head"] for one in near["heads"] if one["neighbors"][0]["kind"] == "own"]
    assert says.count(quoted(near["tokens"][at]["label"])) == 2
    if keeping:
        assert head in keeping
        assert f"nearest to head {head}’s" in says
        assert f"at {len(keeping)} of {len(near['heads'])} heads" in says
    else:
        assert title == "No head keeps its token"
        assert own["own"]["rank"] == min(one["own"]["rank"] for one in near["heads"])
        assert f"head {head}, which ranks" in says
        assert f"{own['own']['rank']:,} of" in says

    # A head that writes another token of the text.
    onward(browser)
    title, says = told(browser)
    at = chosen(browser)["token"]
    near = asked(visited, "nearest", token=at)
    shows(browser, near)
    others = [one["head"] for one in near["heads"] if one["neighbors"][0]["kind"] == "text"]
    if others:
        first = near["heads"][int(chosen(browser)["head"])]["neighbors"][0]
        assert says.startswith(f"{quoted(near['tokens'][at]['label'])} is selected.")
        assert quoted(first["label"]) in says
        assert all(str(position) in says for position in first["positions"])
        assert f"{len(others)} of {len(near['heads'])} heads" in says
    else:
        assert title == "No head writes another token"

    # Where it looked.
    onward(browser)
    title, says = told(browser)
    at, head = chosen(browser)["token"], int(chosen(browser)["head"])
    shares = asked(visited, "attention", token=at)["heads"][head]["shares"]
    most = max(range(len(shares)), key=shares.__getitem__)
    listed = {one["id"]: one["rank"] for one in asked(visited, "nearest", token=at)["heads"][head]["neighbors"]}
    browser.wait("document.querySelector('#attention td')")
    assert f"{shares[most]:.2f}, to {quoted(tokens[most]['label'])} at position {most}" in says
    rank = listed.get(tokens[most]["id"])
    assert ("it is not among the 15" if rank is None else f"it has rank {rank} ") in says

    # All heads in the one basis, and in the other.
    onward(browser)
    title, says = told(browser)
    at = chosen(browser)["token"]
    old, new = (of_text(visited, reference, at) for reference in ("input", "layer"))
    before, after = (sum(one[2] for one in side) for side in (old, new))
    assert chosen(browser)["view"] == "atlas"
    assert f"{before} of {len(old)} heads" in says
    assert "reference=input" in browser.js("location.search")
    onward(browser)
    title, says = told(browser)
    assert "reference=input" not in browser.js("location.search")
    assert chosen(browser)["token"] == at
    changed = sum(one[3] != other[3] for one, other in zip(old, new, strict=True))
    if not changed:
        assert title == "Here the basis changes nothing"
        assert f"all {len(old)} heads above layer 0 keep the same nearest token: {after}" in says
    elif before == after:
        assert title == "Here the basis changes nothing in the count"
        assert f"{after} of {len(old)} heads either way" in says
    else:
        assert f"{after} of {len(old)} heads, where it was {before}" in says
        assert f"{changed} head" in says

    # The last layer.
    onward(browser)
    title, says = told(browser)
    at, layer = chosen(browser)["token"], int(chosen(browser)["layer"])
    near = asked(visited, "nearest", token=at, layer=layer)
    shows(browser, near)
    assert layer == max(one[0] for one in old)
    count = sum(one["neighbors"][0]["kind"] in OF_TEXT for one in near["heads"])
    ranks = [one["own"]["rank"] for one in near["heads"]]
    assert f"{count} of {len(ranks)} heads" in says
    assert f"Head {ranks.index(min(ranks))} ranks {quoted(near['tokens'][at]['label'])} best, {min(ranks):,} of" in says

    # No survey is open.
    onward(browser)
    assert "no survey" in told(browser)[1].lower()
    assert text(browser, "#tour-next") == "Done"
    browser.click("#tour-next")
    assert browser.js("document.querySelector('#tour').hidden")
    assert browser.errors == []


@pytest.mark.long
def test_models_are_told_apart(demo: Scope) -> None:
    """No step says the same of a model whose layers share W_V, of a causal one, and of one with bases of its own."""
    said = []
    for scope in (demo, *(Scope.from_model(*zoo.build(name)) for name in ("albert", "qwen2"))):
        with Server(create_app(scope)) as server:
            said.append([one["says"] for one in asked(server, "visit")["steps"][:-1]])
    assert all(len(set(step)) == 3 for step in zip(*said, strict=True))
    assert "keep the same nearest token" in said[1][4]


@pytest.mark.slow
def test_the_steps_are_about_tables_that_a_class_can_see(server: Server) -> None:
    for step in asked(server, "visit")["steps"][:-1]:
        view = step["view"]
        if view["view"] == "heads":
            near = asked(server, "nearest", token=view["token"], layer=view["layer"])
            labels = [one["label"] for head in near["heads"] for one in head["neighbors"]]
        elif view["view"] == "attention":
            labels = [one["label"] for one in asked(server, "read")["tokens"]]
        else:
            both = [asked(server, "atlas", token=view["token"], reference=name) for name in ("input", "layer")]
            labels = [cell["label"] for answer in both for cell in answer["cells"]]
        assert not any(map(hides, labels))
        assert step["hidden"] == 0


def test_a_token_that_sees_nothing_but_itself_is_no_finding(server: Server) -> None:
    alone = asked(server, "visit", text="time flies like", special=False, mask="causal")["steps"]
    assert all(step["view"]["token"] > 0 for step in alone[:-1])


def test_a_step_whose_tables_are_not_clean_says_so(server: Server) -> None:
    steps = asked(server, "visit", text="naked")["steps"]
    looked = next(one for one in steps if one["view"]["view"] == "attention")
    assert looked["hidden"] == 1
    assert "hold a word that the switch Classroom hides" in looked["says"]


@pytest.mark.long
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 768), (720, 450), (390, 844)])
def test_it_is_a_part_of_the_page_and_covers_nothing(page: Browser, width: int, height: int, server: Server) -> None:
    page.resize(width, height)
    opened(page, server)
    for _ in range(3):
        told(page)
        # In one breath: its words may change between two questions.
        boxes = "['#tour', '#view'].map((one) => document.querySelector(one).getBoundingClientRect().toJSON())"
        tour, view = page.js(boxes)
        assert tour["y"] + tour["height"] <= view["y"]
        assert tour["x"] >= 0
        assert tour["x"] + tour["width"] <= width
        assert page.js("document.documentElement.scrollWidth <= innerWidth")
        assert page.js("getComputedStyle(document.querySelector('#tour')).position") == "static"
        onward(page)


@pytest.mark.slow
def test_keys_lead_through_it_and_out_of_it(page: Browser) -> None:
    active = "document.activeElement.id"
    page.js("document.querySelector('#visit').focus()")
    page.press("Enter")
    page.wait("document.querySelector('#tour-at').textContent.startsWith('1 of')", 60)
    assert page.js(active) == "tour"
    page.press("Tab")
    assert page.js(active) == "tour-next"
    page.press("Enter")
    page.wait("document.querySelector('#tour-at').textContent.startsWith('2 of')")
    assert page.js(active) == "tour-next"
    page.press("Escape")
    page.wait("document.querySelector('#tour').hidden")
    assert page.js(active) == "visit"
    assert text(page, "#tour-at").startswith("2 of"), "where it was left is what is shown"


@pytest.mark.slow
def test_it_is_of_the_readers_own_text_and_begins_anew_on_another(page: Browser, server: Server) -> None:
    page.open(f"{server.address}/?text=The+bank+of+the+river&mask=causal")
    page.wait(READY)
    page.click("#visit")
    page.wait("document.querySelector('#tour-at').textContent.startsWith('1 of')", 60)
    assert told(page)[1] == asked(server, "visit", text="The bank of the river", mask="causal")["steps"][0]["says"]
    onward(page)
    write(page, "Something else")
    page.press("Enter")
    page.wait("document.querySelector('#tour-at').textContent.startsWith('1 of')", 60)
    told_of_it = asked(server, "visit", text="Something else", mask="causal")["steps"]
    assert told(page)[1] == told_of_it[0]["says"]
    onward(page)
    assert told(page)[1] == told_of_it[1]["says"]
    assert (chosen(page)["text"], chosen(page)["mask"]) == ("Something else", "causal")
    page.go(-1)
    page.wait("document.querySelector('#tour').hidden")  # the view that is gone back to is not the step's


def test_a_survey_that_is_open_is_the_last_step() -> None:
    from headscope.app.page.visit import surveyed

    survey: Any = {"name": "deeds", "texts": 1234, "concluded": ["One line.", "Another."]}
    says = surveyed(survey)["says"]
    assert re.search(r"Survey deeds, 1,234 texts: One line\. Another\.", says)
    assert "no survey" not in says.lower()
