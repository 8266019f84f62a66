"""An answer that is made up here, of one class and one method of `Reading`: every surface has it from then on."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypedDict

import pytest
import zoo
from fastapi.testclient import TestClient
from torch import Tensor

from headscope import Scope
from headscope.app import create_app
from headscope.commands.cli import main
from headscope.question.choices import Metric, Reference, Space, check
from headscope.reading.answer import Answer
from headscope.reading.reading import Reading
from headscope.show.heat import heat
from headscope.show.sheet import Cell, Sheet, of_heads
from tests.app.browsers import Browser
from tests.app.conftest import HERE
from tests.app.serving import Server


class LoudnessRecord(TypedDict):
    """How long what each head writes is."""

    selected: int
    metric: Metric
    notes: list[str]
    lengths: list[list[float]]


@dataclass(frozen=True, repr=False, eq=False)
class Loudness(Answer):
    """The length of z [layer, head] at a token."""

    position: int
    metric: Metric
    lengths: Tensor

    def rows(self) -> list[dict[str, float]]:
        return [
            {"layer": layer, "head": head, "length": length}
            for layer, heads in enumerate(self.lengths.tolist())
            for head, length in enumerate(heads)
        ]

    def to_dict(self) -> LoudnessRecord:
        return {
            "selected": self.position,
            "metric": self.metric,
            "notes": ["Longer is not more."],
            "lengths": self.lengths.tolist(),
        }

    def sheets(self) -> tuple[Sheet, ...]:
        layers = [Cell(f"L{layer}") for layer in range(len(self.lengths))]
        caption = f"Length of what each head writes at position {self.position}"
        cells = heat(layers, self.lengths.tolist())
        return (Sheet("loudness", caption, of_heads(self.lengths.shape[1]), cells, notes=("Longer is not more.",)),)


def loudness(
    self: Reading,
    token: int | str = 1,
    metric: Metric = "euclidean",
    space: Space = "value",
    reference: Reference | None = None,
) -> Loudness:
    """How long what every head writes at `token` is.

    It takes no layer: all are told.
    """
    check(space, reference, metric)
    position = self.position_of(token)
    return Loudness(position, metric, self.z[:, position].norm(dim=-1))


@pytest.fixture(scope="module", autouse=True)
def made_up() -> Iterator[None]:
    """`Reading.loudness`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reading, "loudness", loudness, raising=False)
        yield


@pytest.fixture(scope="module")
def scope(made_up: None) -> Scope:
    return Scope.from_model(*zoo.build("gpt2"))


@pytest.fixture(scope="module")
def served(scope: Scope) -> Iterator[Server]:
    with Server(create_app(scope)) as running:
        yield running


@pytest.fixture(scope="module")
def expected(scope: Scope) -> Loudness:
    return loudness(scope.read(zoo.TEXT), 2)


def test_a_notebook_and_a_print_show_it(expected: Loudness) -> None:
    assert "Length of what each head writes at position 2" in str(expected)
    assert "<table" in expected._repr_html_()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(zoo.save("gpt2", tmp_path_factory.mktemp("gpt2")))


@pytest.mark.parametrize("form", ["", "--json", "--csv"])
def test_the_command_line_has_it_as_a_view(
    capsys: pytest.CaptureFixture[str], directory: str, expected: Loudness, form: str
) -> None:
    asked = ["look", zoo.TEXT, "--model", directory, "--view", "loudness", "--token", "2"]
    with pytest.raises(SystemExit) as left:
        main([*asked, *filter(None, [form])])
    said = capsys.readouterr()
    assert left.value.code == 0, said.err
    if form == "--json":
        told = json.loads(said.out)
        assert {"model", "text", "tokens"} < set(told)
        assert told["lengths"] == expected.to_dict()["lengths"]
        assert told["metric"] == "euclidean"  # its own default: nothing else was said
    elif form == "--csv":
        assert [float(row["length"]) for row in csv.DictReader(io.StringIO(said.out))] == [
            row["length"] for row in expected.rows()
        ]
    else:
        assert expected.sheets()[0].caption in said.out
        assert "Longer is not more." in said.out


def test_an_option_that_it_has_no_use_for_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["look", "--view", "loudness", "--layer", "1"])
    assert left.value.code == 2
    assert (
        capsys.readouterr().err
        == "headscope: --layer is for --view heads, attention, written, portrait or removed, not loudness.\n"
    )


@pytest.mark.slow
def test_the_api_answers_it_and_describes_it(scope: Scope, expected: Loudness) -> None:
    with TestClient(create_app(scope), base_url=HERE) as client:
        answer = client.post("/api/v1/loudness", json={"text": zoo.TEXT, "token": 2, "html": True}).json()
        assert answer["lengths"] == expected.to_dict()["lengths"]
        assert expected.sheets()[0].caption in answer["html"]
        refused = client.post("/api/v1/loudness", json={"layer": 1})
        assert refused.status_code == 422
        described = client.get("/api/v1/openapi.json").json()
        fields = described["components"]["schemas"]["LoudnessAsk"]["properties"]
        assert {"token", "metric", "text", "mask", "html"} <= set(fields)
        assert (
            described["paths"]["/api/v1/loudness"]["post"]["summary"]
            == "How long what every head writes at `token` is."
        )


@pytest.mark.slow
def test_it_is_taken_away(scope: Scope, expected: Loudness) -> None:
    query = {"view": "loudness", "text": zoo.TEXT, "token": "2"}
    with TestClient(create_app(scope), base_url=HERE) as client:
        told = client.post("/api/v1/take", params=query).json()
        assert [file["name"] for file in told["files"]] == ["loudness.csv", "view.html", "reading.py"]
        assert told["script"].endswith("print(reading.loudness(token=2))\n")
        rows = list(csv.DictReader(io.StringIO(client.get("/api/v1/take/loudness.csv", params=query).text)))
        assert [float(row["length"]) for row in rows] == [row["length"] for row in expected.rows()]
        assert expected.sheets()[0].caption in client.get("/api/v1/take/view.html", params=query).text


@pytest.mark.slow
@pytest.mark.parametrize("space", ["value", "embedding"])  # which has no references
def test_the_page_has_it_as_a_view(served: Server, expected: Loudness, browser: Browser, space: str) -> None:
    browser.errors.clear()
    browser.open(f"{served.address}/?view=loudness&text={zoo.TEXT}&token=2&space={space}")
    browser.wait("document.querySelector('#offered td')")
    shown = browser.js("[...document.querySelectorAll('#offered tbody td')].map((cell) => cell.textContent.trim())")
    assert shown == [cell.number for row in expected.sheets()[0].rows for cell in row.cells]
    assert browser.js("document.querySelector('input[name=view]:checked').parentElement.textContent") == "Loudness"
    assert browser.js("document.querySelector('#title').textContent").startswith("Loudness at ")
    assert browser.js("document.querySelector('#notes').textContent") == "Note Longer is not more."
    visible = "[...document.querySelectorAll('#controls [data-control]')].filter((one) => !one.hidden)"
    controls = browser.js(f"{visible}.map((one) => one.dataset.control)")
    assert "metric" in controls
    assert "layer" not in controls
    assert browser.errors == []
