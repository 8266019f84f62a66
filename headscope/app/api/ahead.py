"""What a reader will ask next, made while nobody asks: for as long as somebody is there, in room that nobody needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from headscope.app.api import questions
from headscope.app.api.answers import AheadRecord
from headscope.app.api.asks import NearestAsk
from headscope.app.api.desk import Desk
from headscope.app.api.isolating import NotWhole
from headscope.app.api.models import NotAllowed
from headscope.app.api.questions import Turn
from headscope.errors import HeadscopeError
from headscope.keep.memory import spare_room
from headscope.neighbors import Shared
from headscope.reading.finding import Finder

Step = Callable[[], Any]


async def prepared(desk: Desk, ask: NearestAsk, request: Request) -> AheadRecord:
    """Have a table made of the layer asked, the same asked of all layers, the nearest first, and other texts read.

    Each step yields to all who ask.

    It ends with the connection: who has closed the page, or gone on to another view, asks nothing of this one. Nothing
    that was used has to make room for what may never be asked.
    """
    if not desk.limits.ahead:
        raise NotAllowed("this server makes nothing before it is asked for.")
    desk.check(ask)
    steps, ready = _steps(desk, ask), 0
    for step in steps:
        if not await desk.line.aside(_in_spare_room(step), request):
            break
        ready += 1
    return {"ready": ready, "left": len(steps) - ready}


def _steps(desk: Desk, ask: NearestAsk) -> list[Step]:
    scope = desk.models.there(ask.model)
    layers = sorted(range(scope.card.layers), key=lambda layer: (abs(layer - ask.layer), layer < ask.layer))
    others = [ask.model_copy(update={"layer": layer}) for layer in layers]
    steps: list[Step] = [desk.weighed(desk.work(other, questions.nearest)) for other in others]
    # First what the next token needs, which is asked for most often.
    return [lambda: _stay(desk.turn(ask), ask), *steps, lambda: scope.bank(mask=ask.mask)]


def _stay(turn: Turn, ask: NearestAsk) -> None:
    """Have the table made of the layer that the reader is at: then a click costs reading it once."""
    near = questions.near(turn.reading, ask)
    finder, position = Finder(turn.reading, near.question), near.tokens[0].position
    source = finder.placed(ask.layer, position, 0).encoded.source
    memory, numbers = turn.scope.memory, source.norms.shape[1] * source.bias.numel()  # float32
    if isinstance(source, Shared) and memory.nbytes + 4 * numbers <= memory.budget:
        finder.placed(ask.layer, position)


def _in_spare_room(step: Step) -> Callable[[], bool]:
    """Whether a step found all the room that it needed, and could be taken at all."""

    def run() -> bool:
        with spare_room() as room:
            try:
                step()
            except (HeadscopeError, NotWhole):
                return False  # it is told to who asks for it
        return not room.full

    return run
