"""An atlas in lines: each layer as it is found, and last the very answer that is given whole."""

from __future__ import annotations

import json
from collections.abc import Iterator
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
import zoo

from headscope import Scope
from headscope.app import create_app
from headscope.app.api.limits import Limits
from headscope.question.question import Question
from tests.app.gate import Gate
from tests.app.serving import Server
from tests.app.test_leaving import API, TEXT, ask, ended

LAYERS, HEADS = 3, 4
CHOICES: list[dict[str, Any]] = [
    {"html": True},
    {"token": 2, "reference": "input", "metric": "euclidean"},
    {"space": "output", "html": True, "candidates": "words"},
]


@pytest.fixture
def server(gate: Gate) -> Iterator[Server]:
    with Server(create_app(gate.scope, limits=Limits(ahead=False))) as running:
        ask(running, "nearest")
        yield running


def steps_to_a_layer(text: str) -> int:
    """How many steps of the model it takes until an atlas has its first layer, where a view of layer 0 was shown."""
    with TemporaryDirectory() as nothing, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSCOPE_CACHE", nothing)
        with Gate(Scope.from_model(*zoo.build("bert"))) as other:
            reading, steps = other.scope.read(text), []
            reading.nearest(1, 0)
            before = other.steps
            reading.ask_atlas(Question(None, "value", "layer", k=1), 1, lambda found: steps.append(other.steps))
    assert steps[0] < steps[-1], "the next layer takes none"
    return steps[0] - before


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("choices", CHOICES)
def test_the_layers_make_the_answer(server: Server, choices: dict[str, Any]) -> None:
    question = {"text": TEXT, **choices}
    answer = httpx.post(f"{server.address}{API}/atlas/layers", json=question, timeout=60)
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    *layers, last = [json.loads(line) for line in answer.text.splitlines()]
    assert last == ask(server, "atlas", **question).json()
    assert [one["layer"] for one in layers] == list(range(LAYERS))
    assert [cell for one in layers for cell in one["cells"]] == last["cells"]
    assert [one["rates"] for one in layers] == last["layers"]
    for one in layers:
        assert one["reference"] == last["reference"]
        assert ("html" in one) == choices.get("html", False)
        if "html" in one:
            row = one["html"].partition("<tbody")[2].partition(">")[2].partition("</tbody>")[0]
            assert row.strip() in last["html"]
            assert row.count("<td") == HEADS


@pytest.mark.slow
def test_what_is_at_hand_is_the_only_line(server: Server) -> None:
    whole = ask(server, "atlas", text=TEXT)
    assert ask(server, "atlas/layers", text=TEXT).content == whole.content + b"\n"


@pytest.mark.slow
def test_a_layer_comes_while_the_next_is_worked_out_and_who_leaves_ends_it(server: Server, gate: Gate) -> None:
    ask(server, "read", text=TEXT)
    gate.close(after=steps_to_a_layer(TEXT) + 1)
    with (
        httpx.Client(base_url=server.address, timeout=60) as client,
        client.stream("POST", f"{API}/atlas/layers", json={"text": TEXT}) as answer,
    ):
        lines = answer.iter_lines()  # once it is gone, so is the connection
        first = json.loads(next(lines))
        assert (first["layer"], len(first["cells"])) == (0, HEADS)
        assert gate.reached.wait(60)
    assert ended(server, gate)


@pytest.mark.slow
def test_a_question_that_is_none_is_refused_as_elsewhere(server: Server) -> None:
    for question in ({"token": 99}, {"space": "fitted"}, {"text": " "}):
        whole, lines = ask(server, "atlas", **question), ask(server, "atlas/layers", **question)
        assert (lines.status_code, lines.json()) == (whole.status_code, whole.json())
        assert lines.status_code == 422
