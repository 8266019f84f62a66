"""What a reader will ask next, made while nobody asks: for as long as somebody is there, in room that nobody needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.requests import Request

from headscope.app.api import questions
from headscope.app.api.answers import AheadRecord
from headscope.app.api.asks import AheadAsk, AllHeadsAsk, NearestAsk
from headscope.app.api.desk import Desk
from headscope.app.api.isolating import NotWhole
from headscope.app.api.models import NotAllowed
from headscope.app.api.questions import Turn
from headscope.errors import HeadscopeError
from headscope.keep.memory import spare_room
from headscope.neighbors import Shared
from headscope.reading.finding import Finder

Step = Callable[[], Any]
_FAR = {"heads": 4, "atlas": 2, "layers": 2}  # tokens on either side that are made ready, by how much one takes


async def prepared(desk: Desk, ask: AheadAsk, request: Request) -> AheadRecord:
    """Have a table made of the layer asked, what the view shows at the next tokens, the same asked of all layers, the
    nearest first, and other texts read.

    Each step yields to all who ask.

    It ends with the connection: who has closed the page, or gone on to another view, asks nothing of this one. Nothing
    that was used has to make room for what may never be asked.
    """
    if not desk.limits.ahead:
        raise NotAllowed("this server makes nothing before it is asked for.")
    desk.check(ask)
    around = await desk.line.aside(desk.weighed(partial(_around, desk, ask)), request)
    steps, ready = _steps(desk, ask, around), 0
    for step in steps:
        if not await desk.line.aside(_in_spare_room(step), request):
            break
        ready += 1
    return {"ready": ready, "left": len(steps) - ready}


def _around(desk: Desk, ask: AheadAsk) -> list[int]:
    """The positions beside the token asked, the nearest first; none where it cannot be read."""
    try:
        reading = desk.turn(ask).reading
        own = reading.position_of(ask.token)
    except (HeadscopeError, NotWhole):
        return []  # it is told to who asks for it
    beside = (own + by for far in range(1, _FAR[ask.view] + 1) for by in (far, -far))
    return [position for position in beside if 0 <= position < len(reading.tokens)]


def _steps(desk: Desk, ask: AheadAsk, around: list[int]) -> list[Step]:
    scope = desk.models.there(ask.model)
    layers = sorted(range(scope.card.layers), key=lambda layer: (abs(layer - ask.layer), layer < ask.layer))

    def near(**other: Any) -> Step:
        return desk.weighed(desk.work(ask.nearest(**other), questions.nearest))

    # The next token is asked for most often, and where one layer's heads are looked at, it needs a table.
    stay: list[Step] = [lambda: _stay(desk.turn(ask), ask.nearest())]
    if ask.view == "heads":
        first = [*stay, *(near(token=position) for position in around)]
    else:
        first = [desk.weighed(partial(_atlas, desk, one)) for at in around for one in ask.atlases(at)] + stay
    return [*first, *(near(layer=layer) for layer in layers), lambda: scope.bank(mask=ask.mask)]


def _atlas(desk: Desk, ask: AllHeadsAsk) -> None:
    """Have all layers' heads at hand, however they are then laid out."""
    turn = desk.turn(ask)
    turn.once(turn.reading.ask_atlas, ask.of_all_layers, ask.token)


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
