"""A visitor who leaves, or asks for something else, takes the work along; who still waits gets the answer."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
import zoo

from headscope import Scope
from headscope.app import create_app
from headscope.app.api.limits import Limits
from headscope.app.page.page import FILES
from headscope.keep import tensors
from headscope.reading.map import layouts
from tests.app.gate import Gate
from tests.app.serving import Server

API = "/api/v1"
TEXT = "A bird likes a banana."
SOON = 2.0  # seconds, where half of one is promised: other programs may be busy
QUESTIONS: dict[str, dict[str, Any]] = {
    "read": {},
    "nearest": {"layer": 2},
    "background": {"layer": 2},
    "why": {"layer": 2, "head": 1, "id": 9},
    "worked": {"layer": 2, "head": 1},
    "compare": {"layer": 2, "other": {"mask": "causal"}},
    "atlas": {},
    "attention": {"layer": 2},
    "written": {"layer": 2},
    "journey": {},
    "mixing": {},
    "glance": {},
    "effects": {},
    "removed": {"layer": 2},
    "visit": {},
    "map": {"layer": 2, "size": 60, "perplexity": 5, "method": "pca"},
}


def anew(name: str = "bert") -> Scope:
    return Scope.from_model(*zoo.build(name))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A disk with nothing on it, and small shards."""
    monkeypatch.setattr(tensors, "STEP", 8)
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def scope() -> Scope:
    return anew()


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
def server(scope: Scope, limits: Limits) -> Iterator[Server]:
    """A server whose first view, and nothing else, has been worked out."""
    with Server(create_app(scope, limits=limits)) as running:
        ask(running, "nearest")
        yield running


@pytest.fixture(scope="module")
def undisturbed() -> Iterator[Server]:
    """A server that nobody leaves."""
    with Server(create_app(anew())) as running:
        yield running


@pytest.fixture
def gate(scope: Scope, server: Server) -> Iterator[Gate]:
    with Gate(scope) as one:
        yield one


class Visitor:
    """Asks a question and does not wait for the answer."""

    def __init__(self, server: Server, route: str, question: dict[str, Any] | None) -> None:
        body = b"" if question is None else json.dumps(question).encode()
        head = (
            f"{'GET' if question is None else 'POST'} {API}/{route} HTTP/1.1\r\nHost: {server.address[7:]}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._socket = socket.create_connection(("127.0.0.1", int(server.address.rpartition(":")[2])), timeout=60)
        self._socket.sendall(head.encode() + body)

    def leave(self) -> None:
        self._socket.close()


def ask(server: Server, route: str, who: str | None = None, **question: Any) -> httpx.Response:
    headers = {} if who is None else {"Headscope-Visitor": who}
    return httpx.post(f"{server.address}{API}/{route}", json=question, headers=headers, timeout=60)


def noticed(server: Server) -> None:
    """Wait until the server has seen who is there and who is not: it does that before it answers."""
    for _ in range(4):
        assert httpx.get(f"{server.address}{API}/health").json()["status"] == "ok"
        time.sleep(0.02)


def free(server: Server) -> None:
    """Wait for a turn of one's own, for which the model need not run: the work before it has ended."""
    assert ask(server, "attention", weigh="weights").status_code == 200


def ended(server: Server, gate: Gate) -> bool:
    """Whether the work that is held ends where it is."""
    noticed(server)
    held = gate.steps
    gate.open()
    free(server)
    return gate.steps == held


@pytest.mark.slow(cases=2)
@pytest.mark.parametrize("route", QUESTIONS)
def test_work_ends_with_the_visitor_at_the_next_step(
    route: str, server: Server, undisturbed: Server, gate: Gate
) -> None:
    if route == "map":
        pytest.importorskip("openTSNE", reason="maps are not installed (extra: maps)")
    question = {"text": TEXT} | QUESTIONS[route]
    gate.close(after=1)
    visitor = Visitor(server, route, question)
    assert gate.reached.wait(60)
    visitor.leave()
    assert ended(server, gate), "the model was run on"

    # Asked by somebody who waits, the answer is that of a server that nobody left.
    assert ask(server, route, **question).json() == ask(undisturbed, route, **question).json()


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("file", ["neighbors.csv", "view.html", "effects.csv"])
def test_a_file_is_not_made_for_nobody(file: str, server: Server, undisturbed: Server, gate: Gate) -> None:
    view = "layers" if file == "effects.csv" else "heads"
    address = f"take/{file}?text=A+bird+likes&layer=2&reference=layer&view={view}"
    read = f"take?text=A+bird+likes&layer=2&reference=layer&view={view}"
    assert ask(server, read).status_code == 200
    gate.close(after=1)
    visitor = Visitor(server, address, None)
    assert gate.reached.wait(60)
    visitor.leave()
    assert ended(server, gate)
    assert ask(undisturbed, read).status_code == 200
    one, two = (httpx.get(f"{here.address}{API}/{address}", timeout=60) for here in (server, undisturbed))
    assert one.status_code == 200
    assert one.content == two.content


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize(("route", "step"), [("effects", 1), ("effects", 4), ("atlas", 4)])
def test_what_is_at_hand_is_answered_at_once_meanwhile(route: str, step: int, server: Server, gate: Gate) -> None:
    gate.close(after=step)  # in a run of the text, or while the vocabulary is encoded, which others have to wait for
    visitor = Visitor(server, route, {"text": TEXT})
    assert gate.reached.wait(60)
    with httpx.Client(base_url=server.address, timeout=SOON) as client:
        assert client.get(f"{API}/health").json()["waiting"] == 0
        assert client.post(f"{API}/nearest", json={}).status_code == 200
        for address in ("/", f"{API}/models", f"{API}/survey", f"{API}/models/opening", f"/{FILES}/main.js"):
            assert client.get(address).status_code == 200
    visitor.leave()


@pytest.mark.long
def test_it_goes_on_while_another_waits_for_the_same(server: Server, gate: Gate) -> None:
    gate.close(after=1)
    before = gate.steps
    first = Visitor(server, "effects", {"text": TEXT})
    assert gate.reached.wait(60)
    with ThreadPoolExecutor(2) as visitors:
        others = [visitors.submit(ask, server, "effects", text=TEXT) for _ in range(2)]
        time.sleep(0.3)
        first.leave()
        noticed(server)
        gate.open()
        answers = [other.result() for other in others]
    assert [answer.status_code for answer in answers] == [200, 200]
    scope = anew()
    with Gate(scope) as alone:
        expected = scope.read(TEXT).effects()
    assert gate.steps - before == alone.steps, "the work was done once, and for all"
    assert [head["moved"] for head in answers[0].json()["heads"]] == expected.moved.flatten().tolist()
    assert answers[0].content == answers[1].content


@pytest.mark.long
def test_who_asks_the_same_takes_no_place_in_the_line(scope: Scope) -> None:
    with Server(create_app(scope, limits=Limits(waiting=0))) as server, Gate(scope) as gate:
        while ask(server, "nearest").status_code == 503:
            time.sleep(0.1)  # the first view is being worked out
        gate.close(after=1)
        with ThreadPoolExecutor(8) as visitors:
            same = [visitors.submit(ask, server, "glance", text=TEXT) for _ in range(8)]
            assert gate.reached.wait(60)
            assert ask(server, "mixing", text=TEXT).status_code == 503
            time.sleep(0.3)
            gate.open()
            answers = [one.result() for one in same]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


# ---- tokens read alone ----

ALONE = {"reference": "isolated", "layer": 2}


def leave(server: Server, path: str, who: str | None = None) -> dict[str, Any]:
    headers = {} if who is None else {"Headscope-Visitor": who}
    told: dict[str, Any] = httpx.delete(f"{server.address}{API}/{path}", headers=headers, timeout=60).json()
    return told


def far(server: Server, path: str = "isolated", who: str | None = None) -> dict[str, Any]:
    headers = {} if who is None else {"Headscope-Visitor": who}
    told: dict[str, Any] = httpx.get(f"{server.address}{API}/{path}", headers=headers, timeout=60).json()
    return told


def until(state: str, tell: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    for _ in range(1200):
        told = tell()
        if told["state"] == state:
            return told
        time.sleep(0.05)
    raise AssertionError(f"{told} never came to be {state}")


@pytest.mark.long
def test_tokens_are_read_alone_while_one_waits_and_whole_shards_stay(
    server: Server, scope: Scope, gate: Gate, cache: Path
) -> None:
    held = sum(1 for _ in scope.isolated.kept("values").directory.glob("*"))  # it runs the sample: not counted below
    gate.close(after=3 * 4 + 1)  # four shards of three layers, and into the fifth
    for who in ("one", "two", "one"):  # a page that asks twice is one visitor
        assert ask(server, "nearest", who, **ALONE).status_code == 409
    assert gate.reached.wait(60)
    assert leave(server, "isolated", "one")["state"] == "working"
    assert leave(server, "isolated", "nobody")["state"] == "working"
    assert leave(server, "isolated", "two")["state"] == "stopped"
    steps = gate.steps
    gate.open()
    free(server)
    assert gate.steps == steps
    done = far(server)["done"]
    assert 0 < done < scope.card.vocab_size
    there = list(scope.isolated.directory.glob("0*.safetensors"))
    assert len(there) - held == done // 8
    assert not list(cache.rglob("*.part"))

    # The next who asks goes on from there, to the very table that an undisturbed one is.
    again = ask(server, "nearest", **ALONE)
    assert again.status_code == 409
    assert again.json()["isolated"]["done"] == done
    until("ready", lambda: far(server))
    mine = [scope.isolated.table(layer).rows for layer in range(scope.card.layers)]
    answer = ask(server, "nearest", **ALONE).json()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSCOPE_CACHE", str(cache.parent / "undisturbed"))
        other = anew()
        other.isolate()
        for layer, rows in enumerate(mine):
            assert torch.equal(rows, other.isolated.table(layer).rows)
        near = other.read(answer["text"]).nearest(1, 2, reference="isolated")
    assert [[one["id"] for one in head["neighbors"]] for head in answer["heads"]] == near.ids.tolist()


@pytest.mark.long
@pytest.mark.parametrize("limits", [Limits(patience=0.5)])
def test_who_is_not_heard_of_counts_as_gone(server: Server, gate: Gate) -> None:
    gate.close(after=10)
    assert ask(server, "nearest", "one", **ALONE).status_code == 409
    assert gate.reached.wait(60)
    for _ in range(8):  # who asks after it waits, for as long as he likes
        time.sleep(0.1)
        assert far(server, who="one")["state"] == "working"
    for _ in range(8):  # and who was never told to wait does not
        time.sleep(0.1)
        assert far(server, who="two")["state"] == "working"
    steps = gate.steps
    gate.open()
    until("stopped", lambda: far(server, who="two"))
    assert gate.steps == steps


# ---- maps ----

MAP = {"layer": 1, "head": 2, "size": 60, "perplexity": 5}


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch, server: Server) -> Server:
    """A server whose maps take their time."""
    pytest.importorskip("openTSNE", reason="maps are not installed (extra: maps)")
    monkeypatch.setattr(layouts, "ITERATIONS", (250, 1_000_000))
    return server


@pytest.mark.long
def test_a_map_is_made_while_one_waits(endless: Server) -> None:
    key = {ask(endless, "map", who, **MAP).json()["map"]["key"] for who in ("one", "two", "one")}.pop()
    until("working", lambda: far(endless, f"map/{key}", "one"))
    assert leave(endless, f"map/{key}", "one")["state"] == "working"
    assert leave(endless, f"map/{key}", "two")["state"] == "stopped"
    # The next map gets its turn: the one before it has ended.
    other = ask(endless, "map", "one", **MAP | {"seed": 1}).json()["map"]["key"]
    until("working", lambda: far(endless, f"map/{other}", "one"))
    leave(endless, f"map/{other}", "one")


@pytest.mark.long
def test_a_visitor_who_leaves_before_he_is_told_to_wait_counts_as_gone(endless: Server) -> None:
    visitor = Visitor(endless, "map", MAP)
    time.sleep(0.3)
    visitor.leave()
    noticed(endless)
    other = ask(endless, "map", **MAP | {"seed": 1}).json()["map"]["key"]
    until("working", lambda: far(endless, f"map/{other}"))
    leave(endless, f"map/{other}")


@pytest.mark.slow
def test_a_server_that_ends_waits_for_no_work(scope: Scope) -> None:
    with Gate(scope) as gate:
        with Server(create_app(scope)) as server:
            ask(server, "nearest")
            gate.close(after=10)
            assert ask(server, "nearest", **ALONE).status_code == 409
            assert gate.reached.wait(60)
        steps = gate.steps
        gate.open()
        time.sleep(0.3)
        assert gate.steps == steps
