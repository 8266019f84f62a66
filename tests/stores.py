"""An object store on this machine: moto's server, which speaks S3, in a process of its own.

What moto needs moves what others here need, so it may have an environment of its own: HEADSCOPE_MOTO is that one's
interpreter (.ci/run makes it). Where neither it nor this one has moto, the tests are skipped.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": "a secret",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def serving_s3(**environment: str) -> Iterator[str]:
    """The address of a store with nothing in it; the test is skipped where moto is not installed."""
    python = os.environ.get("HEADSCOPE_MOTO")
    if python is None and not all(map(find_spec, ("moto", "flask", "flask_cors"))):
        pytest.skip("HEADSCOPE_MOTO names no Python with moto[s3], flask and flask-cors")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [python or sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    # Nothing of the tests' own environment is for it.
    with_it = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment
    server = subprocess.Popen(command, env=with_it, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120
        while True:
            with suppress(OSError), urllib.request.urlopen(f"{address}/moto-api/", timeout=10):
                break
            assert server.poll() is None, f"the server ended with {server.returncode}"
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.1)
        yield address
    finally:
        server.kill()
        server.wait()


def make_bucket(address: str, name: str) -> None:
    urllib.request.urlopen(urllib.request.Request(f"{address}/{name}", method="PUT")).close()


def upload(address: str, folder: Path, url: str) -> None:
    """Put every file below a folder on the store."""
    from pyarrow import fs

    there = fs.S3FileSystem(
        access_key="somebody", secret_key="a secret", region="us-east-1", endpoint_override=address[7:], scheme="http"
    )
    for path in folder.rglob("*"):
        if path.is_file():
            with there.open_output_stream(f"{url[5:]}/{path.relative_to(folder)}") as out:
                out.write(path.read_bytes())
