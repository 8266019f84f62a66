"""A text is run through the model once; what only changes the view is answered from that."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pytest
import zoo
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from headscope.model import looks
from headscope.model.freshness import Freshness
from headscope.reading.finding import Finder

API = "/api/v1"
TEXTS = [" ".join(words) for words in permutations(("red", "ball", "bird", "banana"))]


@pytest.fixture
def runs(demo: Scope, client: TestClient) -> Iterator[list[int]]:
    """The lengths of the texts that the model was run on after the first view."""
    client.post(f"{API}/nearest", json={})
    seen: list[int] = []
    handle = demo.bench.opened.model.register_forward_pre_hook(
        lambda _, __, inputs: seen.append(inputs["input_ids"].shape[1]), with_kwargs=True
    )
    yield seen
    handle.remove()


@pytest.mark.slow
def test_changing_the_view_never_runs_the_model_again(client: TestClient, runs: list[int]) -> None:
    text = "Only one run of this text"
    client.post(f"{API}/read", json={"text": text})
    assert len(runs) == 1
    for question in (
        {"token": 2},
        {"token": 2, "layer": 4},
        {"metric": "euclidean"},
        {"position": False},
        {"reference": "input", "layer": 1},
        {"candidates": "words"},
        {"k": 3},
    ):
        assert client.post(f"{API}/nearest", json={"text": text, **question}).status_code == 200
    client.post(f"{API}/atlas", json={"text": text})
    long = [length for length in runs if length > 1]  # vocabulary encodings are runs of length one
    assert len(long) == 1


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[Freshness]:
    """Whose models have been looked at since; however long an answer takes here, a look stays young."""
    seen: list[Freshness] = []
    note = Freshness._note

    def counted(of: Freshness, before: Any) -> Any:
        seen.append(of)
        return note(of, before)

    monkeypatch.setattr(Freshness, "_note", counted)
    monkeypatch.setattr(looks, "_YOUNG", 600.0)
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("path", ["nearest", "standing", "mixing"])
def test_a_question_has_the_model_looked_at_once(client: TestClient, looked: list[Freshness], path: str) -> None:
    asked = {"text": "Only one look", "token": 1} | ({"layer": 2} if path == "standing" else {})
    client.post(f"{API}/{path}", json=asked)
    looked.clear()
    assert client.post(f"{API}/{path}", json=asked | {"token": 2}).status_code == 200
    assert len(looked) == 1
    assert client.post(f"{API}/{path}", json=asked).status_code == 200
    assert len(looked) == 2, "what is at hand is asked of the model as it is now"


@pytest.mark.slow
def test_a_look_that_is_old_counts_no_more(
    client: TestClient, looked: list[Freshness], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"text": "Only one look", "token": 1}
    client.post(f"{API}/nearest", json=asked)
    looked.clear()
    monkeypatch.setattr(looks, "_YOUNG", 0.0)
    assert client.post(f"{API}/nearest", json=asked | {"token": 2}).status_code == 200
    assert len(looked) > 1


@pytest.mark.slow
def test_another_head_of_a_layer_has_nothing_ranked_again(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    ranked: list[Finder] = []
    ranks = Finder.ranks

    def counted(finder: Finder, *asked: Any) -> Any:
        ranked.append(finder)
        return ranks(finder, *asked)

    monkeypatch.setattr(Finder, "ranks", counted)
    found = [
        client.post(f"{API}/written", json={"text": "Heads of a layer", "layer": 1, "head": head, "html": True}).json()
        for head in (None, 3, 5)
    ]
    assert len(ranked) == 1
    assert [one["head"] for one in found[1:]] == [3, 5]
    assert found[0]["heads"] == found[1]["heads"] == found[2]["heads"]
    assert found[1]["html"] != found[2]["html"]


@pytest.mark.slow
def test_another_mask_is_another_run(client: TestClient, runs: list[int]) -> None:
    for mask in ("model", "causal", "full", "causal"):
        client.post(f"{API}/read", json={"text": "Masks", "mask": mask})
    length = len(client.post(f"{API}/read", json={"text": "Masks"}).json()["tokens"])
    assert runs.count(length) == 3  # a mask is proved once too, on a probe of another length


@pytest.mark.slow
def test_a_comparison_runs_the_model_once_for_each_mask(client: TestClient, runs: list[int]) -> None:
    text = "Two masks and two references"
    length = len(client.post(f"{API}/read", json={"text": text}).json()["tokens"])
    for other in ({"reference": "input"}, {"mask": "causal"}, {"mask": "causal", "reference": "input"}):
        question = {"text": text, "layer": 1, "other": other}
        assert client.post(f"{API}/compare", json=question).status_code == 200
    assert runs.count(length) == 2


@pytest.mark.long
def test_what_was_used_least_recently_is_forgotten() -> None:
    scope = Scope.from_model(*zoo.build("bert"))
    with TestClient(create_app(scope), base_url="http://127.0.0.1") as client:
        client.post(f"{API}/nearest", json={})
        held = scope.memory.nbytes
    reading = scope.read(TEXTS[0])
    tight = Scope.from_model(*zoo.build("bert"), cache_bytes=held + 3 * reading.nbytes)
    seen: list[int] = []
    tight.bench.opened.model.register_forward_pre_hook(
        lambda _, __, inputs: seen.append(inputs["input_ids"].shape[1]), with_kwargs=True
    )
    with TestClient(create_app(tight), base_url="http://127.0.0.1") as client:
        client.post(f"{API}/nearest", json={})
        seen.clear()
        for text in (*TEXTS, TEXTS[0], TEXTS[-1]):
            assert client.post(f"{API}/nearest", json={"text": text, "k": 3}).status_code == 200
        long = [length for length in seen if length > 1]  # vocabulary encodings are runs of length one
        assert len(long) == len(TEXTS) + 1, "the first had been forgotten, the last not"
        assert tight.memory.nbytes <= tight.memory.budget
