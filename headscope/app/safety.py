"""Who may talk to the server: its own page, by its own name; and what the page may do."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headscope.app.problems import problem

HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; "
    # A plot's PNG is made of its SVG, which the browser draws from memory.
    "img-src 'self' data: blob:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def names_of(host: str) -> frozenset[str]:
    """The names that a server listening on `host` answers to, besides addresses in digits."""
    names = {"localhost"} if is_loopback(host) else {"localhost", host, socket.gethostname(), socket.getfqdn()}
    return frozenset(name.lower() for name in names)


class Guard:
    """Refuses requests by a foreign name or from a foreign page, and sends every answer with strict headers.

    A page of another site that has its own name point at 127.0.0.1 sends that name as Host: so the name must
    be one of the server's. A form or script of another site sends its Origin: so that must be the
    server's own.
    """

    def __init__(self, app: ASGIApp, host: str, body: int) -> None:
        self.app, self.body = app, body
        self._loopback = is_loopback(host)
        self._names = names_of(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        headers = Headers(scope=scope)
        refused = self._refusal(headers)
        if refused is not None:
            await refused(scope, receive, send_safely)
            return
        await self.app(scope, receive, send_safely)

    def _refusal(self, headers: Headers) -> Response | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._allowed(host):
            return problem(400, f"this server does not go by the name {host!r}: use the address that it printed.")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return problem(403, f"a page of {origin!r} may not use this server.")
        if "transfer-encoding" in headers:
            return problem(411, "the request does not say how long it is: send it with a Content-Length.")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self.body:
            return problem(413, f"the request has {length} bytes, and this server reads at most {self.body}.")
        return None

    def _allowed(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if name in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        # Digits cannot be made to point elsewhere; off loopback a server has addresses that it does not know.
        return address.is_loopback or not self._loopback
