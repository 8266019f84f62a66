"""Fifty readers at once: each gets the answer that he would have got alone, number by number, and nobody a failure."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import zoo

pytest.importorskip("fastapi", reason="the page is not installed (extra: app)")

from headscope import Scope
from headscope.app import create_app
from headscope.app.api.limits import Limits
from tests.app.serving import Server

READERS, EACH = 50, 16  # questions of each reader
API = "/api/v1"
TEXTS = [*zoo.CORPUS, "A bird likes a banana.", "The red ball.", "2023 shells", "worth a worm?"]
ROUTES: dict[str, list[dict[str, Any]]] = {
    "read": [{}, {"mask": "causal"}],
    "nearest": [
        {"layer": 2},
        {"layer": 1, "reference": "layer", "metric": "euclidean", "k": 40},
        {"space": "output", "layer": 2, "token": 3},
        {"space": "key", "layer": 1, "vector": "k", "candidates": "words"},
    ],
    "background": [{"layer": 1}, {"layer": 2, "token": 2, "metric": "dot"}],
    "compare": [{"layer": 2, "other": {"mask": "causal"}}, {"layer": 1, "other": {"reference": "layer"}}],
    "atlas": [{}, {"reference": "layer", "position": False}],
    "attention": [{"layer": 1, "head": 2}, {"weigh": "norms"}],
    "written": [{"layer": 1}, {"layer": 2, "reference": "input", "head": 1}],
    "journey": [{}, {"position": False}],
    "mixing": [{}],
    "glance": [{}],
    "effects": [{}, {"token": 2, "replaced_by": "mean"}],
    "why": [{"layer": 1, "head": 1, "id": 7}],
    "worked": [{"layer": 2, "head": 3}],
}
QUESTIONS = [
    (route, {"text": text} | choice) for route, choices in ROUTES.items() for choice in choices for text in TEXTS
]


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that keeps few readings and answers: most questions have to be worked out again and again."""
    scope = Scope.from_model(*zoo.build("bert"), cache_bytes=256 * 2**10)
    limits = Limits(waiting=2 * READERS)
    with Server(create_app(scope, limits=limits)) as running:
        yield running


def alone(question: tuple[str, dict[str, Any]], client: httpx.Client) -> bytes:
    """What the only visitor of a server is told."""
    route, body = question
    answer = client.post(f"{API}/{route}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.long
def test_every_reader_gets_the_answer_that_he_would_get_alone(server: Server) -> None:
    with (
        Server(create_app(Scope.from_model(*zoo.build("bert")))) as other,
        httpx.Client(base_url=other.address, timeout=60) as client,
    ):
        expected = {json.dumps(question): alone(question, client) for question in QUESTIONS}

    def visit(number: int) -> tuple[int, list[str]]:
        """How many answers came, and which of them were wrong."""
        draw, wrong, got = random.Random(number), [], 0
        with httpx.Client(base_url=server.address, timeout=60) as client:
            for _ in range(EACH):
                route, body = question = draw.choice(QUESTIONS)
                if draw.random() < 0.2:  # one in five loses patience: somebody else may wait for the very same
                    try:
                        client.post(f"{API}/{route}", json=body, timeout=draw.random() * 0.05)
                    except httpx.TimeoutException:
                        continue
                answer = client.post(f"{API}/{route}", json=body)
                got += 1
                if answer.status_code != 200 or answer.content != expected[json.dumps(question)]:
                    wrong.append(f"{answer.status_code} {route} {body}: {answer.text[:200]}")
        return got, wrong

    ended, slowest, start = threading.Event(), 0.0, time.monotonic()
    with ThreadPoolExecutor(READERS) as readers, httpx.Client(base_url=server.address, timeout=60) as client:
        visits = [readers.submit(visit, number) for number in range(READERS)]
        while not all(one.done() for one in visits):
            began = time.monotonic()
            assert client.get(f"{API}/health").status_code == 200
            slowest = max(slowest, time.monotonic() - began)
            ended.wait(0.05)
        answered, wrong = zip(*(one.result() for one in visits), strict=True)
    assert [one for some in wrong for one in some] == []
    assert sum(answered) > READERS * EACH // 2
    # Beside the whole, since other programs may share the machine.
    assert slowest < (time.monotonic() - start) / 4, "the server was out of reach meanwhile"
