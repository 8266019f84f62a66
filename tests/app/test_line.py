"""One job runs at a time; a bounded number wait, and leave when their client does."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from headscope import Scope
from headscope.app import create_app
from headscope.app.api.jobs import ClientGone, LineFull
from headscope.app.api.limits import Limits
from headscope.app.api.line import Line
from tests.app.serving import Server


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run in a thread of its own: the browser tests keep an event loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@pytest.fixture
def line() -> Iterator[Line]:
    one = Line(waiting=1)
    yield one
    one.close()


def _request(gone: asyncio.Event) -> Request:
    async def receive() -> dict[str, str]:
        await gone.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http"}, receive)


def test_jobs_run_one_after_another(line: Line) -> None:
    order: list[str] = []
    first = threading.Event()

    async def both() -> None:
        def slow() -> None:
            first.wait()
            order.append("first")

        one = asyncio.ensure_future(line.run(slow))
        two = asyncio.ensure_future(line.run(lambda: order.append("second")))
        await asyncio.sleep(0.05)
        assert line.waiting == 1
        first.set()
        await asyncio.gather(one, two)

    run(both())
    assert order == ["first", "second"]


def test_a_full_line_lets_nobody_in(line: Line) -> None:
    end = threading.Event()

    async def crowd() -> None:
        inside = [asyncio.ensure_future(line.run(end.wait)) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(LineFull):
            await line.run(end.wait)
        end.set()
        await asyncio.gather(*inside)
        assert await line.run(lambda: "in again") == "in again"

    run(crowd())


def test_a_client_that_leaves_gives_up_its_place(line: Line) -> None:
    end = threading.Event()
    done: list[str] = []

    async def leave() -> None:
        gone = asyncio.Event()
        running = asyncio.ensure_future(line.run(end.wait))
        waiting = asyncio.ensure_future(line.run(lambda: done.append("in vain"), _request(gone)))
        await asyncio.sleep(0.05)
        gone.set()
        with pytest.raises(ClientGone):
            await waiting
        await asyncio.sleep(0.05)
        assert line.waiting == 0
        end.set()
        await running

    run(leave())
    assert done == []


def test_a_job_that_fails_leaves_the_line(line: Line) -> None:
    async def fail() -> None:
        for _ in range(4):
            with pytest.raises(ZeroDivisionError):
                await line.run(lambda: 1 / 0)

    run(fail())


@pytest.mark.slow
def test_a_full_server_says_when_to_come_back(demo: Scope) -> None:
    with Server(create_app(demo, limits=Limits(waiting=0))) as server, ThreadPoolExecutor(8) as visitors:
        while httpx.post(f"{server.address}/api/v1/nearest", json={}, timeout=60).status_code == 503:
            time.sleep(0.1)  # the first view is being worked out

        def visit(n: int) -> httpx.Response:
            return httpx.post(f"{server.address}/api/v1/atlas", json={"text": f"Text {n}"}, timeout=60)

        answers = list(visitors.map(visit, range(8)))
        assert {answer.status_code for answer in answers} == {200, 503}
        refused = next(answer for answer in answers if answer.status_code == 503)
        assert refused.headers["Retry-After"] == "1"
        assert "try again" in refused.json()["error"]
