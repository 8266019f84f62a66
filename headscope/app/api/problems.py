"""Everything that can go wrong, as a status and one sentence: {"error": "…"}."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from headscope.app.api.answers import as_json
from headscope.app.api.desk import NotRead, TooLong
from headscope.app.api.jobs import BeingMade, ClientGone, LineFull, ServerEnds
from headscope.app.api.mapping import MapNotThere
from headscope.app.api.models import Busy, NotAllowed, NotFound
from headscope.app.visitors import TooMuch
from headscope.errors import HeadscopeError, InputError, ModelError, cut

_NO_OBJECT = ("missing", "model_type", "dict_type", "model_attributes_type")
_SHOWN = reprlib.Repr()  # of what was given: a long or deeply nested value is cut while it is written
_SHOWN.maxstring = _SHOWN.maxother = _SHOWN.maxlong = 80


def problem(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer that says what was wrong."""
    return Response(as_json({"error": sentence}), status, headers, media_type="application/json")


def handle_problems(app: FastAPI) -> None:
    """Give every error its status and its sentence."""
    statuses: dict[type[Exception], int] = {
        InputError: 422,
        NotAllowed: 403,
        NotFound: 404,
        Busy: 503,
        MapNotThere: 404,
        NotRead: 409,
        ModelError: 500,
        TooLong: 413,
    }
    for kind, status in statuses.items():
        app.add_exception_handler(kind, _with(status))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return problem(422, " ".join(_sentence(one) for one in error.errors()[:3]))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        if error.status_code == 400:  # FastAPI's, where a body is no UTF-8, nested too deeply, or has too long a number
            return problem(422, "the request is no JSON that can be read.")
        asked = f"{request.method} {cut(request.url.path, 200)}"
        return problem(error.status_code, f"{asked}: {error.detail}.", error.headers)

    @app.exception_handler(BeingMade)
    async def being_made(_: Request, error: BeingMade) -> Response:
        return Response(as_json(error.told), 409, {"Retry-After": "1"}, "application/json")

    @app.exception_handler(LineFull)
    async def full(_: Request, __: Exception) -> Response:
        return problem(
            503,
            "the server works on as many requests as it takes: try again in a moment.",
            {"Retry-After": "1"},
        )

    @app.exception_handler(TooMuch)
    async def too_much(_: Request, error: Exception) -> Response:
        return problem(429, str(error), {"Retry-After": "5"})

    @app.exception_handler(ServerEnds)
    async def ends(_: Request, __: Exception) -> Response:
        return problem(503, "the server is being ended: ask again when it is back.", {"Retry-After": "1"})

    @app.exception_handler(ClientGone)
    async def gone(_: Request, __: Exception) -> Response:
        return Response(status_code=499)  # nobody reads it


def fault(error: Exception) -> Response:
    """The answer where headscope itself failed: the traceback is in its log; a visitor learns the kind and no paths."""
    return problem(500, f"headscope failed ({type(error).__name__}); its log says where.")


def _with(status: int):  # type: ignore[no-untyped-def]
    async def handler(_: Request, error: Exception) -> Response:
        return problem(status, error.wrong if isinstance(error, HeadscopeError) else str(error))

    return handler


def _sentence(error: Mapping[str, object]) -> str:
    """One fault of a request's body, in words."""
    place = error.get("loc")
    names = [str(part) for part in place[1:]] if isinstance(place, tuple) else []
    name = names[0] if names else "the request"
    if error.get("type") == "extra_forbidden":
        return f"there is no field {name!r}."
    if error.get("type") == "json_invalid":
        return "the request is no JSON."
    if error.get("type") == "missing" and names:
        return f"{'.'.join(names)} is missing."
    if not names and error.get("type") in _NO_OBJECT:  # as of curl -d, which sends what a form does
        return "the request is no JSON object: send one, with Content-Type: application/json."
    if error.get("type") == "value_error" and not names:  # of fields that do not go together
        return str(error.get("msg")).removeprefix("Value error, ") + "."
    return f"{name} is {cut(_SHOWN.repr(error.get('input')))}: {error.get('msg')}."
