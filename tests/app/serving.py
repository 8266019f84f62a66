"""A server in this process that can be stopped, and started again at the same address."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import uvicorn
from starlette.types import ASGIApp


class Server:
    """Serves an application on a free port of 127.0.0.1; `configure`: how, where not as usual."""

    def __init__(self, app: ASGIApp, configure: Callable[[Any], uvicorn.Config] | None = None) -> None:
        self._app, self._port = app, 0
        self._configure = configure or (lambda app: uvicorn.Config(app, log_level="warning", ws="none"))
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self, app: ASGIApp | None = None) -> None:
        """Serve, from now on another application where one is given."""
        self._app = self._app if app is None else app
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        listener.listen()
        self._port = listener.getsockname()[1]
        self._server = uvicorn.Server(self._configure(self._app))
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
