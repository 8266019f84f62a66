"""A survey beside the readings: opened by the command, over the API, and shown under the heads' names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow", reason="surveys are not installed (extra: survey)")

import httpx
import pyarrow.parquet as pq
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from headscope.app.api.limits import Limits
from headscope.commands.cli import main
from headscope.studies.survey.report.three_lines import of_directory
from tests.app.browsers import Browser
from tests.app.conftest import SENTENCES
from tests.app.looks import ATLAS_STANDS, choose, shows
from tests.app.serving import Server
from tests.studies.survey.damage import make_to_fit

HERE = "http://127.0.0.1"
pytestmark = pytest.mark.slow  # for the survey that they stand on


@pytest.fixture(scope="module")
def directory(few_sentences: Path) -> Path:
    return few_sentences


@pytest.fixture(scope="module")
def client(demo: Scope, directory: Path) -> Iterator[TestClient]:
    """A client that only asks."""
    with TestClient(create_app(demo, open_model=lambda name, progress: demo, survey=directory), base_url=HERE) as one:
        yield one


FIELDS = (
    *("value", "chance", "difference", "difference_low", "difference_high", "verdict", "small", "smallest"),
    "positions",
)


def usual(client: TestClient, **ask: Any) -> Any:
    answer = client.post("/api/v1/usual", json=ask)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_api_tells_the_figures_of_the_survey(client: TestClient, directory: Path) -> None:
    told = usual(client, layer=3)
    assert told["says"] is None
    assert told["survey"]["name"] == "few sentences"
    assert told["survey"]["texts"] == len(SENTENCES)
    assert tuple(told["survey"]["concluded"]) == of_directory(directory)
    assert [head["head"] for head in told["heads"]] == list(range(12))
    rows = pq.read_table(directory / "statistics.parquet").to_pylist()
    for statistic, name in (
        *(("in_text", "in_text"), ("own", "own"), ("carry", "carry"), ("auc_own", "topic"), ("signal", "signal")),
    ):
        found = {
            row["head"]: row
            for row in rows
            if (row["statistic"], row["layer"], row["reference"], row["by"]) == (statistic, 3, "layer", "all")
        }
        for head in told["heads"]:
            for field in FIELDS:
                assert head[name][field] == found[head["head"]][field]


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        ({"space": "output"}, "the space output; it has value"),
        ({"reference": "isolated"}, "the reference isolated; it has input, layer"),
        ({"metric": "dot"}, "the metric dot; it has cosine"),
        ({"mask": "causal"}, "the mask causal; it has model"),
        ({"candidates": "words"}, "the candidates words; it has all"),
        ({"position": False}, "position embeddings off"),
        ({"vector": "v"}, "vectors v: it measures the heads' outputs"),
    ],
)
def test_what_the_survey_did_not_measure_is_said(client: TestClient, ask: dict[str, Any], says: str) -> None:
    told = usual(client, **ask)
    assert told["heads"] is None
    assert told["says"] == f"The survey has no figures for {says}."


def test_a_layer_that_is_not_there_is_refused(client: TestClient) -> None:
    answer = client.post("/api/v1/usual", json={"layer": 6})
    assert answer.status_code == 422
    assert "layers 0 to 5" in answer.json()["error"]


def test_beside_a_survey_the_page_shows_the_answer_that_it_was_sent_with(
    browser: Browser, demo: Scope, directory: Path
) -> None:
    with Server(create_app(demo, survey=directory)) as server:
        httpx.post(f"{server.address}/api/v1/nearest", json={"html": True}, timeout=240).raise_for_status()
        browser.open(server.address)
        browser.wait("document.querySelector('#neighbors .usually')")
        asked = "performance.getEntriesByType('resource').map((e) => e.name.split('/').pop()).filter((e) => e === '{}')"
        assert browser.js(f"{asked.format('usual')}.length") == 1
        assert browser.js(f"{asked.format('nearest')}.length") == 0
        # Whoever comes back to it has it asked: the model may be another one by then.
        browser.click("#tokens [data-position='3']")
        browser.wait("document.querySelector('#neighbors caption').textContent.includes('at 3 ')")
        browser.click("#tokens [data-position='1']")
        browser.wait("document.querySelector('#neighbors caption').textContent.includes('at 1 ')")
        assert browser.js(f"{asked.format('nearest')}.length") == 2


def test_a_survey_is_opened_by_its_directory_from_this_machine_only(demo: Scope, directory: Path) -> None:
    with TestClient(create_app(demo, open_model=lambda name, progress: demo), base_url=HERE) as here:
        told = here.get("/api/v1/survey").json()
        assert (told["survey"], told["may_open"], told["testing"]["state"]) == (None, True, "absent")
        assert usual(here)["says"] == "No survey is open."
        opened = here.post("/api/v1/survey", json={"directory": str(directory)})
        assert opened.status_code == 200
        assert opened.json()["survey"]["name"] == "few sentences"
        for wrong, sentence in ((str(directory / "shards"), "is no survey"), ("x" * 900, "cannot be read")):
            refused = here.post("/api/v1/survey", json={"directory": wrong})
            assert refused.status_code == 422
            assert sentence in refused.json()["error"]
        assert usual(here)["heads"]
    with TestClient(create_app(demo, survey=directory), base_url=HERE) as elsewhere:
        refused = elsewhere.post("/api/v1/survey", json={"directory": str(directory)})
        assert refused.status_code == 403
        assert "name a survey where it is started" in refused.json()["error"]
        assert elsewhere.get("/api/v1/survey").json()["may_open"] is False


def test_a_survey_of_other_weights_is_refused(
    directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = tmp_path / "other"
    shutil.copytree(directory, copied)
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["model"] |= {"weights_sha256": "0" * 64, "name": "another"}
    (copied / "manifest.json").write_text(json.dumps(manifest))
    make_to_fit(copied)
    with pytest.raises(SystemExit) as left:
        main(["serve", "--model", "demo", "--port", "0", "--no-browser", "--survey", str(copied)])
    assert left.value.code == 2
    assert "is of other weights (another" in capsys.readouterr().err


@pytest.fixture
def beside(browser: Browser, demo: Scope, directory: Path) -> Iterator[tuple[Browser, Callable[..., Any]]]:
    """The page of a server that may open surveys and has none open yet; and how to ask it."""
    with Server(create_app(demo, open_model=lambda name, progress: demo)) as running:

        def ask(route: str, **question: Any) -> Any:
            return httpx.post(f"{running.address}/api/v1/{route}", json=question, timeout=60).raise_for_status().json()

        browser.errors.clear()
        browser.open(running.address)
        browser.wait("document.readyState === 'complete' && document.querySelector('#neighbors td')")
        yield browser, ask
        assert browser.errors == []


@pytest.mark.long
def test_figures_stand_under_the_heads_names(beside: tuple[Browser, Callable[..., Any]], directory: Path) -> None:
    page, ask = beside
    assert not page.js("document.querySelector('.usually')")
    choose(page, "view", "survey")
    page.wait("document.querySelector('#survey-directory')")
    page.click("#survey-directory")
    page.press(str(directory / "nowhere"))
    page.click("#open-survey button")
    page.wait("document.querySelector('#survey-problem').textContent.includes('is no directory')")
    page.errors.clear()  # the browser tells a refusal as one
    page.js("document.querySelector('#survey-directory').value = ''")
    page.click("#survey-directory")
    page.press(str(directory))
    page.click("#open-survey button")
    page.wait("document.querySelectorAll('#survey [data-sheet=figures] tbody td').length === 72")
    assert page.js("document.querySelector('#survey-problem').hidden")
    values = (
        "[...document.querySelectorAll('#survey [data-sheet=figures] td[data-value]')].map((e) => +e.dataset.value)"
    )
    for name in ("in_text", "own", "carry", "signal"):
        page.click(f"#survey [data-figure={name}]")
        page.wait(f"document.querySelector('#survey [data-figure={name}]').ariaPressed === 'true'")
        told = [head[name]["difference"] for layer in range(6) for head in ask("usual", layer=layer)["heads"]]
        assert page.js(values) == pytest.approx(told, rel=1e-5, abs=1e-9)
    assert page.js("document.querySelectorAll('#survey .plot svg').length") == 3
    lines = "[...document.querySelectorAll('#survey .concluded li')].map((e) => e.textContent)"
    assert tuple(page.js(lines)) == of_directory(directory)
    choose(page, "view", "heads")
    page.wait("document.querySelectorAll('#neighbors .usually').length === 4")
    for layer, reference in ((0, "input"), (4, "layer")):
        choose(page, "layer", layer)
        choose(page, "reference", reference)
        shows(page, ask("nearest", layer=layer, reference=reference))
        heads = ask("usual", layer=layer, reference=reference)["heads"]
        marks = [head[name]["verdict"] for name in ("in_text", "own", "carry", "signal") for head in heads]
        found = "[...document.querySelectorAll('#neighbors .usually td')]"
        page.wait(f"{json.dumps(marks)}.every((mark, n) => {found}[n]?.dataset.says.includes(', ' + mark))")
    choose(page, "metric", "dot")
    page.wait("document.querySelector('.usual-says').textContent.includes('no figures for the metric dot')")
    assert not page.js("document.querySelector('.usually')")
    choose(page, "metric", "cosine")
    choose(page, "compare", "causal")
    page.wait("document.querySelectorAll('#neighbors.figure .versus .usually [colspan=\"2\"]').length === 48")
    choose(page, "view", "atlas")
    page.wait(ATLAS_STANDS)


def test_what_is_usual_is_asked_once_for_all_tokens(browser: Browser, demo: Scope, directory: Path) -> None:
    app = create_app(demo, survey=directory, limits=Limits(ahead=False))
    with Server(app) as running:
        browser.open(f"{running.address}/?token=3")
        browser.wait("document.querySelectorAll('#neighbors .usually').length === 4")
        browser.wait("document.querySelector('.verdict-words .surveyed')")
        for token in (4, 5):
            browser.click(f"#tokens [data-position='{token}']")
            browser.wait(f"document.querySelector('#title').textContent.includes('position {token}')")
            browser.wait("document.querySelectorAll('#neighbors .usually').length === 4")
            browser.wait(f"!document.querySelector('#verdict').ariaBusy && document.title.includes('position {token}')")
        asked = "performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/usual')).length"
        assert browser.js(asked) == 1
        choose(browser, "layer", 2)
        browser.wait("document.querySelector('#title').textContent.startsWith('Layer 2')")
        assert browser.js(asked) == 2
        concluded = httpx.post(f"{running.address}/api/v1/usual", json={"layer": 2}, timeout=60).json()["concluded"]
        browser.wait(f"document.querySelector('.surveyed')?.textContent === {json.dumps(concluded)}")
