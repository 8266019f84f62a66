"""What a reader will ask next, made while nobody asks: for as long as somebody is there, in room that nobody needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from pydantic import Field
from starlette.requests import Request

from headscope.app.api import questions
from headscope.app.api.answers import AheadRecord
from headscope.app.api.asks import AllHeadsAsk, NearestAsk
from headscope.app.api.desk import Desk
from headscope.app.api.isolating import NotWhole
from headscope.app.api.models import NotAllowed
from headscope.app.api.passages import FIELDS
from headscope.app.api.questions import Turn
from headscope.errors import HeadscopeError
from headscope.keep.memory import spare_room
from headscope.neighbors import Shared
from headscope.question.choices import bases
from headscope.reading.finding import Finder

Step = Callable[[], Any]
_FAR = {"heads": 4, "atlas": 2, "layers": 2}  # tokens on either side that are made ready, by how much one takes


class AheadAsk(NearestAsk):
    """What a reader looks at: what may be asked next is made of it."""

    view: Literal["heads", "atlas", "layers"] = Field(
        default="heads", description="One layer's heads at a token, or those of all layers: as the next token is read."
    )

    @property
    def nearest(self) -> NearestAsk:
        """The question of the layer's heads."""
        return NearestAsk(**self.model_dump(exclude={"view", *FIELDS}) | self.passage.given)

    def atlases(self, position: int) -> list[AllHeadsAsk]:
        """The questions of all layers' heads that the view asks at a token: in the atlas, of each basis it switches
        between."""
        named = {"space", "metric", "position", "candidates", "model", "mask"}
        ask = AllHeadsAsk(**self.model_dump(include=named) | self.passage.given | {"token": position})
        if self.view == "layers":
            return [ask]
        return [ask.model_copy(update={"reference": basis}) for basis in bases(self.space, self.reference)]


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
    around: list[int] = []
    # Where the text cannot be read, no step can be taken: it is told to who asks for it.
    await desk.line.aside(_in_spare_room(desk.weighed(lambda: around.extend(_around(desk, ask)))), request)
    steps, ready = _steps(desk, ask, around), 0
    for step in steps:
        if not await desk.line.aside(_in_spare_room(step), request):
            break
        ready += 1
    return {"ready": ready, "left": len(steps) - ready}


def _around(desk: Desk, ask: AheadAsk) -> list[int]:
    """The positions beside the token asked, the nearest first."""
    reading = desk.turn(ask).reading
    own = reading.position_of(ask.token)
    beside = (own + by for far in range(1, _FAR[ask.view] + 1) for by in (far, -far))
    return [position for position in beside if 0 <= position < len(reading.tokens)]


def _steps(desk: Desk, ask: AheadAsk, around: list[int]) -> list[Step]:
    scope, near = desk.models.there(ask.model), ask.nearest
    layers = sorted(range(scope.card.layers), key=lambda layer: (abs(layer - ask.layer), layer < ask.layer))
    tokens = [near.model_copy(update={"token": position}) for position in around]
    others = [near.model_copy(update={"layer": layer}) for layer in layers]

    def answered(asks: list[NearestAsk]) -> list[Step]:
        return [desk.weighed(desk.work(one, questions.nearest)) for one in asks]

    # The next token is asked for most often, and where one layer's heads are looked at, it needs a table.
    stay: list[Step] = [lambda: _stay(desk.turn(near), near)]
    if ask.view == "heads":
        first = stay + answered(tokens)
    else:
        first = [desk.weighed(partial(_atlas, desk, one)) for at in around for one in ask.atlases(at)] + stay
    return [*first, *answered(others), lambda: scope.bank(mask=ask.mask)]


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
