"""The data routes, under /api/v1; plain, so that any FastAPI application can carry them."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request, Response
from pydantic import BaseModel

from headscope import __version__
from headscope.app.api.answers import (
    AtlasOut,
    AttentionOut,
    BackgroundOut,
    BeingMadeOut,
    CompareOut,
    HealthOut,
    IsolatedOut,
    MapOut,
    MapWorkOut,
    ModelsOut,
    NearestOut,
    OpeningOut,
    Problem,
    ReadOut,
    SurveyOut,
    TakeOut,
    UsualOut,
    WhyOut,
    WorkedOut,
)
from headscope.app.api.asks import (
    AtlasAsk,
    AttentionAsk,
    BackgroundAsk,
    CompareAsk,
    EffectsAsk,
    GlanceAsk,
    JourneyAsk,
    MapAsk,
    MixingAsk,
    NearestAsk,
    OpenAsk,
    ReadAsk,
    SurveyAsk,
    UsualAsk,
    WhyAsk,
    WorkedAsk,
    example,
)
from headscope.app.api.desk import Desk, as_json
from headscope.app.api.layer_answers import EffectsOut, GlanceOut, JourneyOut, MixingOut
from headscope.app.api.work import visitor
from headscope.app.page import taking
from headscope.question.choices import What

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
    503: "Too many requests wait; Retry-After says when to come back.",
}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": BeingMadeOut if status == 409 else Problem, "description": said} for status, said in _SAID.items()
}
_MapKey = Annotated[str, Path(min_length=1, max_length=64, description="As the answer to POST /map gives it.")]
_What = Annotated[What, Query(description="The values of the reference isolated, or the streams of a journey's ranks.")]
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

    @routes.post("/models", response_model=OpeningOut, summary="Open a model; does not wait for it")
    def open_model(
        ask: Annotated[OpenAsk, Body(openapi_examples={"the demo weights": example(OpenAsk, model="demo")})],
    ) -> Any:
        return dataclasses.asdict(desk.models.open(ask.model))

    @routes.get("/models/opening", response_model=OpeningOut | None, summary="How far is the model being opened?")
    async def opening() -> Any:
        return desk.models.opening and dataclasses.asdict(desk.models.opening)

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
                **{"layer 3 in the experiment's basis": {"layer": 3, "reference": "input", "token": "banana"}},
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

    @routes.post("/worked", response_model=WorkedOut, summary="One distance worked out from q·k on")
    async def worked(
        ask: Annotated[WorkedAsk, _examples(WorkedAsk, **{"head 7 at banana": {"token": 11, "head": 7}})],
        request: Request,
    ) -> Response:
        return _json(await desk.worked(ask, request))

    @routes.post("/compare", response_model=CompareOut, summary="What changes with another mask or reference")
    async def compare(
        ask: Annotated[
            CompareAsk,
            _examples(
                CompareAsk,
                **{
                    "layer 3 in both bases": {"layer": 3, "other": {"reference": "input"}},
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

    @routes.post("/map", response_model=MapOut, summary="One head's space in two dimensions")
    async def draw_map(
        ask: Annotated[
            MapAsk, _examples(MapAsk, **{"PCA of layer 3, head 5": {"layer": 3, "head": 5, "method": "pca"}})
        ],
        request: Request,
    ) -> Response:
        return _json(await desk.map(ask, request))

    @routes.get("/map/{key}", response_model=MapWorkOut, summary="How far is a map that is being made?")
    async def map_work(key: _MapKey, request: Request) -> Any:
        return desk.mapping.work(key, visitor(request)).record()

    @routes.delete("/map/{key}", response_model=MapWorkOut, summary="Wait for it no longer; where nobody does, it ends")
    async def leave_map(key: _MapKey, request: Request) -> Any:
        return desk.mapping.leave(key, visitor(request)).record()

    @routes.get(
        "/map/{key}/points",
        response_class=Response,
        responses={200: {"content": {"application/octet-stream": {}}}},
        summary="A map's points: float32, little-endian, x and y of each",
    )
    async def points(key: _MapKey) -> Response:
        return Response(desk.mapping.points_of(key), media_type="application/octet-stream")

    @routes.post("/journey", response_model=JourneyOut, summary="Every token's residual stream through the layers")
    async def journey(
        ask: Annotated[JourneyAsk, _examples(JourneyAsk, **{"without positions": {"position": False}})],
        request: Request,
    ) -> Response:
        return _json(await desk.journey(ask, request))

    @routes.post("/mixing", response_model=MixingOut, summary="How much comes from other positions")
    async def mixing(ask: Annotated[MixingAsk, _examples(MixingAsk)], request: Request) -> Response:
        return _json(await desk.mixing(ask, request))

    @routes.post("/glance", response_model=GlanceOut, summary="Every head of the text in five numbers")
    async def glance(ask: Annotated[GlanceAsk, _examples(GlanceAsk)], request: Request) -> Response:
        return _json(await desk.glance(ask, request))

    @routes.post("/effects", response_model=EffectsOut, summary="What the output at a token loses without each head")
    async def effects(
        ask: Annotated[EffectsAsk, _examples(EffectsAsk, **{"by the mean": {"replaced_by": "mean"}})],
        request: Request,
    ) -> Response:
        return _json(await desk.effects(ask, request))

    @routes.get("/take", response_model=TakeOut, summary="What a page's view can be taken away as")
    async def take(request: Request) -> Response:
        ask = desk.view(dict(request.query_params))
        return _json(as_json({"files": taking.offered(desk, ask), "script": taking.program(desk, ask).decode()}))

    @routes.post("/take", response_model=TakeOut, summary="The same, and what its files need is read")
    async def prepare(request: Request) -> Response:
        await desk.prepare(desk.view(dict(request.query_params)), request)
        return await take(request)

    @routes.get(
        "/take/{name}",
        summary="A view as a file: CSV, SVG, HTML or Python",
        response_class=Response,
        responses={200: {"content": {kind: {} for kind in taking.TYPES.values()}}},
    )
    async def file(name: str, request: Request) -> Response:
        ask = desk.view(dict(request.query_params))
        body = await taking.taken(desk, name, ask, request)
        kind = taking.TYPES[name.rpartition(".")[2]]
        # Shown where it is asked for as a picture, else saved; never run as a page of this server.
        headers = {"Content-Disposition": f'attachment; filename="headscope-{name}"'}
        return Response(body, media_type=f"{kind}; charset=utf-8", headers=headers)

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
            UsualAsk, _examples(UsualAsk, **{"layer 3 in the experiment's basis": {"layer": 3, "reference": "input"}})
        ],
    ) -> Any:
        return desk.surveys.usual(ask)

    @routes.get("/isolated", response_model=IsolatedOut, summary="How many tokens have been read alone?")
    async def isolated(request: Request, model: _Model = None, what: _What = "values") -> Any:
        return await desk.isolated(model, what, request)

    @routes.delete("/isolated", response_model=IsolatedOut, summary="Wait for it no longer; where nobody does, it ends")
    async def stop(request: Request, model: _Model = None, what: _What = "values") -> Any:
        desk.isolating.leave(desk.models.key(model), what, visitor(request))
        return await desk.isolated(model, what, request)

    return routes


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
