"""What a server keeps stays within one budget, whatever it is asked and however often; and the answers are the same."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import zoo
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from headscope.keep.memory import sized
from tests.app.browsers import Browser
from tests.app.looks import text
from tests.app.serving import Server

API = "/api/v1"
WORDS = ("time", "flies", "like", "an", "arrow", "fruit", "banana", "bird", "red", "ball", "worm")
ROUTES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("nearest", {"layer": 2}),
    ("nearest", {"layer": 1, "space": "output", "html": True}),
    ("atlas", {}),
    ("journey", {}),
    ("glance", {}),
    ("attention", {"layer": 1, "head": 2}),
    ("background", {"layer": 1}),
    ("mixing", {}),
)
BUDGET = 2 * 2**20


def questions(count: int) -> list[tuple[str, dict[str, Any]]]:
    """So many questions, each about a text of its own."""
    draw = random.Random(0)
    texts = (" ".join(draw.choices(WORDS, k=draw.randint(3, 12))) for _ in range(count))
    return [(route, {"text": text, **more}) for text, (route, more) in zip(texts, ROUTES * count, strict=False)]


def client_of(scope: Scope) -> TestClient:
    return TestClient(create_app(scope), base_url="http://127.0.0.1")


@pytest.mark.long
def test_hundreds_of_texts_stay_within_the_budget_and_are_answered_alike() -> None:
    tight, wide = (Scope.from_model(*zoo.build("bert"), cache_bytes=size) for size in (BUDGET, "4G"))
    most = 0
    with client_of(tight) as one, client_of(wide) as other:
        for route, question in questions(200):
            answers = [client.post(f"{API}/{route}", json=question) for client in (one, other)]
            assert answers[0].status_code == 200
            assert answers[0].content == answers[1].content
            told = one.get(f"{API}/health").json()["memory"]
            assert told["budget"] == BUDGET
            assert told["held"] <= BUDGET
            most = max(most, told["held"])
        assert other.get(f"{API}/health").json()["memory"]["held"] > 2 * BUDGET, "nothing had to be forgotten"
    assert most > BUDGET // 2, "little was kept"


@pytest.mark.slow
def test_models_that_a_server_opens_have_part_in_its_budget() -> None:
    own = Scope.from_model(*zoo.build("bert"), cache_bytes=BUDGET)

    def open_model(name: str, progress: Any) -> Scope:
        return Scope.from_model(*zoo.build("gpt2"), cache_bytes=own.memory)

    with TestClient(create_app(own, open_model=open_model), base_url="http://127.0.0.1") as client:
        before = client.get(f"{API}/health").json()["memory"]["held"]
        assert client.post(f"{API}/atlas", json={"model": "other"}).status_code == 200
        assert before < client.get(f"{API}/health").json()["memory"]["held"] <= BUDGET


@pytest.mark.slow
def test_what_proves_the_closed_forms_takes_no_room_when_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    held = []
    for _ in ("proved", "found on the disk"):
        scope = Scope.from_model(*zoo.build("bert"))
        scope.read(zoo.TEXT).atlas()
        held.append(scope.memory.nbytes)
    assert held[0] < 1.1 * held[1]


@pytest.mark.slow
def test_weights_that_have_changed_take_no_room_any_more() -> None:
    scope = Scope.from_model(*zoo.build("bert"))
    scope.read(zoo.TEXT).atlas()
    held = scope.memory.nbytes
    for _ in range(3):
        next(scope.bench.opened.model.parameters()).data.mul_(1.01)
        scope.read(zoo.TEXT).atlas()
    assert scope.memory.nbytes < 1.5 * held


def resident() -> int:
    """Bytes of this process that are in memory."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not tell")
def test_the_process_grows_by_no_more_than_the_budget(demo: Scope) -> None:
    budget = 2**29  # the tables of six layers and a few dozen long texts
    opened = demo.bench.opened
    scope = Scope.from_model(opened.model, opened.names.tokenizer, cache_bytes=budget)
    draw = random.Random(0)
    with client_of(scope) as client:
        client.post(f"{API}/atlas", json={})
        before = resident() - scope.memory.nbytes
        for number in range(300):
            asked = {"text": " ".join(draw.choices(WORDS, k=120)), "layer": number % 6}
            for route in ("nearest", "attention"):
                assert client.post(f"{API}/{route}", json=asked).status_code == 200
            assert scope.memory.nbytes <= budget
            if number % 20 == 19:
                assert resident() - before < 1.1 * budget + 2**27  # what a question takes while it is worked out


@pytest.mark.slow
def test_the_page_says_what_is_kept(page: Browser, server: Server, demo: Scope) -> None:
    page.click("#model button")
    wanted = f"of {sized(demo.memory.budget)}."
    page.wait(f"document.querySelector('#kept').textContent.endsWith({wanted!r})")
    assert "Kept beside the models" in text(page, "#kept")
