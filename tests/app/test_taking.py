"""What is taken away of a view holds the numbers of the API, and needs nothing that the reader does not have."""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import re
import struct
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from tests.app.browsers import Browser, Chromium
from tests.app.looks import choose, text
from tests.app.serving import Server

Ask = Callable[..., Any]
VIEWS = {
    "first view": "",
    "another layer": "token=11&layer=2&reference=input&metric=euclidean&position=false&candidates=words&mask=full",
    "comparison": "layer=2&compare=causal",
    "two references": "layer=2&compare=reference",
    "two texts": "token=2&compare=text&other_text=Who+flies+there",
    "embedding": "space=embedding&metric=dot&token=5",
    "what the space has not": "space=embedding&reference=input&vector=q&compare=reference",
    "atlas": "view=atlas&token=11",
    "atlas of what the space has not": "view=atlas&space=key&reference=isolated",
    "attention": "view=attention&token=5&layer=3&head=2&weigh=norms",
    "written": "view=written&layer=2&head=3&metric=dot",
    "journey": "view=journey&position=false",
    "layers": "view=layers&token=5",
    "map": "view=map&layer=2&head=1&reference=layer&method=pca&size=120&seed=3&map_at=2&map_k=4",
}


@pytest.fixture(scope="session")
def take(server: Server) -> Callable[[str, str], httpx.Response]:
    def get(name: str, query: str) -> httpx.Response:
        # As the page's sheet does: what the files need is read before any of them is asked for.
        sheet = httpx.post(f"{server.address}/api/v1/take?{query}", timeout=60)
        while sheet.status_code == 409 and "map" in sheet.json():
            sheet = httpx.post(f"{server.address}/api/v1/take?{query}", timeout=60)
        sheet.raise_for_status()
        if not name:
            return sheet
        return httpx.get(f"{server.address}/api/v1/take/{name}?{query}", timeout=60).raise_for_status()

    return get


def rows(response: httpx.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(response.text)))


def scope_answers(demo: Scope, name: str) -> Any:
    """A question of the views through the layers, put to the library."""
    reading = demo.read("Time flies like an arrow. Fruit flies like a banana.")
    given: dict[str, Any] = {"journey": {"position": False}, "effects": {"token": 5}}.get(name, {})
    return getattr(reading, name)(**given).to_pandas()


@pytest.mark.long
def test_a_map_is_taken_whole(take: Any, ask: Ask, server: Server) -> None:
    question = {"layer": 2, "head": 1, "reference": "layer", "method": "pca", "size": 120, "seed": 3, "at": 2, "k": 4}
    told = ask("map", **question)
    body = httpx.get(f"{server.address}/api/v1/map/{told['key']}/points").content
    table = rows(take("map.csv", VIEWS["map"]))
    at = [float(row[axis]) for row in table for axis in "xy"]
    assert at == pytest.approx(struct.unpack(f"<{len(body) // 4}f", body))
    assert [row["label"] for row in table][: len(told["labels"])] == told["labels"]
    assert {row["what"] for row in table} == {"vocabulary", "value", "output"}
    table = rows(take("moves.csv", VIEWS["map"]))
    assert [float(row["moved"]) for row in table] == told["texts"][0]["moved"]
    drawn = ET.fromstring(take("figure.svg", VIEWS["map"]).content)
    assert any("banana" in str(one.text) for one in drawn.iter("{http://www.w3.org/2000/svg}text"))
    offered = [file["name"] for file in take("", VIEWS["map"]).json()["files"]]
    assert offered == ["map.csv", "moves.csv", "figure.svg", "view.html", "reading.py"]


@pytest.mark.slow
def test_a_file_that_has_to_wait_for_tokens_read_alone_says_so(
    scope_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    tiny = scope_of("gpt2")
    own = Scope.from_model(tiny.bench.opened.model, tiny.bench.opened.names.tokenizer)
    with TestClient(create_app(own), base_url="http://127.0.0.1") as client:
        for query, what in (("reference=isolated", "values"), ("view=journey&isolated=true", "streams")):
            for _ in range(2):  # a GET begins nothing
                waits = client.get(f"/api/v1/take/view.html?{query}")
                assert waits.status_code == 409
                assert (waits.json()["isolated"]["what"], waits.json()["isolated"]["state"]) == (what, "absent")
            begun = client.post(f"/api/v1/take?{query}")
            assert begun.status_code == 409
            assert begun.json()["isolated"]["state"] == "working"
        # Attention asks nothing of a reference.
        query = "view=attention&reference=isolated"
        assert client.post(f"/api/v1/take?{query}").status_code == 200
        assert client.get(f"/api/v1/take/view.html?{query}").status_code == 200


@pytest.mark.slow
def test_the_tables_hold_every_number_of_the_api(take: Any, ask: Ask, demo: Scope) -> None:
    answer = ask(token=11, layer=2, reference="input")
    query = "token=11&layer=2&reference=input"
    told = [
        (head["head"], one["rank"], one["id"], one["token"], one["distance"], one["kind"])
        for head in answer["heads"]
        for one in head["neighbors"]
    ]
    table = rows(take("neighbors.csv", query))
    assert [
        (int(r["head"]), int(r["rank"]), int(r["id"]), r["token"], float(r["distance"]), r["kind"]) for r in table
    ] == told
    told = [(one["position"], one["distance"]) for head in answer["heads"] for one in head["positions"]]
    table = rows(take("positions.csv", query))
    assert [(int(r["position"]), float(r["distance"])) for r in table] == told
    cells = [one for reference in ("layer", "input") for one in ask("atlas", token=11, reference=reference)["cells"]]
    table = rows(take("atlas.csv", "view=atlas&token=11"))
    assert [(int(r["id"]), float(r["distance"])) for r in table] == [(one["id"], one["distance"]) for one in cells]
    answer = ask("attention", token=5, layer=3, head=2, weigh="norms")
    table = rows(take("attention.csv", VIEWS["attention"]))
    assert [float(r["share"]) for r in table] == [share for head in answer["heads"] for share in head["shares"]]
    for view, names in (("journey", ("journey", "mixing")), ("layers", ("glance", "effects"))):
        for name in names:
            found, table = scope_answers(demo, name), rows(take(f"{name}.csv", VIEWS[view]))
            assert [row.keys() for row in table] == [dict.fromkeys(found.columns).keys()] * len(found)
            last = found.columns[-1]
            told = [float(row[last]) if row[last] else None for row in table]
            assert told == [None if value != value else value for value in found[last]]
    table = rows(take("pattern.csv", VIEWS["attention"]))
    assert [float(r["norms"]) for r in table] == [value for row in answer["pattern"]["queries"] for value in row]


@pytest.mark.long
@pytest.mark.parametrize("query", VIEWS.values(), ids=VIEWS)
def test_every_file_that_is_offered_is_made(take: Any, query: str) -> None:
    offered = take("", query).json()
    for file in offered["files"]:
        made = take(file["name"], query)
        assert made.content, file
        assert f'filename="headscope-{file["name"]}"' in made.headers["content-disposition"]
    assert take("reading.py", query).text == offered["script"]


@pytest.mark.slow
@pytest.mark.parametrize(("view", "tables"), [("journey", 5 + 1), ("layers", 1 + 1)])
def test_what_is_told_of_the_layers_is_tables_in_the_one_file(take: Any, view: str, tables: int) -> None:
    made = take("view.html", VIEWS[view]).text
    assert made.count("<table") == tables
    assert "+ LayerNorm" in made
    assert made.count("<pre") == 1  # the program


@pytest.mark.slow
@pytest.mark.parametrize(("view", "token"), [("journey", 11), ("layers", 5)])
def test_the_figure_of_the_layers_has_the_tables_numbers(take: Any, demo: Scope, view: str, token: int) -> None:
    query = f"view={view}&token={token}"
    assert "figure.svg" in [file["name"] for file in take("", query).json()["files"]]
    drawn = ET.fromstring(take("figure.svg", query).content)
    words = {element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")}
    reading = demo.read("Time flies like an arrow. Fruit flies like a banana.")
    sheets = [*reading.glance().sheets(), reading.mixing().by_head(token), reading.atlas(token).by_head()]
    if view == "journey":
        sheets = [*reading.journey().sheets(), *reading.mixing().sheets()]
    figures = [sheet for sheet in sheets if sheet.figure is not None]
    assert len(figures) >= 2
    for sheet in figures:
        assert {cell.number for row in sheet.rows for cell in row.cells if cell.number} <= words
        assert {row.head.label for row in sheet.rows} <= words


def test_the_figure_is_an_svg_with_the_views_words(take: Any, ask: Ask) -> None:
    drawn = ET.fromstring(take("figure.svg", "token=11").content)
    words = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    best = ask(token=11)["heads"][1]["neighbors"][0]
    assert "▸" + best["label"] in words
    assert f"{best['distance']:.3f}" in words
    assert any("own token" in str(word) for word in words)
    assert "style" not in drawn.attrib
    assert not [element for element in drawn.iter() if element.tag.endswith("image")]


@pytest.mark.slow(cases=2)
@pytest.mark.parametrize("query", VIEWS.values(), ids=VIEWS)
def test_the_program_prints_the_views_numbers(
    take: Any, ask: Ask, demo: Scope, query: str, monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # a map's program draws it
    monkeypatch.setattr(Scope, "from_pretrained", lambda *_, **__: demo)
    program = take("reading.py", query).text
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        names: dict[str, Any] = {}
        exec(program, names)  # what a reader would run
    if "view" not in query:
        table = rows(take("neighbors.csv", query))
        assert names["near"].ids.flatten().tolist() == [int(r["id"]) for r in table]
        distances = names["near"].distances.flatten().tolist()
        assert distances == pytest.approx([float(r["distance"]) for r in table])
        table = rows(take("positions.csv", query))
        assert table[0]["label"] in printed.getvalue()
    if "compare" in query and "embedding" not in query:
        assert "shared" in printed.getvalue() or "overlap" in printed.getvalue()
    if "view=layers" in query:
        rows_of_glance = names["reading"].glance().to_dict()["heads"]
        table = rows(take("glance.csv", query))
        assert [float(r["entropy"]) for r in table] == [one["entropy"] for one in rows_of_glance]
    if "view=map" in query:
        found, table = names["found"].to_pandas(), rows(take("map.csv", query))
        assert found.x.tolist() == pytest.approx([float(r["x"]) for r in table])
        assert (tmp_path / "map.svg").exists()
    if "view=written" in query:
        found, table = names["reading"].written(2, metric="dot"), rows(take("written.csv", query))
        assert found.auc.flatten().tolist() == [float(r["auc"]) for r in table]
        assert "L2H3, what is written where" in printed.getvalue()
    if "attention" in query:
        table = rows(take("attention.csv", query))
        assert names["reading"].attention(5, 3, "norms").shares.flatten().tolist() == [float(r["share"]) for r in table]


@pytest.mark.parametrize(
    "query",
    ["compare=reference", "mask=full&compare=full", "compare=full", "space=embedding&compare=reference"],
)
def test_what_would_be_compared_with_itself_is_not_compared(take: Any, query: str) -> None:
    sheet = take("", query).json()
    assert [file["name"] for file in sheet["files"]][:3] == ["neighbors.csv", "positions.csv", "figure.svg"]
    assert "compared" not in sheet["script"]


@pytest.mark.slow
@pytest.mark.parametrize("reference", ["layer", "input"])
def test_an_atlas_is_taken_in_the_bases_that_the_page_flips(take: Any, page: Browser, reference: str) -> None:
    choose(page, "view", "atlas")
    page.wait("!document.querySelector('#basis').hidden && document.querySelector('#atlas .found')")
    page.click(f"#basis input[value={reference}]")
    page.wait(f"(new URLSearchParams(location.search).get('reference') ?? 'layer') === '{reference}'")
    bases = page.js(
        "[...document.querySelectorAll('#basis label')].filter((e) => !e.hidden).map((e) => e.control.value)"
    )
    taken = list(
        dict.fromkeys(row["reference"] for row in rows(take("atlas.csv", page.js("location.search.slice(1)"))))
    )
    assert sorted(taken) == sorted(bases)
    assert taken[0] == reference


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("place", ["sent along", "directory"])
def test_a_survey_is_taken_as_its_figures_and_a_program_that_prints_them(
    demo: Scope, few_sentences: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Scope, "from_pretrained", lambda *_, **__: demo)
    monkeypatch.chdir(few_sentences.parent)
    opened: dict[str, Any] = {"tested": True} if place == "sent along" else {"survey": few_sentences}
    with TestClient(create_app(demo, **opened), base_url="http://127.0.0.1") as client:
        sheet = client.post("/api/v1/take?view=survey").json()
        assert [file["name"] for file in sheet["files"]] == ["survey.csv", "reading.py"]
        table = list(csv.DictReader(io.StringIO(client.get("/api/v1/take/survey.csv?view=survey").text)))
        usual = client.post("/api/v1/usual", json={"layer": 1}).json()["heads"]
        other = client.post("/api/v1/take?view=survey&metric=dot").json()
    assert len(table) == 4 * demo.card.layers * demo.card.heads
    own = [float(row["value"]) for row in table if (row["layer"], row["figure"]) == ("1", "own")]
    assert own == [head["own"]["value"] for head in usual]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(sheet["script"], {})
    assert printed.getvalue().count("Stat(") == len(table)
    assert f"value={own[3]}" in printed.getvalue()
    assert (other["files"], other["script"][:11]) == ([], "# No survey")


@pytest.mark.slow
def test_text_and_vocabulary_cannot_break_out_of_any_file(take: Any) -> None:
    query = httpx.QueryParams({"text": "</title><script>alert(1)</script> ]]> & \" ' \x0b \\", "token": 3})
    ET.fromstring(take("figure.svg", str(query)).content)
    assert "<script>" not in take("view.html", str(query)).text
    compile(take("reading.py", str(query)).text, "reading.py", "exec")


def test_what_a_view_has_not_is_refused(server: Server) -> None:
    for name in ("pattern.csv", "nothing.exe", "..%2Freading.py"):
        refused = httpx.get(f"{server.address}/api/v1/take/{name}")
        assert refused.status_code in (404, 422)
        assert refused.json()["error"]


@pytest.mark.slow
@pytest.mark.engines(long=("firefox", "webkit"))
def test_the_one_file_opens_from_disk_with_the_network_off(
    browser: Browser, take: Any, ask: Ask, tmp_path: Path
) -> None:
    for name, query in (
        ("heads", "token=11&compare=causal"),
        ("atlas", "view=atlas"),
        ("attention", VIEWS["attention"]),
        ("written", VIEWS["written"]),
        ("map", VIEWS["map"]),
    ):
        file = tmp_path / f"{name}.html"
        file.write_bytes(take("view.html", query).content)
        names = ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink")  # of XML: nobody fetches them
        # The library that plots names hosts.
        own = re.sub("<script>.*?</script>", "", file.read_text("utf-8"), flags=re.S)
        assert "://" not in functools.reduce(lambda left, one: left.replace(one, ""), names, own)
        browser.open(file.as_uri())
        browser.wait("document.querySelector('#parts').dataset.shown")  # its script has drawn it
        assert browser.js("document.querySelectorAll('table, pre').length") >= 2
        if name == "map":  # whose figure is no table
            browser.wait("document.querySelector('.canvas[data-drawn]')")
            assert browser.js("document.querySelector('.canvas svg').getBoundingClientRect().width") > 300
        assert browser.js("performance.getEntriesByType('resource').length") == 0
        assert "Scope.from_pretrained" in browser.js("[...document.querySelectorAll('pre')].at(-1).textContent")


@pytest.mark.slow
def test_the_one_file_of_the_layers_names_its_bars_as_their_columns(
    browser: Browser, take: Any, tmp_path: Path
) -> None:
    (tmp_path / "layers.html").write_bytes(take("view.html", "view=layers").content)
    browser.open((tmp_path / "layers.html").as_uri())
    browser.wait("document.querySelector('#parts').dataset.shown")
    legend = browser.js(
        "[...document.querySelectorAll('.legend')].find((e) => e.textContent.includes('entropy')).textContent"
    )
    assert re.findall(r"Bars: (?!entropy)([^,]+), from", legend) == ["own", "previous", "special", "‖W_O z‖"]
    wide = browser.js(
        "[...document.querySelectorAll('.glance tbody th')].filter((e) => e.scrollWidth > e.clientWidth).length"
        " + 100 * (document.querySelector('.glance') === null)"
    )
    assert wide == 0  # no head's name runs into the numbers


@pytest.mark.slow
def test_the_sheet_offers_files_link_and_program(page: Browser, take: Any) -> None:
    choose(page, "layer", 2)
    choose(page, "view", "attention")
    page.wait("document.querySelector('#attention td')")
    page.click("[popovertarget=take]")
    page.wait("document.querySelectorAll('#files a').length === 4")
    query = page.js("location.search.slice(1)")
    assert text(page, "#script") == take("", query).json()["script"]
    assert page.js("document.querySelector('#link').value === location.href")
    wanted = page.js("[...document.querySelectorAll('#files a')].map((e) => e.getAttribute('href'))")
    assert all(href.startswith("api/v1/take/") and href.endswith(f"?{query}") for href in wanted)
    page.click("#take > .quiet")
    page.wait("!document.querySelector('#take').matches(':popover-open')")


@pytest.mark.slow
@pytest.mark.parametrize("allowed", [True, False])
def test_link_and_program_are_copied_wherever_the_page_is(page: Browser, allowed: bool) -> None:
    assert isinstance(page, Chromium)
    if not allowed:  # as where a page is neither on https nor on the reader's own machine
        page.js("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.click("[popovertarget=take]")
    page.wait("document.querySelector('#script').textContent.includes('scope.read')")
    for name, what in (("link", "value"), ("script", "textContent")):
        page.click(f"#copy-{name}")
        page.wait(f"document.querySelector('#copy-{name}').textContent === 'Copied'")
        page.js("(document.querySelector('#text').focus(), document.querySelector('#text').select())")
        page.page.keyboard.press("Control+V")
        copied, wanted = (
            page.js(f"document.querySelector('#{one}').{of}") for one, of in (("text", "value"), (name, what))
        )
        assert copied.strip() == wanted.strip() != ""


@pytest.mark.slow
def test_the_sheet_shows_no_link_and_no_program_of_the_view_before(page: Browser) -> None:
    assert isinstance(page, Chromium)
    page.click("[popovertarget=take]")
    page.wait("document.querySelector('#script').textContent.includes('scope.read')")
    page.click("#take > .quiet")
    choose(page, "layer", 3)
    page.wait("location.search.includes('layer=3')")
    page.page.route("**/api/v1/take?*", lambda route: None)  # its answer takes its time
    page.click("[popovertarget=take]")
    page.wait("document.querySelector('#link').value === location.href")
    assert text(page, "#script") == ""


@pytest.mark.long
def test_the_picture_is_the_figure_at_300_to_the_inch(page: Any, take: Any) -> None:
    page.click("[popovertarget=take]")
    page.wait("document.querySelector('#png')")
    with page.page.expect_download() as download:
        page.click("#png")
    picture = Path(download.value.path()).read_bytes()
    width = float(ET.fromstring(take("figure.svg", "").content).attrib["width"])
    assert struct.unpack(">I", picture[16:20])[0] == round(width * 300 / 96)
    assert download.value.suggested_filename == "headscope-figure.png"
