"""`headscope serve`: a port, a model, the page, and a browser that opens it."""

from __future__ import annotations

import errno
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import typer
import uvicorn
from fastapi import FastAPI

from headscope.app.door import Door, is_loopback
from headscope.app.ending import Ending
from headscope.app.server import create_app
from headscope.app.slow import protocol
from headscope.errors import InputError, cut
from headscope.keep.cells import visible
from headscope.question.model_choice import ModelChoice
from headscope.scope import CACHE_BYTES, Scope
from headscope.show.terminal import console

_TRIED = 50  # ports after the one in use


@dataclass(frozen=True)
class Whom:
    """Whom a server lets in, and to what: as the options of the command say it."""

    host: str = "127.0.0.1"
    allow_hosts: Sequence[str] = ()
    allow_frames: Sequence[str] = ()
    root_path: str = ""
    allow_models: bool = False
    read_only: bool = False

    def __post_init__(self) -> None:
        """Raise InputError where two of them exclude each other, or one is none."""
        Door(self.host, self.allow_hosts, self.allow_frames, self.root_path)
        if self.read_only and self.allow_models:
            raise InputError("--read-only opens no model for visitors, and --allow-models does: leave one of them out.")

    @property
    def opens_models(self) -> bool:
        """Whether visitors may open models and directories: the user of this machine, unless others are let in."""
        here = is_loopback(self.host) and not self.allow_hosts
        return not self.read_only and (here or self.allow_models)


def serve(
    model: ModelChoice,
    whom: Whom,
    port: int,
    browser: bool,
    memory: str | None,
    survey: str | None,
    lens: str | None,
) -> None:
    """Open a model and serve its page until interrupted.

    Raises InputError where the port, the survey or the lens is not to be had, ModelError where the model is not.
    """
    # Before the model: a port in use is told at once, and a browser that comes early waits.
    listener = _listener(whom.host, port)
    with console(sys.stderr).status("starting …") as status:
        scope = Scope.from_choice(
            model, cache_bytes=memory or CACHE_BYTES, progress=lambda step: status.update(f"{step} …")
        )
        if lens is not None:
            scope.use_lens(lens)

    def opener(name: str, progress: Callable[[str], None]) -> Scope:
        asked = replace(ModelChoice.of_spelling(name), device=model.device, dtype=model.dtype)
        return Scope.from_choice(asked, cache_bytes=scope.memory, progress=progress)

    app = create_app(
        scope,
        host=whom.host,
        allow_hosts=whom.allow_hosts,
        allow_frames=whom.allow_frames,
        root_path=whom.root_path,
        read_only=whom.read_only,
        open_model=opener if whom.opens_models else None,
        survey=survey,
        tested=True,
    )
    card = scope.card
    print(visible(f"{card.name}: {card.layers} layers × {card.heads} heads; {card.why}"))
    address = _address(whom.host, listener.getsockname()[1])
    print(f"headscope is at {address} (Ctrl+C ends it)", flush=True)
    if browser:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    Ending(configured(app), app.state.ending, app.state.over).run([listener])


def configured(app: FastAPI, seconds: float = 30) -> uvicorn.Config:
    """How uvicorn serves the application: a request that has not come whole after so many seconds is given up."""
    return uvicorn.Config(app, log_level="warning", ws="none", server_header=False, http=protocol(seconds))


def _listener(host: str, port: int) -> socket.socket:
    """A socket bound to the port; where that is in use, to the next free one if the user agrees."""
    try:
        return _bound(host, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise InputError(f"cannot listen on {cut(host)!r}, port {port}: {error.strerror or error}.") from None
    except UnicodeError:  # no name of a machine: a part of it is too long, or none of its letters
        raise InputError(f"cannot listen on {cut(host)!r}: that is no name or address of this machine.") from None
    free = _next_free(host, port + 1)
    if free is None:
        raise InputError(f"port {port} is in use, and so are the {_TRIED} after it: name one with --port.")
    found = free.getsockname()[1]
    if sys.stdin.isatty() and typer.confirm(f"Port {port} is in use. Use {found} instead?", default=True):
        return free
    free.close()
    raise InputError(f"port {port} is in use; {found} is free: headscope serve --port {found} takes it.")


def _next_free(host: str, start: int) -> socket.socket | None:
    for port in range(start, min(start + _TRIED, 65536)):
        try:
            return _bound(host, port)
        except OSError:
            continue
    return None


def _bound(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    try:
        # A server that just ended leaves its port waiting; on Windows the option would share a port in use.
        if sys.platform != "win32":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(place)
        bound.listen()
    except OSError:
        bound.close()
        raise
    return bound


def _address(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}/"
