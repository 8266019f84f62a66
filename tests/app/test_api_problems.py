"""What cannot be done is answered with the right status and one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from headscope.app.api.limits import Limits
from headscope.errors import ModelError

API = "/api/v1"


@pytest.fixture(scope="module")
def tiny(scope_of: Any) -> Iterator[TestClient]:
    """A client of a server of a tiny model, which opens others as the command does."""

    def open_model(name: str, progress: Any) -> Scope:
        return Scope.from_pretrained(name)

    with TestClient(create_app(scope_of("roberta"), open_model=open_model), base_url="http://127.0.0.1") as one:
        yield one


@pytest.mark.parametrize(
    ("question", "status", "said"),
    [
        ({"text": "  "}, 422, "the text is empty"),
        ({"text": "word " * 600}, 422, "reads at most 512"),
        ({"text": "x" * 10_001}, 413, "10,001 characters, and this server reads at most 10,000"),
        ({"text": "x" * 300_000}, 413, "reads at most 262144"),
        ({"layer": 6}, 422, "the model's layers are 0 to 5"),
        ({"token": 14}, 422, "positions 0 to 13"),
        ({"token": "flies"}, 422, "positions 2 and 8"),
        ({"token": -1}, 422, "token is -1"),
        ({"k": 201}, 422, "at most 200"),
        ({"k": 0}, 422, "k is 0"),
        ({"metric": "manhattan"}, 422, "'cosine', 'euclidean' or 'dot'"),
        ({"zork": 1}, 422, "there is no field 'zork'"),
        ({"position": "on"}, 422, "position is 'on'"),
    ],
    ids=str,
)
def test_a_question_that_cannot_be_answered(
    reader: TestClient, question: dict[str, object], status: int, said: str
) -> None:
    answer = reader.post(f"{API}/nearest", json=question)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({"head": 12}, "heads are 0 to 11"),
        ({"layer": 6}, "layers are 0 to 5"),
        ({"weigh": "rollout"}, "'weights' or 'norms'"),
        ({"text": "word " * 200, "head": 0}, "202 tokens; this server gives whole patterns of up to 100"),
    ],
    ids=str,
)
def test_attention_that_cannot_be_given(reader: TestClient, question: dict[str, object], said: str) -> None:
    answer = reader.post(f"{API}/attention", json=question)
    assert answer.status_code == 422
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({"head": 12}, "heads are 0 to 11"),
        ({"layer": 6}, "layers are 0 to 5"),
        ({"space": "embedding", "reference": "layer"}, "reference"),
        ({"text": "word " * 200}, "202 tokens; this server gives whole matrices of up to 100"),
    ],
    ids=str,
)
def test_what_is_written_where_that_cannot_be_given(reader: TestClient, question: dict[str, object], said: str) -> None:
    answer = reader.post(f"{API}/written", json=question)
    assert answer.status_code == 422
    assert said in answer.json()["error"]


def body(client: TestClient, content: bytes) -> tuple[int, str]:
    answer = client.post(f"{API}/read", content=content, headers={"Content-Type": "application/json"})
    return answer.status_code, answer.json()["error"]


def test_a_body_that_is_no_json(reader: TestClient) -> None:
    assert body(reader, b"{") == (422, "the request is no JSON.")


@pytest.mark.parametrize("route", ["nearest", "models", "survey", "map"])
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"layer": 1}', "application/x-www-form-urlencoded"),  # as curl -d sends it
        (b'{"layer": 1}', "text/plain"),
        (b'{"layer": 1}', None),
        (b"", "application/json"),
        (b"[1, 2]", "application/json"),
        (b"null", "application/json"),
        (b'"text"', "application/json"),
    ],
)
def test_a_body_that_is_no_object_or_not_called_json(
    tiny: TestClient, route: str, content: bytes, kind: str | None
) -> None:
    answer = tiny.post(f"{API}/{route}", content=content, headers={} if kind is None else {"Content-Type": kind})
    said = "the request is no JSON object: send one, with Content-Type: application/json."
    assert (answer.status_code, answer.json()) == (422, {"error": said})


@pytest.mark.parametrize("levels", [100, 900, 990, 1000, 1100, 5000, 100_000])
@pytest.mark.parametrize(("begin", "end"), [(b"[", b"]"), (b'{"text":', b"}")])
def test_a_body_that_is_nested_deeply(reader: TestClient, levels: int, begin: bytes, end: bytes) -> None:
    nested = begin * min(levels, 250_000 // len(begin + end)) + b"1" + end * min(levels, 250_000 // len(begin + end))
    for content in (nested, b'{"text":' + nested[:250_000] + b"}", b'{"token":' + nested + b"}"):
        status, said = body(reader, content)
        assert status == 422
        assert len(said) < 300


@pytest.mark.parametrize("content", [b"\x80", b'{"text":"\xff"}', b'{"token":' + b"9" * 5000 + b"}"])
def test_a_body_that_cannot_be_read(reader: TestClient, content: bytes) -> None:
    assert body(reader, content) == (422, "the request is no JSON that can be read.")


@pytest.mark.parametrize(
    "query",
    ["token=", f"token={'x' * 300}", "head=99&view=attention", "head=99999999999999999999999&view=attention", "into=",
     "into=&view=map&method=pca&size=60", "why=abc.&teach=true", "why=.&teach=true", "why=99.1&teach=true",
     "why=0.99999999&teach=true", "why=٣.٣&teach=true", "teach=true&head=99", "other_text=&compare=text",
     "other_model=&compare=model", "model=", "layer=999", "k=99999", "view=map&method=pca&size=60&head=99",
     "view=map&method=pca&size=99999999999", "text=%ff", "at=99999999999999999999"],
)  # fmt: skip
def test_an_address_that_says_odd_things(tiny: TestClient, query: str) -> None:
    for name in ("", "/neighbors.csv", "/view.html", "/pattern.csv", "/attention.csv", "/figure.svg", "/map.csv"):
        for method in ("POST", "GET") if name == "" else ("GET",):
            answer = tiny.request(method, f"{API}/take{name}?{query}")
            assert answer.status_code in (200, 404, 409, 413, 422), answer.text
            assert answer.status_code == 200 or answer.json()["error"]
    assert tiny.get(f"/?{query}").status_code == 200


def test_a_head_beyond_the_layer_is_said(tiny: TestClient) -> None:
    tiny.post(f"{API}/take?view=attention")
    answer = tiny.get(f"{API}/take/pattern.csv?view=attention&head=99")
    assert (answer.status_code, answer.json()["error"]) == (422, "there is no head 99; the layer's heads are 0 to 3.")


@pytest.mark.parametrize("name", ["~nosuch", "x" * 300, "x/" * 140, "~nosuch/model", ".", "/", "C:", "-x", "a b"])
def test_a_model_that_is_nowhere(tiny: TestClient, name: str) -> None:
    answer = tiny.post(f"{API}/read", json={"model": name})
    assert answer.status_code == 404
    assert name[:70] in answer.json()["error"]  # a name of any length is told cut
    assert len(answer.json()["error"]) < 300
    assert str(Path.cwd()) not in answer.text


def test_half_a_surrogate_pair_is_no_text(reader: TestClient) -> None:
    answer = reader.post(f"{API}/read", content=rb'{"text": "a\ud800"}', headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "half of a surrogate pair" in answer.json()["error"]


def test_a_body_of_unknown_length_is_refused(reader: TestClient) -> None:
    answer = reader.post(f"{API}/read", content=iter([b"{}"]))
    assert answer.status_code == 411


@pytest.mark.parametrize(("path", "status"), [("/zork", 404), (f"{API}/read", 405)])
def test_an_address_that_is_not_there(reader: TestClient, path: str, status: int) -> None:
    answer = reader.get(path)
    assert answer.status_code == status
    assert path in answer.json()["error"]


@pytest.mark.slow
def test_another_model_is_opened_where_that_is_allowed(demo: Scope, scope_of: object) -> None:
    opened = []

    def open_model(name: str, progress: object) -> Scope:
        opened.append(name)
        if name == "nowhere":
            raise ModelError("there is no model 'nowhere'.")
        return scope_of(name)  # type: ignore[operator, no-any-return]

    with TestClient(create_app(demo, open_model=open_model), base_url="http://127.0.0.1") as client:
        for _ in range(2):
            answer = client.post(f"{API}/read", json={"model": "gpt2"})
            assert answer.status_code == 200
        assert opened == ["gpt2"]
        assert client.post(f"{API}/read", json={"model": demo.card.name}).status_code == 200
        nowhere = client.post(f"{API}/read", json={"model": "nowhere"})
        assert (nowhere.status_code, nowhere.json()) == (404, {"error": "there is no model 'nowhere'."})


def test_another_model_is_refused_where_it_is_not(reader: TestClient) -> None:
    answer = reader.post(f"{API}/nearest", json={"model": "/etc"})
    assert answer.status_code == 403
    assert "opens no other model" in answer.json()["error"]


def test_limits_are_the_servers(demo: Scope) -> None:
    limits = Limits(characters=5, k=2)
    with TestClient(create_app(demo, limits=limits), base_url="http://127.0.0.1") as client:
        assert client.post(f"{API}/read", json={"text": "123456"}).status_code == 413
        assert client.post(f"{API}/nearest", json={"text": "1234", "k": 3}).status_code == 422
        assert client.post(f"{API}/nearest", json={"text": "1234", "k": 2}).status_code == 200


@pytest.mark.parametrize(
    ("route", "question"),
    [
        ("read", {"text": "word " * 600}),
        ("nearest", {"text": "word " * 600}),
        ("nearest", {"space": "fitted"}),
        ("atlas/layers", {"space": "fitted"}),
        ("written", {"text": "word " * 200}),
        ("models", {"model": "gpt2"}),
        ("survey", {"directory": "results"}),
    ],
    ids=str,
)
def test_no_sentence_of_the_page_names_an_option_of_the_command_line(
    reader: TestClient, route: str, question: dict[str, object]
) -> None:
    said = reader.post(f"{API}/{route}", json=question).json()["error"]
    assert not re.search(r"--[a-z]|headscope [a-z]|=True", said), said
