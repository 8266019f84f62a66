"""A request that never ends is closed, and whoever sends one that does is not hurried."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator

import pytest

from headscope import Scope
from headscope.app import create_app
from headscope.app.serve import configured
from tests.app.serving import Server

LIMIT = 0.5
HEAD = b"GET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BODY = b"POST /api/v1/read HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"


@pytest.fixture(scope="module")
def port(demo: Scope) -> Iterator[int]:
    with Server(create_app(demo), lambda app: configured(app, LIMIT)) as running:
        yield int(running.address.rpartition(":")[2])


def until_closed(line: socket.socket, trickled: bytes = b"", most: float = 20) -> float:
    """Seconds until the server closes the line, a byte sent now and then meanwhile."""
    begin, line_open = time.monotonic(), True
    line.settimeout(0.1)
    while line_open and time.monotonic() < begin + most:
        try:
            if trickled:
                line.send(trickled)
            line_open = line.recv(1000) != b""
        except TimeoutError:
            continue
        except OSError:
            line_open = False
    return time.monotonic() - begin


@pytest.mark.parametrize(
    "sent",
    [b"", b"G", HEAD, BODY, BODY + b"{"],
    ids=["nothing", "a letter", "a head", "no body", "half a body"],
)
def test_a_request_that_stops_coming_is_closed(port: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(sent)
        assert LIMIT / 2 < until_closed(line) < 10


def test_a_header_that_never_ends_is_closed(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(HEAD)
        assert LIMIT / 2 < until_closed(line, b"X-More: a\r\n") < 10


def test_a_second_request_of_a_connection_has_the_same_limit(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(HEAD + b"\r\n")
        assert line.recv(10_000).startswith(b"HTTP/1.1 200")
        line.sendall(HEAD)
        assert LIMIT / 2 < until_closed(line) < 4  # uvicorn's own limit is of 5 s, and counts no begun request


@pytest.mark.slow
def test_an_answer_that_takes_longer_is_given(demo: Scope) -> None:
    with Server(create_app(demo), lambda app: configured(app, 0.05)) as running:
        line = socket.create_connection(("127.0.0.1", int(running.address.rpartition(":")[2])))
        with line:
            line.sendall(BODY + b"{}")
            assert line.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket"])
def test_another_protocol_that_is_offered_is_passed_over_in_silence(port: int, protocol: bytes) -> None:
    log, told = logging.getLogger("uvicorn.error"), list[str]()
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    log.addHandler(handler)
    try:
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.sendall(HEAD + b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\n\r\n")
            assert line.recv(10_000).startswith(b"HTTP/1.1 200")
    finally:
        log.removeHandler(handler)
    assert told == []
