"""The reference isolated over the API: asked for, it is made in the background, and others get their turn."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app

API = "/api/v1"
QUESTION = {"reference": "isolated", "layer": 2, "k": 3}


@pytest.fixture
def client(demo: Scope, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A server whose cache is empty."""
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    own = Scope.from_model(demo.bench.opened.model, demo.bench.opened.names.tokenizer)
    with TestClient(create_app(own), base_url="http://127.0.0.1") as one:
        yield one


def until(client: TestClient, state: str, what: str = "values") -> dict[str, Any]:
    """What is told once the state is this."""
    for _ in range(1200):
        told: dict[str, Any] = client.get(f"{API}/isolated?what={what}").json()
        if told["state"] == state:
            return told
        time.sleep(0.1)
    raise AssertionError(f"{told} never came to be {state}")


@pytest.mark.slow
def test_a_question_starts_it_and_is_answered_at_once(client: TestClient) -> None:
    assert client.get(f"{API}/isolated").json()["state"] == "absent"
    client.post(f"{API}/nearest", json={})
    answer = client.post(f"{API}/nearest", json=QUESTION)
    assert answer.status_code == 409
    told = answer.json()
    assert told["isolated"]["state"] == "working"
    assert told["isolated"]["total"] == 30522
    assert client.get(f"{API}/isolated").json()["done"] < 30522  # nobody has waited for it
    assert told["isolated"]["bytes"] == 30522 * 6 * 384 * 4
    assert "of 30,522 tokens" in told["error"]

    # Others get their turn while it goes on, and its progress is told.
    for text in ("One", "Two", "Three"):
        assert client.post(f"{API}/nearest", json={"text": text}).status_code == 200
    one = client.get(f"{API}/isolated").json()
    assert one["state"] == "working"
    assert 0 < one["done"] < one["total"]
    assert one["seconds_left"] > 0

    # Stopped, it stays where it is; asked for again, it goes on from there.
    assert client.delete(f"{API}/isolated").json()["state"] == "stopped"
    time.sleep(2)
    kept = client.get(f"{API}/isolated").json()
    time.sleep(0.5)
    assert client.get(f"{API}/isolated").json() == kept
    again = client.post(f"{API}/atlas", json={"reference": "isolated"})
    assert again.status_code == 409
    assert again.json()["isolated"]["done"] >= kept["done"] > 0
    client.delete(f"{API}/isolated")


@pytest.mark.slow
def test_it_is_ready_in_the_end(scope_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    tiny = scope_of("roberta")
    own = Scope.from_model(tiny.bench.opened.model, tiny.bench.opened.names.tokenizer)
    with TestClient(create_app(own), base_url="http://127.0.0.1") as client:
        questions = {
            "nearest": QUESTION,
            "atlas": {"reference": "isolated"},
            "compare": {"layer": 1, "other": {"reference": "isolated"}},
        }
        for route, question in questions.items():
            if route == "nearest":
                assert client.post(f"{API}/{route}", json=question).status_code == 409
            told = until(client, "ready")
            assert told["done"] == told["total"] == own.card.vocab_size
            assert client.post(f"{API}/{route}", json=question).status_code == 200
        answer = client.post(f"{API}/nearest", json=QUESTION).json()
        near = own.read(answer["text"]).nearest(1, 2, reference="isolated", k=3)
        assert [[one["id"] for one in head["neighbors"]] for head in answer["heads"]] == near.ids.tolist()
        assert answer["use_position"] is False


@pytest.mark.slow
def test_a_journeys_ranks_are_made_apart_from_the_values(
    scope_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    tiny = scope_of("llama")
    own = Scope.from_model(tiny.bench.opened.model, tiny.bench.opened.names.tokenizer)
    with TestClient(create_app(own), base_url="http://127.0.0.1") as client:
        plain = client.post(f"{API}/journey", json={})
        assert plain.status_code == 200
        assert {str(token["isolated_rank"]) for token in plain.json()["tokens"]} == {"None"}
        waits = client.post(f"{API}/journey", json={"isolated": True})
        assert waits.status_code == 409
        assert waits.json()["isolated"]["what"] == "streams"
        assert "what=streams" in waits.json()["error"]
        told = until(client, "ready", "streams")
        assert told["bytes"] == 4 * own.card.vocab_size * (2 * own.card.layers + 1) * own.card.d_model
        assert client.get(f"{API}/isolated").json()["state"] == "absent"  # the values were not asked for
        answer = client.post(f"{API}/journey", json={"isolated": True}).json()
        found = own.read(client.post(f"{API}/read", json={}).json()["text"]).journey(isolated=True)
        assert [token["isolated_rank"] for token in answer["tokens"]] == found.isolated_rank.T.tolist()


@pytest.mark.slow
def test_a_disk_that_refuses_is_told(scope_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path / "file"))
    tiny = scope_of("gpt2")
    own = Scope.from_model(tiny.bench.opened.model, tiny.bench.opened.names.tokenizer)
    with TestClient(create_app(own), base_url="http://127.0.0.1") as client:
        assert client.post(f"{API}/nearest", json=QUESTION).status_code == 409
        told = until(client, "failed")
        assert "HEADSCOPE_CACHE" in told["problem"]
        (tmp_path / "file").unlink()  # room was made: the next question tries again
        assert client.post(f"{API}/nearest", json=QUESTION).status_code == 409
        until(client, "ready")
