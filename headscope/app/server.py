"""The application: data routes, the page and its files, and what keeps both safe."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as HttpScope

from headscope import __version__
from headscope.app.api import questions, routes
from headscope.app.api.asks import NearestAsk
from headscope.app.api.desk import Desk
from headscope.app.api.limits import PUBLIC, Limits
from headscope.app.api.models import Models, Open
from headscope.app.api.problems import handle_problems
from headscope.app.api.safety import Guard
from headscope.app.door import Door
from headscope.app.page.page import FILES, FOLDERS, Page
from headscope.errors import InputError, cut
from headscope.question.given import in_order, of_kind, switch, text_of
from headscope.scope import Scope, a_scope
from headscope.show.modules import plotly as plotly_folder

_NO_GZIP = re.compile(r"(^|,)\s*gzip\s*;\s*q=0(\.0*)?\s*(,|$)", re.IGNORECASE)  # of Accept-Encoding: refused


class _Files(StaticFiles):
    """Files of directories, as if they were one, with what their Cache-Control is to be."""

    def __init__(self, directories: Sequence[Path], cache: str) -> None:
        super().__init__(directory=directories[0])
        self.all_directories = list(directories)
        self._cache = cache

    async def get_response(self, path: str, scope: HttpScope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = self._cache
        return response


class _Packed:
    """Sends the page and its files as small as they get, and answers as fast: most readers are on the same machine.

    Whoever takes no gzip gets none. HEAD is answered as GET is, without the body: a proxy asks so whether it is there.
    """

    def __init__(self, app: ASGIApp, api: str) -> None:
        self._api = api
        self._answers, self._files = (GZipMiddleware(app, minimum_size=512, compresslevel=level) for level in (1, 7))

    async def __call__(self, scope: HttpScope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._files(scope, receive, send)

        async def send_head(message: Message) -> None:
            await send(message if message["type"] == "http.response.start" else {**message, "body": b""})

        if _NO_GZIP.search(",".join(Headers(scope=scope).getlist("accept-encoding"))):
            given = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
            scope = {**scope, "headers": given}
        answers = scope["path"].startswith(f"{self._api}/")
        app = self._answers if answers else self._files
        if scope["method"] != "HEAD":
            return await app(scope, receive, send)
        return await app({**scope, "method": "GET"}, receive, send_head)


def create_app(
    scope: Scope,
    *,
    host: str = "127.0.0.1",
    allow_hosts: Sequence[str] = (),
    allow_frames: Sequence[str] = (),
    root_path: str = "",
    read_only: bool = False,
    open_model: Open | None = None,
    limits: Limits | None = None,
    survey: str | Path | None = None,
    tested: bool = False,
) -> FastAPI:
    """The page and API of `scope`, for a server that listens on `host`.

    `allow_hosts`: further names that it answers to. `allow_frames`: origins whose pages may show it in a frame.
    `root_path`: the prefix under which a proxy passes it on, whether that takes it off or not.
    `read_only`: for visitors whom nobody knows; no other model is opened, and the limits are `limits.PUBLIC`.

    `open_model` opens another model that a request names; None: such requests are refused, and so are those for a
    survey's directory. `survey`: the directory of a finished survey of `scope`, whose figures stand beside readings.
    `tested`: without one, what the test on 60 texts gave for these weights, where it was made before or comes along.
    Of a server that is to end, on its event loop: `app.state.ending()` ends what is made for nobody yet, and
    `app.state.over()` what is made for those who wait; they are told that the server ends.
    Raises InputError where one of them is none.
    """
    scope, host, root_path = a_scope(scope), text_of(host, "host"), text_of(root_path, "root_path")
    hosts = [text_of(one, "name of a host") for one in in_order(allow_hosts, "allow_hosts")]
    frames = [text_of(one, "origin") for one in in_order(allow_frames, "allow_frames")]
    door = Door(host, hosts, frames, root_path)
    read_only, tested = switch(read_only, "read_only"), switch(tested, "tested")
    limits = (PUBLIC if read_only else Limits()) if limits is None else of_kind(limits, Limits, "limits")
    if open_model is not None and not callable(open_model):
        raise InputError(
            f"open_model is a function that opens a model by its name, or None, not {cut(repr(open_model))}."
        )
    if read_only and open_model is not None:
        raise InputError("a read-only server opens no other model for its visitors: leave out one or the other.")
    desk = Desk(Models(scope, open_model, limits.models), limits)
    if survey is not None:
        desk.surveys.open(survey)
    elif tested:
        desk.surveys.open_tested()
    page = Page(desk)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # The first view is worked out while the browser opens; who comes sooner waits for the same job.
        first = asyncio.ensure_future(desk.answer(NearestAsk(html=True), questions.nearest))
        first.add_done_callback(lambda task: task.cancelled() or task.exception())
        yield
        desk.isolating.close()
        desk.testing.close()
        desk.mapping.close()
        desk.line.close()

    app = FastAPI(
        title="headscope",
        description="What every attention head of a transformer writes: the vocabulary tokens, and the "
        'positions of the text, that its output is nearest to. Every error is {"error": "one sentence"}.',
        version=__version__,
        lifespan=lifespan,
        openapi_url=f"{routes.PREFIX}/openapi.json",
        docs_url=None,  # they load from another host
        redoc_url=None,
    )
    app.state.ending, app.state.over = desk.line.end_aside, desk.end
    handle_problems(app)
    app.include_router(routes.router(desk))

    @app.get("/", include_in_schema=False)
    async def index(request: Request) -> Any:
        return HTMLResponse(page.html(dict(request.query_params)), headers={"Cache-Control": "no-store"})

    folder = plotly_folder()
    drawing = None if folder is None else _Files([folder], "no-cache")  # whose version its address does not tell

    @app.get("/plotly.js", include_in_schema=False)
    async def plotly(request: Request) -> Response:
        if drawing is None:
            raise HTTPException(404, 'plots need plotly: pip install "headscope[app]"')
        return await drawing.get_response("plotly.min.js", request.scope)

    app.mount(f"/{FILES}", _Files(FOLDERS, "public, max-age=31536000, immutable"), name="static")
    app.add_middleware(_Packed, api=door.root_path + routes.PREFIX)
    app.add_middleware(Guard, door=door, body=limits.body, api=routes.PREFIX, page=page.identity)
    return app
