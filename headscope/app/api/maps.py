"""Maps as they are asked for: made beside the line, placed into, answered with a key that their points are had by."""

from __future__ import annotations

import dataclasses
import hashlib

from starlette.requests import Request

from headscope.app.api.answers import Json, KeyedMapRecord, as_json
from headscope.app.api.asks import MapAsk
from headscope.app.api.desk import Desk
from headscope.errors import InputError
from headscope.question.choices import resolved
from headscope.reading.map import Map
from headscope.reading.reading import Reading
from headscope.show.html import tables
from headscope.show.progress import Tell


async def draw_map(desk: Desk, ask: MapAsk, request: Request) -> Json[KeyedMapRecord]:
    """A map, with the key of its points."""
    answer, key = desk.known(ask), _key_of(desk, ask)
    if answer is not None and key in desk.mapping.points:
        return answer
    made = await mapped(desk, ask, request)
    desk.mapping.keep_points(key, made)
    record: KeyedMapRecord = {**made.labelled(), "key": key, "html": tables(made.sheets()[1:])}
    answer = as_json(record)
    desk.keep(ask, answer)
    return answer


async def mapped(desk: Desk, ask: MapAsk, request: Request | None) -> Map:
    """A map, its text placed into another's where that is asked for; BeingMade where it takes its time."""
    if ask.size > desk.limits.map:
        raise InputError(f"the size is {ask.size:,}; this server's maps hold at most {desk.limits.map:,} tokens.")
    desk.check(ask)
    desk.check(ask.ground)

    def read() -> tuple[Reading, Reading | None]:
        return desk.turn(ask.ground).reading, None if ask.into is None else desk.turn(ask).reading

    ground, placed = await desk.in_turn(ask, read, request)

    def make(tell: Tell) -> Map:
        made = ground.ask_map(ask.question, ask.head, ask.way, ask.size, tell)
        return dataclasses.replace(made, asking=None)  # what is kept holds no reading

    with desk.visitors.admitted(request):
        made = await desk.mapping.get(
            _key_of(desk, ask.ground), lambda tell: desk.visitors.timed(request, lambda: make(tell))(), request
        )
    return made if placed is None else await desk.mapping.place(made, placed, request)


async def at_hand(desk: Desk, ask: MapAsk) -> Map:
    """A map that was made lately, its text placed into another's where that is asked for; MapNotThere without."""
    made = desk.mapping.known(_key_of(desk, ask.ground))
    if ask.into is None:
        return made
    placed = await desk.line.run(lambda: desk.at_hand(desk.models.there(ask.model), ask))
    return await desk.mapping.place(made, placed)


def _key_of(desk: Desk, ask: MapAsk) -> str:
    """A short name for a question about a map, the same whether its reference is named or meant."""
    meant = desk.asked(ask)[1].model_copy(update={"reference": resolved(ask.space, ask.reference)})
    return hashlib.sha256(meant.model_dump_json().encode()).hexdigest()[:24]
