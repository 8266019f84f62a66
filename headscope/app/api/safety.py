"""Who may talk to the server: its own page, by its own name; and what the page may do."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headscope.app.api.problems import fault, problem
from headscope.app.door import Door
from headscope.errors import cut

_HOME = ("same-origin", "none")  # Sec-Fetch-Site of the own page, and of an address that a reader typed


def headers_of(door: Door) -> dict[str, str]:
    """What every answer tells the browser."""
    return {
        "Content-Security-Policy": "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; "
        # A plot's PNG is made of its SVG, which the browser draws from memory.
        f"img-src 'self' data: blob:; frame-ancestors {' '.join(door.frames) or chr(39) + 'none' + chr(39)}",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


class Guard:
    """Refuses requests by a foreign name or from a foreign page, and sends every answer with strict headers.

    A page of another site that has its own name point at 127.0.0.1 sends that name as Host: so the name must
    be one of the server's. A form or script of another site sends its Origin: so that must be the
    server's own. A picture or a link of another site sends no Origin, but the browser says whence it came:
    under `api` that must be the server's own page, too; and where a page says which one it is, this `page`.
    """

    def __init__(self, app: ASGIApp, door: Door, body: int, api: str, page: str) -> None:
        self.app, self.body, self._page = app, body, page
        self._door, self._api, self._headers = door, door.root_path + api, headers_of(door)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        root = self._door.root_path
        if root:
            stripped = not f"{scope['path']}/".startswith(f"{root}/")  # the proxy took the prefix off
            scope = {**scope, "root_path": root, "path": (root if stripped else "") + scope["path"]}
        api, started = f"{scope['path']}/".startswith(f"{self._api}/"), False

        async def send_safely(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message).update(self._headers | ({"Cache-Control": "no-store"} if api else {}))
            await send(message)

        answer = self._refusal(Headers(scope=scope), api)
        if answer is None and root and scope["path"] == root:
            query = scope["query_string"].decode("latin-1")
            answer = RedirectResponse(f"{root}/" + (f"?{query}" if query else ""))
        if answer is not None:
            await answer(scope, receive, send_safely)
            return
        try:
            await self.app(scope, receive, send_safely)
        except Exception as error:
            if not started:
                await fault(error)(scope, receive, send_safely)
            raise  # into the server's log

    def _refusal(self, headers: Headers, api: bool) -> Response | None:
        host = headers.get("host", "")
        if not self._door.knows(host):
            return problem(400, f"this server does not go by the name {cut(host)!r}: use the address that it printed.")
        for origin in headers.getlist("origin"):
            if not self._door.owns(origin, host):
                return problem(403, f"a page of {cut(origin)!r} may not use this server.")
        if api and not set(headers.getlist("sec-fetch-site")) <= set(_HOME):
            return problem(403, "a page of another site may not use this server: open the server's own page.")
        if headers.get("headscope-page", self._page) != self._page:
            return problem(412, "this server was started anew, with another model or version: reload the page.")
        if "transfer-encoding" in headers:
            return problem(411, "the request does not say how long it is: send it with a Content-Length.")
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or int(length[:20]) > self.body:
            return problem(413, f"the request has {length[:20]} bytes, and this server reads at most {self.body}.")
        return None
