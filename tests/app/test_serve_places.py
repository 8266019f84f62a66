"""`headscope serve` where the disk is full, the cache cannot be written, or there is no home: it serves anyway."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import zoo

API = "api/v1"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a tiny model."""
    directory = tmp_path_factory.mktemp("model")
    for part in zoo.build("roberta"):
        part.save_pretrained(directory)
    return directory


@contextmanager
def served(model: Path, environment: dict[str, str | None], before: Callable[[], None] | None = None) -> Iterator[str]:
    """The address of the command's server, in an environment of its own; what it printed holds no traceback."""
    env = {name: value for name, value in (os.environ | environment).items() if value is not None}
    command = [sys.executable, "-m", "headscope", "serve", "--model", str(model), "--port", "0", "--no-browser"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, preexec_fn=before
    )
    try:
        assert process.stdout is not None
        found = next((match[0] for line in process.stdout if (match := re.search(r"http://127\S+/", line))), None)
        assert found is not None, process.communicate(timeout=20)[1]
        yield found
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert "Traceback" not in said


def _no_room() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


@pytest.fixture(
    params=[
        "a full disk",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("a cache that cannot be written", "no home")),
    ]
)
def address(request: pytest.FixtureRequest, model: Path, tmp_path: Path) -> Iterator[str]:
    (tmp_path / "file").write_text("no directory")
    where: dict[str, tuple[dict[str, str | None], Callable[[], None] | None]] = {
        "a full disk": ({"HEADSCOPE_CACHE": str(tmp_path / "cache")}, _no_room),
        "a cache that cannot be written": ({"HEADSCOPE_CACHE": str(tmp_path / "file" / "cache")}, None),
        "no home": ({"HOME": None, "XDG_CACHE_HOME": None, "HEADSCOPE_CACHE": str(tmp_path / "file" / "cache")}, None),
    }
    with served(model, *where[request.param]) as found:
        yield found


@pytest.mark.long
def test_it_serves_and_says_what_it_cannot_keep(address: str) -> None:
    with httpx.Client(base_url=address, timeout=60) as client:
        assert client.get("").status_code == 200
        assert client.post(f"{API}/nearest", json={"layer": 1}).status_code == 200
        # A map is made, and only not kept for the next process.
        question = {"size": 60, "perplexity": 5}
        end = time.monotonic() + 120
        while (drawn := client.post(f"{API}/map", json=question)).status_code == 409 and time.monotonic() < end:
            time.sleep(0.2)
        assert drawn.status_code == 200, drawn.text
        # Tokens read alone have to be kept: that they cannot is told.
        assert client.post(f"{API}/nearest", json={"reference": "isolated", "layer": 1}).status_code == 409
        while (told := client.get(f"{API}/isolated").json())["state"] == "working" and time.monotonic() < end:
            time.sleep(0.1)
        assert told["state"] == "failed"
        assert "HEADSCOPE_CACHE" in told["problem"]
        assert client.post(f"{API}/nearest", json={"layer": 1}).status_code == 200
