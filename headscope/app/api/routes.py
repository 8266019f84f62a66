"""The data routes, under /api/v1: the table, for FastAPI; plain, so that any FastAPI application can carry them."""

from __future__ import annotations

from inspect import Signature
from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from headscope.app.api.answers import BeingMadeRecord, Json, Problem, as_json
from headscope.app.api.asks import example
from headscope.app.api.desk import Desk
from headscope.app.api.table import TABLE, Address, offered_rows

PREFIX = "/api/v1"
_SAID = {
    400: "The address this request came by is not the server's.",
    403: "Not allowed: another site's page asks, or for something that this server does not open or make.",
    404: "No such model, or no such map (any more).",
    409: "Tokens are being read alone, or the map is being made (`isolated` or `map` says how far), or not read yet.",
    413: "The text or the request is longer than this server takes.",
    422: "No such token, layer, choice or field; the sentence says what is open.",
    429: "More work than one visitor of this server may ask for; Retry-After says when to come back.",
    500: "The model failed.",
    503: "Too many requests wait, or the server is being ended; Retry-After says when to come back.",
}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": BeingMadeRecord if status == 409 else Problem, "description": said}
    for status, said in _SAID.items()
}


def router(desk: Desk) -> APIRouter:
    """The routes, answered by `desk`."""
    routes = APIRouter(prefix=PREFIX, responses=_PROBLEMS)
    for row in [*TABLE, *offered_rows()]:
        routes.add_api_route(
            f"/{row.path}",
            _endpoint(row, desk),
            methods=[row.method],
            name=row.function.__name__,
            summary=row.summary,
            response_model=None if row.media else row.answer,
            response_class=Response if row.media else JSONResponse,
            responses={200: {"content": {kind: {} for kind in row.media}}} if row.media else None,
        )
    return routes


def _endpoint(row: Address, desk: Desk) -> Any:
    """A row's function as FastAPI calls it: with its desk, its examples, and its answer as JSON."""

    async def endpoint(**given: Any) -> Response:
        answer = await row.answered(desk, **given)
        if isinstance(answer, Response):
            return answer
        return Response(answer if isinstance(answer, Json) else as_json(answer), media_type="application/json")

    parameters = [
        one.replace(kind=one.KEYWORD_ONLY, annotation=_with_examples(one.annotation, row)) for one in row.parameters
    ]
    endpoint.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return endpoint


def _with_examples(kind: Any, row: Address) -> Any:
    """A body's type with the examples that the documentation shows of it; any other type as it is."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return kind
    examples: Any = {name: example(kind, **given) for name, given in row.examples.items()}
    return Annotated[kind, Body(openapi_examples=examples)]
