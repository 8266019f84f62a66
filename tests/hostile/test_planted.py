"""Each law fails where it is broken on purpose: a suite that nothing can fail proves nothing."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from tests.hostile import laws
from tests.hostile.test_requests import Asked, check


def test_a_servers_failure_is_seen() -> None:
    laws.answers_in_order(422)
    laws.answers_in_order(503)
    for status in (500, 502, 504):
        with pytest.raises(AssertionError, match=str(status)):
            laws.answers_in_order(status)


@pytest.mark.parametrize(
    "told", ['{}\n  File "/x.py", line 3', "Traceback (most recent call last):", "<Scope at 0x7f00dead>"]
)
def test_a_traceback_is_seen(told: str) -> None:
    with pytest.raises(AssertionError, match="traceback"):
        laws.tells_no_trace(told)


@pytest.mark.parametrize("told", ["KeyError: 'layer'", "x" * 2000 + ".", ""])
def test_what_is_no_sentence_is_seen(told: str) -> None:
    with pytest.raises(AssertionError, match="sentence"):
        laws.is_a_sentence(told)


def test_a_path_of_the_host_is_seen_and_one_that_was_given_is_not(tmp_path: Path) -> None:
    given = f"{tmp_path}/model"
    laws.tells_no_path(f"{given} has no config.json", [tmp_path], [given])
    with pytest.raises(AssertionError, match="was told"):
        laws.tells_no_path(f"{given} is not {tmp_path}/other", [tmp_path], [given])


def test_a_hang_is_seen() -> None:
    with pytest.raises(AssertionError, match="it took"), laws.in_time(0.01):
        time.sleep(0.05)


def test_memory_without_end_is_seen() -> None:
    with pytest.raises(AssertionError, match="grew by"), laws.in_memory(50):
        peak = len(bytearray(laws._resident() + 2**28))
    assert peak


class _Payload:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return Path.touch, (self.canary,)


def test_a_pickle_that_is_run_is_seen(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    made = pickle.dumps(_Payload(canary))
    with pytest.raises(AssertionError, match=r"pickle\.find_class"), laws.nothing_run(tmp_path):
        pickle.loads(made)
    with pytest.raises(AssertionError, match="canary"), laws.nothing_run(tmp_path, canary=canary):
        pass


def test_a_program_that_is_started_is_seen_in_whatever_thread(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as elsewhere, pytest.raises(AssertionError, match="Popen"), laws.nothing_run(tmp_path):
        elsewhere.submit(subprocess.run, [sys.executable, "-c", ""]).result()


def test_a_file_that_is_written_elsewhere_is_seen(tmp_path: Path) -> None:
    kept, elsewhere = tmp_path / "kept", tmp_path / "elsewhere"
    kept.mkdir()
    with laws.nothing_run(kept):
        (kept / "file").write_text("here")
    with pytest.raises(AssertionError, match="elsewhere"), laws.nothing_run(kept):
        elsewhere.write_text("there")


@pytest.fixture
def broken(scope_of: Any) -> FastAPI:
    """A server with routes that break the laws."""
    scope: Scope = scope_of("bert")
    app = create_app(scope)
    for name, answer in {"fails": 1 / 1, "path": str(Path(__file__).parents[2])}.items():
        app.add_api_route(f"/api/v1/{name}", lambda answer=answer: {"error": answer})
    return app


def test_a_route_that_tells_a_path_is_seen(broken: FastAPI) -> None:
    with TestClient(broken, base_url="http://127.0.0.1") as client:
        check(client, Asked("GET", "/api/v1/fails"))
        with pytest.raises(AssertionError, match="was told"):
            check(client, Asked("GET", "/api/v1/path"))


def test_an_answer_without_the_strict_headers_is_seen() -> None:
    bare = FastAPI()
    bare.add_api_route("/api/v1/health", lambda: {"status": "ok"})
    with (
        TestClient(bare, base_url="http://127.0.0.1") as client,
        pytest.raises(AssertionError, match="Content-Security"),
    ):
        check(client, Asked("GET", "/api/v1/health"))
