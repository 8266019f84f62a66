"""`headscope serve`: it prints its address, opens the browser, and finds a free port."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from headscope import Scope
from headscope.app import serve
from headscope.commands.cli import main
from headscope.errors import InputError


@pytest.fixture
def taken() -> socket.socket:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        yield one  # type: ignore[misc]


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "headscope", "serve", "--model", "demo", *arguments]


@pytest.mark.slow
def test_is_ready_when_it_prints_its_address(demo: Scope) -> None:
    process = subprocess.Popen(
        _command("--port", "0", "--no-browser"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "headscope is at" in line)
        address = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert address
        assert "headscope" in httpx.get(address[0], timeout=20).text
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def test_a_port_in_use_is_said_with_the_next_free_one(
    taken: socket.socket, demo: Scope, capsys: pytest.CaptureFixture[str]
) -> None:
    port = taken.getsockname()[1]
    with pytest.raises(SystemExit) as left:
        main(["serve", "--model", "demo", "--port", str(port)])
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert re.search(rf"port {port} is in use; (\d+) is free: headscope serve --port \1 takes it\.", said)


def test_a_host_that_is_not_this_machines_is_said() -> None:
    with pytest.raises(InputError, match=r"cannot listen on '203\.0\.113\.7', port 7860"):
        serve._listener("203.0.113.7", 7860)


def test_the_next_port_is_taken_by_one_who_agrees(
    taken: socket.socket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = taken.getsockname()[1]
    main, terminal = os.openpty()
    with open(terminal) as answers:
        monkeypatch.setattr(sys, "stdin", answers)
        os.write(main, b"y\n")
        listener = serve._listener("127.0.0.1", port)
    os.close(main)
    with listener:
        assert listener.getsockname()[1] > port
        assert f"Port {port} is in use. Use {listener.getsockname()[1]} instead?" in capsys.readouterr().out
