"""Reverse proxies that pass a server on under a prefix: one of a few lines, and nginx."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tests.app.serving import Server

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
PREFIX = "/user/ada/headscope"
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding"}
_METHODS = ["GET", "HEAD", "POST", "DELETE", "OPTIONS"]
_CONFIGURATION = """
daemon off; pid {folder}/pid; error_log {folder}/errors; worker_processes 1; user root;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location {prefix}/ {{
      proxy_pass {upstream}{path};
      proxy_set_header Host {host};
      proxy_set_header X-Forwarded-For $remote_addr;
    }}
  }}
}}
"""


@contextmanager
def forwarding(upstream: str, strips: bool, keeps_host: bool = True) -> Iterator[str]:
    """The address of a proxy in this process, with the prefix; `strips`: takes it off before it passes a request on."""

    async def forward(request: Request) -> Response:
        path = request.url.path.removeprefix(PREFIX) if strips else request.url.path
        headers = [(k, v) for k, v in request.headers.items() if k not in _HOP and (keeps_host or k != "host")]
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.request(
                request.method,
                f"{upstream}{path}" + (f"?{request.url.query}" if request.url.query else ""),
                headers=headers,
                content=await request.body(),
            )
        passed = Response(answer.content, answer.status_code)
        passed.raw_headers += [(k.lower(), v) for k, v in answer.headers.raw if k.decode().lower() not in _HOP]
        return passed

    async def home(request: Request) -> Response:
        # As nginx does: behind one that takes the prefix off, a server cannot know what stood before it.
        return RedirectResponse(f"{PREFIX}/") if strips else await forward(request)

    routes = [Route(PREFIX, home), Route(f"{PREFIX}/{{rest:path}}", forward, methods=_METHODS)]
    with Server(Starlette(routes=routes)) as running:
        yield f"{running.address}{PREFIX}"


@contextmanager
def nginx(folder: Path, upstream: str, strips: bool, keeps_host: bool = True) -> Iterator[str]:
    """The same by nginx, whose files are in `folder`."""
    assert NGINX is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path, host = "/" if strips else "", "$http_host" if keeps_host else "$proxy_host"
    (folder / "nginx.conf").write_text(
        _CONFIGURATION.format(folder=folder, port=port, prefix=PREFIX, upstream=upstream, path=path, host=host)
    )
    command = [NGINX, "-e", str(folder / "errors"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(command)
    try:
        for _ in range(200):
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}{PREFIX}"
    finally:
        process.terminate()
        process.wait(10)
