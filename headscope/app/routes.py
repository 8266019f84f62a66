"""The data routes, under /api/v1; plain, so that any FastAPI application can carry them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import BaseModel

from headscope import __version__
from headscope.app.answers import (
    AtlasOut,
    AttentionOut,
    BackgroundOut,
    BeingMadeOut,
    CompareOut,
    HealthOut,
    IsolatedOut,
    ModelsOut,
    NearestOut,
    Problem,
    ReadOut,
    SurveyOut,
    UsualOut,
    WhyOut,
)
from headscope.app.asks import (
    AtlasAsk,
    AttentionAsk,
    BackgroundAsk,
    CompareAsk,
    NearestAsk,
    ReadAsk,
    SurveyAsk,
    UsualAsk,
    WhyAsk,
    example,
)
from headscope.app.desk import Desk, as_json

PREFIX = "/api/v1"
_SAID = {
    400: "The address this request came by is not the server's.",
    403: "Not allowed: another site's page asks, or a model that this server does not open.",
    404: "No such model.",
    409: "The reference isolated is being made; `isolated` says how far.",
    413: "The text or the request is longer than this server takes.",
    422: "No such token, layer, choice or field; the sentence says what is open.",
    500: "The model failed.",
    503: "Too many requests wait; Retry-After says when to come back.",
}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": BeingMadeOut if status == 409 else Problem, "description": said} for status, said in _SAID.items()
}
_Model = Annotated[str | None, Query(min_length=1, max_length=300, description="As in the questions.")]


def _examples(kind: type[BaseModel], **others: dict[str, Any]) -> Any:
    shown: dict[str, dict[str, Any]] = others if kind is WhyAsk else {"the experiment's question": {}, **others}
    examples: dict[str, Any] = {name: example(kind, **given) for name, given in shown.items()}
    return Body(openapi_examples=examples)


def router(desk: Desk) -> APIRouter:
    """The routes, answered by `desk`."""
    routes = APIRouter(prefix=PREFIX, responses=_PROBLEMS)

    @routes.get("/health", response_model=HealthOut, summary="Is the server there?")
    async def health() -> Any:
        return {"status": "ok", "version": __version__, "waiting": desk.line.waiting}

    # Not `async`: it looks through the local cache's directories.
    @routes.get("/models", response_model=ModelsOut, summary="Which models are open, and which could be?")
    def models() -> Response:
        return _json(as_json(desk.models.listed()))

    @routes.post("/read", response_model=ReadOut, summary="Read a text: its tokens")
    async def read(
        ask: Annotated[ReadAsk, _examples(ReadAsk, **{"no mask": {"mask": "full"}})], request: Request
    ) -> Response:
        return _json(await desk.read(ask, request))

    @routes.post("/nearest", response_model=NearestOut, summary="What one layer's heads write at a token")
    async def nearest(
        ask: Annotated[
            NearestAsk,
            _examples(
                NearestAsk,
                **{"layer 3 in its own basis": {"layer": 3, "reference": "layer", "token": "banana"}},
            ),
        ],
        request: Request,
    ) -> Response:
        return _json(await desk.nearest(ask, request))

    @routes.post("/background", response_model=BackgroundOut, summary="Hub-aware neighbours, and chance")
    async def background(ask: Annotated[BackgroundAsk, _examples(BackgroundAsk)], request: Request) -> Response:
        return _json(await desk.background(ask, request))

    @routes.post("/why", response_model=WhyOut, summary="Why a token is near: its score by source position")
    async def why(
        ask: Annotated[WhyAsk, _examples(WhyAsk, **{"head 6 at flies": {"token": 2, "head": 6, "id": 1000}})],
        request: Request,
    ) -> Response:
        return _json(await desk.why(ask, request))

    @routes.post("/compare", response_model=CompareOut, summary="What changes with another mask or reference")
    async def compare(
        ask: Annotated[
            CompareAsk,
            _examples(
                CompareAsk,
                **{
                    "layer 3 in both bases": {"layer": 3, "other": {"reference": "layer"}},
                    "as if it could not look ahead": {"other": {"mask": "causal"}},
                },
            ),
        ],
        request: Request,
    ) -> Response:
        return _json(await desk.compare(ask, request))

    @routes.post("/atlas", response_model=AtlasOut, summary="The nearest token of every layer and head")
    async def atlas(ask: Annotated[AtlasAsk, _examples(AtlasAsk)], request: Request) -> Response:
        return _json(await desk.atlas(ask, request))

    @routes.post("/attention", response_model=AttentionOut, summary="What one layer's heads attend to at a token")
    async def attention(
        ask: Annotated[
            AttentionAsk, _examples(AttentionAsk, **{"one head's whole pattern": {"weigh": "norms", "head": 7}})
        ],
        request: Request,
    ) -> Response:
        return _json(await desk.attention(ask, request))

    @routes.get("/survey", response_model=SurveyOut, summary="Which survey is open?")
    def survey() -> Any:
        return desk.surveys.about()

    # Neither is `async`: a survey's tables are read from the disk.
    @routes.post("/survey", response_model=SurveyOut, summary="Open a finished survey of the server's own model")
    def open_survey(
        ask: Annotated[SurveyAsk, Body(openapi_examples={"a directory": example(SurveyAsk, directory="survey")})],
    ) -> Any:
        desk.surveys.open_for_visitor(ask.directory)
        return desk.surveys.about()

    @routes.post("/usual", response_model=UsualOut, summary="How one layer's heads usually behave")
    def usual(
        ask: Annotated[
            UsualAsk, _examples(UsualAsk, **{"layer 3 in its own basis": {"layer": 3, "reference": "layer"}})
        ],
    ) -> Any:
        return desk.surveys.usual(ask)

    @routes.get("/isolated", response_model=IsolatedOut, summary="How far is the reference isolated?")
    async def isolated(request: Request, model: _Model = None) -> Any:
        return await desk.isolated(model, request)

    @routes.delete("/isolated", response_model=IsolatedOut, summary="Stop making it; what was made stays")
    async def stop(request: Request, model: _Model = None) -> Any:
        desk.isolating.stop(desk.models.key(model))
        return await desk.isolated(model, request)

    return routes


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
