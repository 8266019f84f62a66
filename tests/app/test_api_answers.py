"""The API answers as the library does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from aside import HEADSCOPE, Program
from fastapi.testclient import TestClient
from pydantic import TypeAdapter

from headscope import Scope
from headscope.app import create_app
from headscope.app.api.table import TABLE
from headscope.reading.answer import token_record
from headscope.reading.told import look_record

API = "/api/v1"


def described(path: str, answer: object) -> None:
    """The answer is of the type that its address answers with."""
    row = next(row for row in TABLE if row.path == path)
    TypeAdapter(row.answer).validate_python(answer)


def test_health(reader: TestClient) -> None:
    assert reader.get(f"{API}/health").json()["status"] == "ok"


def test_models_names_the_open_model_and_why(reader: TestClient, demo: Scope) -> None:
    answer = reader.get(f"{API}/models").json()
    described("models", answer)
    assert answer["open"][0]["name"] == demo.card.name
    assert answer["open"][0]["why"] == demo.card.why
    assert answer["open"][0]["capture_error"] == demo.card.capture_error


def test_read_gives_the_tokens(reader: TestClient, demo: Scope) -> None:
    answer = reader.post(f"{API}/read", json={"text": "Hello there", "mask": "causal"}).json()
    described("read", answer)
    assert answer["mask"] == "causal"
    assert answer["tokens"] == [token_record(token) for token in demo.read("Hello there").tokens]


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"token": "banana", "layer": 3, "reference": "input", "metric": "dot", "k": 3},
        {"token": 4, "candidates": "words", "position": False, "mask": "causal", "metric": "euclidean"},
    ],
    ids=["defaults", "the experiment's basis", "words"],
)
def test_nearest_is_what_the_library_finds(reader: TestClient, demo: Scope, question: dict[str, object]) -> None:
    answer = reader.post(f"{API}/nearest", json=question).json()
    described("nearest", answer)
    asked = dict(question)
    reading = demo.read("Time flies like an arrow. Fruit flies like a banana.", asked.pop("mask", "model"))
    near = reading.nearest(**asked)
    rows = reading.nearest_positions(asked.get("token", 1), asked.get("layer", 0), asked.get("metric", "cosine"))
    assert answer == json.loads(json.dumps(look_record(demo.card, reading, near, rows)))


@pytest.mark.long
def test_nearest_is_what_the_command_line_prints(reader: TestClient, tmp_path: Path) -> None:
    command = ["look", "Two words", "--model", "demo", "--json", "-k", 4]
    printed = Program(HEADSCOPE, *command, folder=tmp_path)
    assert printed.wait() == 0
    answer = reader.post(f"{API}/nearest", json={"text": "Two words", "k": 4}).json()
    told = json.loads(printed.out)
    assert told.pop("verdict").startswith("Layer 0: ")  # the page asks for it by itself
    assert answer == told


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize(
    "question",
    [{}, {"token": "banana", "layer": 2, "reference": "input", "metric": "euclidean", "candidates": "words", "k": 4}],
    ids=["defaults", "words"],
)
def test_background_is_what_the_library_finds(reader: TestClient, demo: Scope, question: dict[str, object]) -> None:
    answer = reader.post(f"{API}/background", json=question).json()
    described("background", answer)
    reading = demo.read("Time flies like an arrow. Fruit flies like a banana.")
    found = reading.background(reading.nearest(**question))  # type: ignore[arg-type]
    assert answer == json.loads(json.dumps(found.to_dict()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shared", "other_mask", "other_reference"),
    [
        ({"layer": 3, "token": "banana", "metric": "dot", "k": 4}, "causal", "layer"),
        ({"layer": 2}, "model", "input"),
        ({"layer": 1, "position": False}, "full", "input"),
    ],
    ids=["mask", "reference", "both"],
)
def test_compare_is_what_the_library_finds(
    reader: TestClient, demo: Scope, shared: dict[str, object], other_mask: str, other_reference: str
) -> None:
    other = {"mask": other_mask, "reference": other_reference}
    answer = reader.post(f"{API}/compare", json={**shared, "other": other}).json()
    described("compare", answer)
    text = "Time flies like an arrow. Fruit flies like a banana."
    found = demo.read(text).compare(demo.read(text, other_mask), **shared, other_reference=other_reference)
    assert answer["heads"] == found.rows()
    assert answer["one"] == reader.post(f"{API}/nearest", json=shared).json()
    assert answer["other"] == reader.post(f"{API}/nearest", json={**shared, **other}).json()


def test_compare_with_nothing_changed_is_the_same_twice(reader: TestClient) -> None:
    answer = reader.post(f"{API}/compare", json={"k": 3}).json()
    assert answer["one"] == answer["other"]
    assert {(head["overlap"], head["moved"]) for head in answer["heads"]} == {(1.0, 0)}


def test_compare_keeps_to_candidates(reader: TestClient) -> None:
    question = {"candidates": "words", "layer": 2}
    answer = reader.post(f"{API}/compare", json={**question, "other": {"mask": "causal"}}).json()
    assert answer["other"] == reader.post(f"{API}/nearest", json={**question, "mask": "causal"}).json()


def test_atlas_is_what_the_library_finds(reader: TestClient, demo: Scope) -> None:
    answer = reader.post(f"{API}/atlas", json={"text": "Hello there", "token": 2}).json()
    described("atlas", answer)
    assert answer == json.loads(json.dumps(demo.read("Hello there").atlas(2).to_dict()))


@pytest.mark.parametrize("weigh", ["weights", "norms"])
def test_attention_is_what_the_library_finds(reader: TestClient, demo: Scope, weigh: str) -> None:
    answer = reader.post(f"{API}/attention", json={"token": "banana", "layer": 2, "weigh": weigh, "head": 7}).json()
    described("attention", answer)
    reading = demo.read("Time flies like an arrow. Fruit flies like a banana.")
    pattern = {"head": 7, "queries": reading.pattern_of(2, weigh)[7].tolist()}
    assert answer == reading.attention("banana", 2, weigh).to_dict() | {"pattern": pattern}
    assert answer["pattern"]["queries"][11] == answer["heads"][7]["shares"]


def test_what_is_written_where_is_what_the_library_finds(reader: TestClient, demo: Scope) -> None:
    question = {"text": "Hello there", "layer": 2, "reference": "input", "metric": "dot", "head": 7}
    answer = reader.post(f"{API}/written", json=question).json()
    described("written", answer)
    found = demo.read("Hello there").written(2, "value", "input", "dot", True, 7)
    assert answer == json.loads(json.dumps(found.to_dict()))


def test_first_view_is_in_the_page(reader: TestClient) -> None:
    answer = reader.post(f"{API}/nearest", json={"html": True}).json()
    html = reader.get("/").text
    first = json.loads(html.split('id="first">')[1].split("</script>")[0])
    assert first["answer"] == answer


def test_page_carries_text_as_data(reader: TestClient) -> None:
    text = "</script><script>alert(1)</script>"
    reader.post(f"{API}/nearest", json={"text": text, "html": True})
    html = reader.get("/", params={"text": text}).text
    assert "alert(1)</script>" not in html
    assert json.loads(html.split('id="first">')[1].split("</script>")[0])["answer"]["text"] == text


@pytest.fixture
def tiny(scope_of: object) -> Iterator[TestClient]:
    with TestClient(create_app(scope_of("llama")), base_url="http://127.0.0.1") as one:  # type: ignore[operator]
        yield one


@pytest.mark.slow
def test_a_model_without_position_embeddings_says_so(tiny: TestClient) -> None:
    answer = tiny.post(f"{API}/nearest", json={"k": 2}).json()
    assert answer["use_position"] is False
    assert any("adds no position embedding" in note for note in answer["notes"])


@pytest.mark.slow(cases=3)
@pytest.mark.parametrize(
    ("path", "question", "sheets"),
    [
        ("nearest", {"token": 3, "k": 4}, ["neighbors", "positions"]),
        ("nearest", {"space": "embedding", "k": 4}, ["neighbors", "suppressed", "positions"]),
        ("background", {"k": 4}, ["hub-aware"]),
        ("why", {"token": 2, "head": 6, "id": 1000}, ["why"]),
        ("compare", {"k": 4, "other": {"mask": "causal"}}, ["comparison", "positions"]),
        ("atlas", {"token": 2}, ["atlas", "kinds"]),
        ("attention", {"token": 2}, ["attention"]),
        ("attention", {"token": 2, "head": 3}, ["attention", "pattern"]),
        ("written", {"layer": 2}, ["within", "written", "attended"]),
    ],
)
def test_an_answer_is_laid_out_where_it_is_asked_for(
    reader: TestClient, path: str, question: dict[str, object], sheets: list[str]
) -> None:
    plain = reader.post(f"{API}/{path}", json=question).json()
    answer = reader.post(f"{API}/{path}", json={**question, "html": True}).json()
    described(path, answer)
    html, beside = answer.pop("html"), {name for name in ("portrait", "method") if answer.pop(name, None)}
    assert answer == plain
    assert beside == ({"portrait", "method"} if path in ("nearest", "compare") else set())
    assert re.findall(r'data-sheet="([^"]+)"', html) == sheets
    assert html.count("<table>") == len(sheets)
    assert "style=" not in html


def test_an_answer_that_is_laid_out_says_the_text_as_text(reader: TestClient) -> None:
    question = {"text": '<script>alert(1)</script> "&', "token": 2, "html": True}
    attention = reader.post(f"{API}/attention", json={**question, "head": 1}).json()["html"]
    cards = reader.post(f"{API}/nearest", json=question).json()["portrait"]["cards"]
    for html in (attention, "".join(cards)):
        assert "<script" not in html
        assert "&lt;" in html
