"""What is asked around the questions: models, work that goes on, surveys, and the files of a view."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Path, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from headscope import __version__
from headscope.app.api import questions
from headscope.app.api.ahead import AheadAsk, prepared
from headscope.app.api.answers import (
    AheadRecord,
    FiguresRecord,
    HealthRecord,
    IsolatedRecord,
    MapJobRecord,
    ModelsRecord,
    OpeningRecord,
    SurveyRecord,
    TakeRecord,
    UsualRecord,
    VisitRecord,
    as_json,
)
from headscope.app.api.asks import (
    MODEL_NAME,
    AllHeadsAsk,
    FiguresAsk,
    OpenAsk,
    SurveyAsk,
    UsualAsk,
    VisitAsk,
)
from headscope.app.api.desk import Desk
from headscope.app.api.jobs import ServerEnds, visitor
from headscope.app.page import taking
from headscope.app.page.visit import surveyed
from headscope.errors import HeadscopeError
from headscope.question.choices import What

LINES = "application/x-ndjson"  # a JSON object a line
MapKey = Annotated[str, Path(min_length=1, max_length=64, description="As the answer to POST /map gives it.")]
Alone = Annotated[What, Query(description="The values of the reference isolated, or the streams of a journey's ranks.")]
Model = Annotated[str | None, Query(min_length=1, max_length=MODEL_NAME, description="As in the questions.")]


async def health(desk: Desk) -> HealthRecord:
    return {"status": "ok", "version": __version__, "waiting": desk.line.waiting, "memory": desk.memory_record}


async def models(desk: Desk) -> ModelsRecord:
    return await run_in_threadpool(desk.models.listed)  # it looks through the local cache's directories


async def open_model(desk: Desk, ask: OpenAsk) -> OpeningRecord:
    return desk.models.open(ask.name)


async def opening(desk: Desk) -> OpeningRecord | None:
    return desk.models.opening


async def map_work(desk: Desk, key: MapKey, request: Request) -> MapJobRecord:
    return desk.mapping.work(key, visitor(request))


async def leave_map(desk: Desk, key: MapKey, request: Request) -> MapJobRecord:
    return desk.mapping.leave(key, visitor(request))


async def points(desk: Desk, key: MapKey) -> Response:
    return Response(desk.mapping.points_of(key), media_type="application/octet-stream")


async def take(desk: Desk, request: Request) -> TakeRecord:
    ask = taking.view_of(desk, request)
    return {"files": taking.offered(desk, ask), "script": taking.program(desk, ask).decode()}


async def prepare(desk: Desk, request: Request) -> TakeRecord:
    await taking.prepare(desk, taking.view_of(desk, request), request)
    return await take(desk, request)


async def file(desk: Desk, name: str, request: Request) -> Response:
    body = await taking.taken(desk, name, taking.view_of(desk, request), request)
    kind = taking.TYPES[name.rpartition(".")[2]]
    # Shown where it is asked for as a picture, else saved; never run as a page of this server.
    headers = {"Content-Disposition": f'attachment; filename="headscope-{name}"'}
    return Response(body, media_type=f"{kind}; charset=utf-8", headers=headers)


async def atlas_lines(desk: Desk, ask: AllHeadsAsk, request: Request) -> Response:
    lines = desk.lines(ask, questions.atlas_by_layer, request)
    first = await anext(lines)  # what is wrong with a question is told as anywhere

    async def sent() -> AsyncIterator[bytes]:
        yield first + b"\n"
        try:
            async for line in lines:
                yield line + b"\n"
        except ServerEnds:
            return  # lines without an answer are cut off, as by a server that is gone
        except HeadscopeError as error:
            yield as_json({"error": error.wrong}) + b"\n"

    return StreamingResponse(sent(), media_type=LINES)


async def ahead(desk: Desk, ask: AheadAsk, request: Request) -> AheadRecord:
    return await prepared(desk, ask, request)


async def survey(desk: Desk) -> SurveyRecord:
    return desk.testing.told()


async def open_survey(desk: Desk, ask: SurveyAsk) -> SurveyRecord:
    await run_in_threadpool(desk.surveys.open_for_visitor, ask.directory)  # its tables are read from the disk
    return desk.testing.about()


async def test_model(desk: Desk) -> SurveyRecord:
    return desk.testing.start()


async def stop_test(desk: Desk) -> SurveyRecord:
    return desk.testing.stop()


async def usual(desk: Desk, ask: UsualAsk) -> UsualRecord:
    return await run_in_threadpool(desk.surveys.usual, ask)  # as above


async def visit(desk: Desk, ask: VisitAsk, request: Request) -> VisitRecord:
    told: VisitRecord = json.loads(await desk.answer(ask, questions.visit, request))
    own = desk.models.key(ask.model) is None
    return {"steps": [*told["steps"], surveyed(desk.surveys.about if own else None)]}


async def figures(desk: Desk, ask: FiguresAsk) -> FiguresRecord:
    return await run_in_threadpool(desk.surveys.figures, ask)  # as above


async def isolated(desk: Desk, request: Request, model: Model = None, what: Alone = "values") -> IsolatedRecord:
    return await desk.isolating.told(desk.models.key(model), desk.models.there(model), what, request)


async def stop(desk: Desk, request: Request, model: Model = None, what: Alone = "values") -> IsolatedRecord:
    desk.isolating.leave(desk.models.key(model), what, visitor(request))
    return await isolated(desk, request, model, what)
