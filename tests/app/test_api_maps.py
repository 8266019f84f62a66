"""Maps over the API: made in the background, told how far, left, placed into; and their points as bytes."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from headscope.app.api.limits import Limits

pytest.importorskip("openTSNE", reason="maps are not installed (extra: maps)")

API = "/api/v1"
PCA = {"layer": 1, "head": 2, "method": "pca", "size": 100, "reference": "layer"}
OTHER = "A bird likes a banana."


@pytest.fixture
def own(scope_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scope:
    """A tiny model whose maps nobody has made yet."""
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    tiny = scope_of("bert")
    return Scope.from_model(tiny.bench.opened.model, tiny.bench.opened.names.tokenizer)


@pytest.fixture
def client(own: Scope) -> Iterator[TestClient]:
    with TestClient(create_app(own), base_url="http://127.0.0.1") as one:
        yield one


@pytest.fixture
def slow(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A server whose t-SNE takes a minute, so that a test can look at it."""
    monkeypatch.setattr("headscope.reading.map.layouts.ITERATIONS", (250, 100_000))
    monkeypatch.setattr("headscope.app.api.mapping._PATIENCE", 0.05)
    return client


def asked(client: TestClient, **question: Any) -> dict[str, Any]:
    """The answer, once the map is made."""
    for _ in range(600):
        answer = client.post(f"{API}/map", json=question)
        if answer.status_code != 409:
            told: dict[str, Any] = answer.raise_for_status().json()
            return told
        time.sleep(0.1)
    raise AssertionError("never made")


def points(client: TestClient, key: str) -> list[tuple[float, float]]:
    body = client.get(f"{API}/map/{key}/points").raise_for_status()
    assert body.headers["content-type"] == "application/octet-stream"
    numbers = struct.unpack(f"<{len(body.content) // 4}f", body.content)
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def drawn(found: Any) -> list[tuple[float, float]]:
    """All points of the library's map, in the order of the bytes."""
    parts = [found.vocabulary, *(side for text in found.texts for side in (text.values, text.outputs))]
    return [(x, y) for part in parts for x, y in part.tolist()]


@pytest.mark.slow
def test_a_map_is_one_whether_its_reference_is_named_or_meant(client: TestClient) -> None:
    of_layer, meant, of_input = (asked(client, **PCA | {"reference": one})["key"] for one in ("layer", None, "input"))
    assert meant == of_layer != of_input
    view = "view=map&layer=1&head=2&method=pca&size=100"  # as the page's address has it, which names no default
    assert client.post(f"{API}/take?{view}").status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_map_is_the_librarys(client: TestClient, own: Scope, method: str) -> None:
    question = PCA | {"method": method, "perplexity": 10.0, "seed": 3}
    told = asked(client, **question)
    reading = own.read(told["texts"][0]["text"])
    of_tsne = {"perplexity": 10} if method == "tsne" else {}  # which the page sends of both, and shuts for PCA
    found = reading.map(1, 2, reference="layer", method=method, size=100, seed=3, **of_tsne)
    assert told["ids"] == found.ids.tolist()
    assert told["labels"] == [found.names[id].label for id in told["ids"]]
    assert told["sample"] == {group: found.groups.count(group) for group in found.groups}
    assert told["trustworthiness"] == found.trustworthiness
    assert told["notes"] == list(found.notes)
    assert told["texts"][0]["moved"] == pytest.approx(found.texts[0].moved.tolist())
    assert points(client, told["key"]) == drawn(found)
    assert client.post(f"{API}/map", json=question).json() == told


@pytest.mark.slow
def test_a_new_text_is_placed_into_a_map(client: TestClient, own: Scope) -> None:
    ground = asked(client, **PCA)
    told = asked(client, **PCA, text=OTHER, into=ground["texts"][0]["text"])
    assert [text["text"] for text in told["texts"]] == [ground["texts"][0]["text"], OTHER]
    assert told["ids"] == ground["ids"]
    first, both = points(client, ground["key"]), points(client, told["key"])
    assert both[: len(first)] == first
    own_map = own.read(ground["texts"][0]["text"]).map(1, 2, method="pca", size=100)
    assert both == drawn(own_map.place(own.read(OTHER)))


@pytest.mark.slow
def test_progress_is_told_and_others_are_answered_meanwhile(slow: TestClient) -> None:
    question = PCA | {"method": "tsne"}
    answer = slow.post(f"{API}/map", json=question)
    assert answer.status_code == 409
    assert "GET /map/" in answer.json()["error"]
    key = answer.json()["map"]["key"]
    assert slow.post(f"{API}/nearest", json={}).status_code == 200
    assert slow.get(f"{API}/map/{key}").json()["state"] in ("waiting", "working")
    for _ in range(600):
        told = slow.get(f"{API}/map/{key}").json()
        if told["done"]:
            break
        time.sleep(0.05)
    assert told["state"] == "working"
    assert told["total"] == 100_250
    assert told["seconds_left"] > 0
    slow.delete(f"{API}/map/{key}")


def ended(client: TestClient, key: str) -> None:
    """Wait until a question finds the line free: the next map begins."""
    for _ in range(600):
        if client.get(f"{API}/map/{key}").json()["state"] == "working":
            return
        time.sleep(0.05)
    raise AssertionError("the line stays taken")


@pytest.mark.slow
def test_a_map_that_nobody_waits_for_ends(slow: TestClient) -> None:
    question = PCA | {"method": "tsne"}
    key = slow.post(f"{API}/map", json=question).json()["map"]["key"]
    assert slow.post(f"{API}/map", json=question).json()["map"]["key"] == key, "a second one waits for the same"
    assert slow.delete(f"{API}/map/{key}").json()["state"] in ("waiting", "working")
    assert slow.delete(f"{API}/map/{key}").json()["state"] == "stopped"
    # The next in line gets its turn, and who asks again gets the first from its beginning.
    other = slow.post(f"{API}/map", json=question | {"seed": 1}).json()["map"]["key"]
    ended(slow, other)
    slow.delete(f"{API}/map/{other}")
    again = slow.post(f"{API}/map", json=question).json()["map"]
    assert again["key"] == key
    assert again["state"] in ("waiting", "working")
    ended(slow, key)
    slow.delete(f"{API}/map/{key}")


@pytest.mark.slow(cases=3)
@pytest.mark.parametrize(
    ("question", "said"),
    [
        ({"metric": "dot"}, "dot is none; open: cosine, euclidean"),
        ({"space": "key"}, "space key has no map"),
        ({"head": 9}, "no head 9"),
        ({"size": 6000}, "at most 5,000 tokens"),
        ({"k": 500}, "at most 200"),
        ({"method": "tsne", "perplexity": 300.0}, "perplexity is 300.0"),
        ({"method": "umap"}, "method is 'umap'"),
        ({"into": "\ud800"}, "half of a surrogate pair"),
    ],
)
def test_a_choice_that_is_not_open_is_a_sentence(client: TestClient, question: dict[str, Any], said: str) -> None:
    body = json.dumps(PCA | question)  # with \ud800 as an escape
    answer = client.post(f"{API}/map", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert said in answer.json()["error"]


@pytest.mark.slow
@pytest.mark.parametrize("into", [None, "a" * 101])
def test_long_texts_are_refused_on_either_side(own: Scope, into: str | None) -> None:
    with TestClient(create_app(own, limits=Limits(characters=100)), base_url="http://127.0.0.1") as client:
        text = "a" * 101 if into is None else "a"
        answer = client.post(f"{API}/map", json=PCA | {"text": text, "into": into})
        assert answer.status_code == 413


@pytest.mark.slow
def test_a_map_that_is_not_there_is_said(client: TestClient) -> None:
    for path in ("map/none", "map/none/points"):
        answer = client.get(f"{API}/{path}")
        assert answer.status_code == 404
        assert "POST /map" in answer.json()["error"]
    assert client.delete(f"{API}/map/none").status_code == 404


@pytest.mark.slow
def test_points_that_were_forgotten_are_made_again(own: Scope) -> None:
    tight = Scope.from_model(own.bench.opened.model, own.bench.opened.names.tokenizer, cache_bytes=100 * 2**10)
    with TestClient(create_app(tight), base_url="http://127.0.0.1") as client:
        first = asked(client, **PCA)
        for head in (1, 0, 3, 1, 0):
            asked(client, **PCA | {"head": head})
        assert client.get(f"{API}/map/{first['key']}/points").status_code == 404
        assert asked(client, **PCA) == first
        assert points(client, first["key"])


@pytest.mark.slow
def test_isolated_is_made_first(client: TestClient) -> None:
    answer = client.post(f"{API}/map", json=PCA | {"reference": "isolated"})
    assert answer.status_code == 409
    assert answer.json()["isolated"]["state"] in ("working", "ready")
    told = asked(client, **PCA | {"reference": "isolated"})
    assert told["reference"] == "isolated"
