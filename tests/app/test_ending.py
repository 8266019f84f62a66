"""A server that is ended: who waits is answered within seconds, nothing is made ahead, and who cannot wait ends it."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from headscope import Scope
from headscope.app.api.jobs import ClientGone, ServerEnds
from headscope.app.api.line import Line
from headscope.question.stopping import stop_point

# A server whose only question takes so many seconds, in the line as every question is.
PROGRAM = """
import socket, sys, time, uvicorn
from headscope.app.api.line import Line
from headscope.app.ending import Ending

line, seconds = Line(8), float(sys.argv[1])

async def app(scope, receive, send):
    if scope["type"] == "http":
        print("asked", flush=True)
        await line.run(lambda: time.sleep(seconds))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        return await send({"type": "http.response.body", "body": b"answered"})
    while (await receive())["type"] != "lifespan.startup":
        pass
    await send({"type": "lifespan.startup.complete"})
    while (await receive())["type"] != "lifespan.shutdown":
        pass
    line.close()
    await send({"type": "lifespan.shutdown.complete"})

listener = socket.create_server(("127.0.0.1", 0))
print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
try:
    ending = lambda: print("no more ahead", flush=True)
    Ending(uvicorn.Config(app, log_level="warning"), ending, line.end).run([listener])
except KeyboardInterrupt:
    sys.exit(130)
"""


def asked(seconds: float) -> tuple[subprocess.Popen[str], list[str]]:
    """Such a server, which is at work on a question, and what becomes of that."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(seconds)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    address, answers = process.stdout.readline().strip(), list[str]()

    def ask() -> None:
        try:
            answers.append(httpx.get(address, timeout=60).text)
        except httpx.HTTPError as error:
            answers.append(type(error).__name__)

    threading.Thread(target=ask, daemon=True).start()
    assert process.stdout.readline() == "asked\n"
    return process, answers


@pytest.mark.slow
def test_who_waits_is_answered_and_whoever_ends_it_is_told_what_for() -> None:
    process, answers = asked(3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, answers) == (130, "no more ahead\n", ["answered"])
    assert err == (
        "headscope ends once what is being worked out is answered, or stopped after 4 seconds; "
        "Ctrl+C again ends it at once.\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("with_what", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_waits_for_nobody(with_what: signal.Signals) -> None:
    process, _ = asked(600)
    process.send_signal(with_what)
    assert process.stdout is not None
    assert process.stdout.readline() == "no more ahead\n"
    process.send_signal(with_what)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + with_what
    assert "Traceback" not in err


def test_what_is_made_aside_ends_with_the_server() -> None:
    async def ended() -> list[bool]:
        line, begun, over = Line(1), threading.Event(), threading.Event()

        def endless() -> None:
            begun.set()
            while True:
                stop_point()
                time.sleep(0.001)

        aside = [asyncio.ensure_future(line.aside(endless))]
        await asyncio.to_thread(begun.wait)
        before = asyncio.ensure_future(line.run(over.wait))  # which goes first
        aside.append(asyncio.ensure_future(line.aside(endless)))
        await asyncio.sleep(0.1)
        line.end_aside()
        await asyncio.sleep(0.1)
        over.set()
        assert await before
        found = await asyncio.wait_for(asyncio.gather(*aside, return_exceptions=True), 20)
        line.close()
        return [isinstance(one, ClientGone) for one in found]

    with ThreadPoolExecutor(1) as thread:  # the browser tests keep an event loop in this one
        assert thread.submit(asyncio.run, ended()).result() == [True, True]


def test_who_comes_with_more_work_aside_once_it_ends_is_sent_away() -> None:
    async def steps() -> int:
        line, taken = Line(8), 0

        def last_part() -> None:  # that comes to no stop point any more
            nonlocal taken
            taken += 1
            time.sleep(0.2)

        async def all_of_them() -> None:
            for _ in range(20):
                await line.aside(last_part)

        made = asyncio.ensure_future(all_of_them())
        await asyncio.sleep(0.1)
        line.end_aside()
        with pytest.raises(ClientGone):
            await asyncio.wait_for(made, 20)
        line.close()
        return taken

    with ThreadPoolExecutor(1) as thread:  # as above
        assert thread.submit(asyncio.run, steps()).result() == 1


def test_who_waits_for_long_work_is_sent_away_and_so_is_who_comes_then() -> None:
    async def asked() -> list[type[BaseException]]:
        line, begun = Line(8), threading.Event()

        def endless() -> None:
            begun.set()
            while True:
                stop_point()
                time.sleep(0.001)

        waiting = [asyncio.ensure_future(line.run(endless)) for _ in range(3)]
        await asyncio.to_thread(begun.wait)
        line.end()
        waiting.append(asyncio.ensure_future(line.run(lambda: None)))
        found = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 20)
        line.close()
        assert await line.run(lambda: "open again") == "open again"
        line.close()
        return list(map(type, found))

    with ThreadPoolExecutor(1) as thread:  # as above
        assert thread.submit(asyncio.run, asked()).result() == 4 * [ServerEnds]


@pytest.mark.slow
def test_the_command_stops_long_work_and_waits_for_no_half_request(demo: Scope) -> None:
    command = [sys.executable, "-m", "headscope", "serve", "--model", "demo", "--port", "0", "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = next(line for line in process.stdout if "headscope is at" in line).split()[3]
    url = httpx.URL(address)
    with ThreadPoolExecutor(4) as threads, socket.create_connection((url.host, url.port or 0)) as half:
        head = f"POST /api/v1/read HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nContent-Type: application/json\r\n"
        half.sendall(f"{head}Content-Length: 400\r\n\r\n{{".encode())

        def many_runs(token: int) -> str:
            ask = {"text": "time flies like a bird " * 90, "token": token}
            answer = httpx.post(f"{address}api/v1/effects", json=ask, timeout=600)
            return answer.text if answer.status_code == 503 else str(answer.status_code)

        answers = [threads.submit(many_runs, token) for token in range(1, 5)]
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        found = {one.result() for one in answers}
        _, err = process.communicate(timeout=60)
    assert found - {"200"} == {'{"error": "the server is being ended: ask again when it is back."}'}
    assert (process.returncode, "Traceback" in err, "Exception" in err) == (-signal.SIGTERM, False, False), err


@pytest.mark.slow
def test_the_command_makes_nothing_ahead_once_it_is_to_end(demo: Scope) -> None:
    command = [sys.executable, "-m", "headscope", "serve", "--model", "demo", "--port", "0", "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = next(line for line in process.stdout if "headscope is at" in line).split()[3]
    ahead = {"text": "time flies like a bird " * 90, "view": "atlas", "token": 9}
    with ThreadPoolExecutor(1) as thread:
        answer = thread.submit(httpx.post, f"{address}api/v1/ahead", json=ahead, timeout=120)
        time.sleep(1)
        assert not answer.done()
        process.send_signal(signal.SIGINT)
        assert answer.result().status_code == 499, "nobody is told that it is ready"
    _, err = process.communicate(timeout=60)
    assert (process.returncode, "Traceback" in err) == (130, False)
