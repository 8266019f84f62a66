"""Where no reference is named it is the layer's own, at every door; the experiment's says what it is."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import zoo
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from headscope.commands.cli import main
from headscope.question import defaults
from tests.app.browsers import Browser
from tests.app.looks import chosen, shows, text
from tests.app.serving import Server

Ask = Callable[..., Any]
TOKEN, LAYER = 11, 2


def printed(*arguments: str) -> str:
    """What a command prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out, pytest.raises(SystemExit) as leave:
        main(list(arguments))
    assert not leave.value.code
    return out.getvalue()


def first_of(html: str) -> Any:
    """What the page was sent with."""
    return json.loads(html.split('id="first">')[1].split("</script>")[0])


@pytest.mark.long
@pytest.mark.parametrize("asked", [None, "input"])
def test_every_door_gives_the_same_answer(
    page: Browser, server: Server, ask: Ask, demo: Scope, asked: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice: dict[str, Any] = {} if asked is None else {"reference": asked}
    near = demo.read(defaults.TEXT).nearest(TOKEN, LAYER, **choice)
    assert near.question.reference == (asked or "layer")
    if asked is None:
        assert near.notes == ()
    else:
        (note,) = near.notes
        assert "two bases are unrelated" in note

    option = () if asked is None else ("--reference", asked)
    look = ("look", "--model", "demo", "--token", str(TOKEN), "--layer", str(LAYER), "--json")
    for told in (json.loads(printed(*look, *option)), answer := ask(token=TOKEN, layer=LAYER, **choice)):
        assert told["reference"] == near.question.reference
        assert told["notes"] == list(near.notes)
        assert [[one["id"] for one in head["neighbors"]] for head in told["heads"]] == near.ids.tolist()

    query = f"token={TOKEN}&layer={LAYER}" + "".join(f"&{name}={value}" for name, value in choice.items())
    page.open(f"{server.address}/?{query}")
    shows(page, answer)
    assert chosen(page)["reference"] == near.question.reference
    assert text(page, "#notes") == "".join(f"Note {note}" for note in near.notes)

    program = httpx.post(f"{server.address}/api/v1/take?{query}").raise_for_status().json()["script"]
    monkeypatch.setattr(Scope, "from_pretrained", lambda *_, **__: demo)
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(program, names)  # what a reader would run
    assert names["near"].question == near.question
    assert names["near"].ids.equal(near.ids)
    taken = httpx.get(f"{server.address}/api/v1/take/view.html?{query}").raise_for_status().text
    assert f"reference {near.question.reference}" in taken


@pytest.mark.slow
def test_every_question_has_the_same_default(reader: TestClient, scope_of: Any, tmp_path: Path) -> None:
    reading = scope_of("bert").read(defaults.TEXT)
    drawn = reading.map(1, 0, method="pca", size=60)
    other = reading.compare(reading, 2, 1)
    asked = [reading.nearest(2, 1).question, reading.atlas(2).question, drawn.question, other.one.question]
    assert {one.reference for one in [*asked, other.other.question]} == {"layer"}

    model, file = str(zoo.save("bert", tmp_path / "model")), tmp_path / "map.json"
    assert json.loads(printed("look", "--model", model, "--view", "atlas", "--json"))["reference"] == "layer"
    printed("map", "--model", model, "--method", "pca", "--size", "60", "-o", str(file))
    assert json.loads(file.read_text())["reference"] == "layer"

    def answer(route: str, **question: Any) -> Any:
        return reader.post(f"/api/v1/{route}", json=question).raise_for_status().json()

    for route in ("nearest", "background", "atlas"):
        assert answer(route)["reference"] == "layer", route
    both = answer("compare", layer=1, other={"reference": "input"})
    assert (both["one"]["reference"], both["other"]["reference"]) == ("layer", "input")


def test_at_layer_0_it_is_the_experiments(ask: Ask) -> None:
    first = ask()
    assert first["notes"] == []
    assert first | {"reference": "input"} == ask(reference="input")


@pytest.mark.slow
def test_it_stands_in_one_place(demo: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defaults, "REFERENCE", "input")
    reading = demo.read(defaults.TEXT)
    assert reading.nearest(TOKEN, LAYER).question.reference == reading.atlas(TOKEN).question.reference == "input"
    with TestClient(create_app(demo), base_url="http://127.0.0.1") as client:
        assert client.post("/api/v1/nearest", json={"layer": LAYER}).json()["reference"] == "input"
        assert first_of(client.get("/").text)["server"]["defaults"]["reference"] == "input"
        program = client.post(f"/api/v1/take?layer={LAYER}&compare=reference").json()["script"]
        assert "reference='layer'" in program
