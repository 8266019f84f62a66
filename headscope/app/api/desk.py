"""The desk: where requests become readings, and readings become answers; a reading is made once."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import Request

from headscope.app.api.asks import (
    Ask,
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
    ReadAsk,
    ViewAsk,
    WhyAsk,
    WorkedAsk,
)
from headscope.app.api.isolating import BeingMade, Isolating, NotWhole, TokensAlone, check_whole
from headscope.app.api.limits import Limits
from headscope.app.api.line import Line
from headscope.app.api.mapping import Mapping
from headscope.app.api.models import Models, NotAllowed
from headscope.app.api.surveys import Surveys
from headscope.app.api.work import visitor
from headscope.app.visitors import Visitors
from headscope.errors import InputError
from headscope.keep.memory import Recent
from headscope.question.choices import Replacement, Weigh, What
from headscope.reading.comparison import compared
from headscope.reading.map import Map
from headscope.reading.map.layouts import Tell
from headscope.reading.nearest import Neighbors
from headscope.reading.reading import Reading
from headscope.reading.told import look_record, read_record
from headscope.reading.worked import Worked
from headscope.scope import Scope
from headscope.show import layers, maps

T = TypeVar("T")

if TYPE_CHECKING:
    from headscope.reading.layers import Effects


class TooLong(Exception):
    """A text beyond the server's limit."""


class NotRead(Exception):
    """A text that is not at hand, asked for by what may not have it read."""


class Desk:
    """Answers asks with JSON, and keeps what it read and answered as long as there is room."""

    def __init__(self, models: Models, limits: Limits) -> None:
        self.models, self.limits = models, limits
        self.line = Line(limits.waiting)
        self.isolating = Isolating(self.line, limits.patience)
        self.mapping = Mapping(limits.waiting, limits.maps, limits.patience)
        self.surveys = Surveys(models)
        self.visitors = Visitors(limits.work, limits.at_once)
        self._readings: Recent[Reading] = Recent(limits.readings)
        self._answers: Recent[bytes] = Recent(limits.answers, len)

    async def read(self, ask: ReadAsk, request: Request | None = None) -> bytes:
        def make(scope: Scope, reading: Reading) -> dict[str, Any]:
            return read_record(scope.card, reading) | {"notes": list(reading.notes)}

        return await self._answer(ask, make, request)

    async def nearest(self, ask: NearestAsk, request: Request | None = None) -> bytes:
        def make(scope: Scope, reading: Reading) -> dict[str, Any]:
            return _look(scope, reading, ask, near(reading, ask))

        return await self._answer(ask, make, request)

    async def background(self, ask: BackgroundAsk, request: Request | None = None) -> bytes:
        def make(_: Scope, reading: Reading) -> dict[str, Any]:
            return reading.background(near(reading, ask)).to_dict()

        return await self._answer(ask, make, request)

    async def why(self, ask: WhyAsk, request: Request | None = None) -> bytes:
        def make(_: Scope, reading: Reading) -> dict[str, Any]:
            return near(reading, ask).why(ask.head, ask.id).to_dict()

        return await self._answer(ask, make, request)

    async def worked(self, ask: WorkedAsk, request: Request | None = None) -> bytes:
        def make(_: Scope, reading: Reading) -> dict[str, Any]:
            found = work_out(reading, near(reading, ask), ask.head, ask.id)
            return found.to_dict() | {"html": found._repr_html_()}

        return await self._answer(ask, make, request)

    async def compare(self, ask: CompareAsk, request: Request | None = None) -> bytes:
        def make(scope: Scope, reading: Reading) -> dict[str, Any]:
            other_scope, other_reading, other_ask = self.other_side(reading, ask)
            found = compared(near(reading, ask), near(other_reading, other_ask))
            return {
                "one": _look(scope, reading, ask, found.one),
                "other": _look(other_scope, other_reading, other_ask, found.other),
                "heads": found.rows(),
            }

        return await self._answer(ask, make, request)

    def other_side(
        self, reading: Reading, ask: CompareAsk, read: Callable[[Scope, Ask], Reading] | None = None
    ) -> tuple[Scope, Reading, NearestAsk]:
        """The other side of a comparison, its token found and its text read by `read`; only in the line's worker."""
        other = ask.other_side()
        self._check(other)
        scope = self.models.get(other.model)
        if ask.other.model is not None:
            try:
                check_whole(scope, other.needs_alone)
            except NotWhole:
                raise InputError(
                    f"{scope.card.name} has not read its vocabulary alone yet: choose another reference, or open that "
                    "model and ask it for this one first."
                ) from None
        there = (read or self.reading)(scope, other)
        if ask.other.text is None:
            return scope, there, other
        token = reading.tokens[reading.position_of(ask.token)]
        places = [one.position for one in there.tokens if one.id == token.id]
        if not places:
            raise InputError(
                f"the other text has no token {token.text!r}: a comparison is of one token in two texts, so write a "
                "text that holds it, or select another token."
            )
        return scope, there, other.model_copy(update={"token": places[0]})

    def view(self, query: dict[str, str]) -> ViewAsk:
        """The view of an address, which opens no model: the server's own answers for one that is not open."""
        ask = ViewAsk.of_address(query)
        closed = {
            name: None
            for name in ("model", "other_model")
            if getattr(ask, name) is not None and self.models.known(getattr(ask, name)) is None
        }
        return ask.model_copy(update=closed)

    async def prepare(self, ask: ViewAsk, request: Request | None = None) -> None:
        """Read what a view's files are made of, and begin what they have to wait for."""
        self._check(ask)
        comparison = ask.as_compare() if ask.view == "heads" else None

        def job() -> None:
            _, reading = self._opened(ask)
            if comparison is not None:
                self.other_side(reading, comparison)

        if ask.view == "map":
            await self.mapped(ask.as_map(), request)
        await self._in_turn(ask, job, request)

    async def take(self, ask: ViewAsk, make: Callable[[Scope, Reading], bytes], request: Request | None) -> bytes:
        """What `make` makes of a reading that is at hand: nothing is read or begun for it."""
        self._check(ask)

        def job() -> bytes:
            scope = self.models.there(ask.model)
            check_whole(scope, ask.needs_alone)
            return make(scope, self.at_hand(scope, ask))

        try:
            return await self._work(job, request)
        except NotWhole as missing:
            scope, what = self.models.there(ask.model), missing.alone.what
            work = self.isolating.known(self.models.key(ask.model), what, visitor(request))
            if work is None:
                work = await self.line.run(lambda: TokensAlone.found(scope, what))
            raise BeingMade(work) from None

    async def map_at_hand(self, ask: MapAsk) -> Map:
        """A map that was made lately, its text placed into another's where that is asked for; MapNotThere without."""
        found = self.mapping.known(self._key_of(ask.ground))
        if ask.into is None:
            return found
        placed = await self.line.run(lambda: self.at_hand(self.models.there(ask.model), ask))
        return await self.mapping.place(found, placed)

    async def atlas(self, ask: AtlasAsk, request: Request | None = None) -> bytes:
        def make(_: Scope, reading: Reading) -> dict[str, Any]:
            return reading.ask_atlas(ask.of_all_layers, ask.token).to_dict()

        return await self._answer(ask, make, request)

    async def attention(self, ask: AttentionAsk, request: Request | None = None) -> bytes:
        def make(_: Scope, reading: Reading) -> dict[str, Any]:
            told = reading.attention(ask.token, ask.layer, ask.weigh).to_dict()
            return told | {"pattern": None if ask.head is None else self._pattern(reading, ask, ask.head)}

        return await self._answer(ask, make, request)

    async def map(self, ask: MapAsk, request: Request | None = None) -> bytes:
        """A map, with the key that its points are to be had by."""
        answer, key = self.known(ask), self._key_of(ask)
        if answer is not None and key in self.mapping.points:
            return answer
        found = await self.mapped(ask, request)
        self.mapping.keep_points(key, found)
        answer = as_json(maps.labelled(found) | {"key": key})
        self._keep(ask, answer)
        return answer

    async def mapped(self, ask: MapAsk, request: Request | None = None) -> Map:
        """A map, its text placed into another's where that is asked for; MapBeingMade where it takes its time."""
        if ask.size > self.limits.map:
            raise InputError(f"the size is {ask.size:,}; this server's maps hold at most {self.limits.map:,} tokens.")
        self._check(ask)
        self._check(ask.ground)

        def read() -> tuple[Reading, Reading | None]:
            return self._opened(ask.ground)[1], None if ask.into is None else self._opened(ask)[1]

        ground, placed = await self._in_turn(ask, read, request)

        def make(tell: Tell) -> Map:
            return ground.ask_map(ask.question, ask.head, ask.way, ask.size, tell)

        with self.visitors.admitted(request):
            found = await self.mapping.get(
                self._key_of(ask.ground), lambda tell: self.visitors.timed(request, lambda: make(tell))(), request
            )
        return found if placed is None else await self.mapping.place(found, placed, request)

    def _key_of(self, ask: MapAsk) -> str:
        """A short name for a question about a map."""
        return hashlib.sha256(self._asked(ask)[1].model_dump_json().encode()).hexdigest()[:24]

    async def journey(self, ask: JourneyAsk, request: Request | None = None) -> bytes:
        return await self._answer(
            ask, lambda _, reading: layers.journey(reading.journey(ask.k, ask.position, ask.isolated)), request
        )

    async def mixing(self, ask: MixingAsk, request: Request | None = None) -> bytes:
        return await self._answer(ask, lambda _, reading: layers.mixing(reading.mixing()), request)

    async def glance(self, ask: GlanceAsk, request: Request | None = None) -> bytes:
        return await self._answer(ask, lambda _, reading: layers.glance(reading.glance()), request)

    async def effects(self, ask: EffectsAsk, request: Request | None = None) -> bytes:
        def make(scope: Scope, reading: Reading) -> dict[str, Any]:
            return layers.effects(self.effects_of(scope, reading, ask.token, ask.replaced_by))

        return await self._answer(ask, make, request)

    def effects_of(
        self, scope: Scope, reading: Reading, token: int | str, replaced_by: Replacement = "zero"
    ) -> Effects:
        """The effects of all heads, which only the line's worker asks for; InputError where they take too long."""
        runs, length, most = scope.card.layers * scope.card.heads + 1, len(reading.tokens), self.limits.effects
        if runs * length > most:
            raise InputError(
                f"the effects of all heads take {runs} runs of {length} tokens, and this server does {most:,} tokens "
                "at most: take a shorter text, or headscope look --view effects."
            )
        return reading.effects(token, replaced_by)

    def _pattern(self, reading: Reading, ask: AttentionAsk, head: int) -> dict[str, Any]:
        length, most = len(reading.tokens), self.limits.pattern
        if length > most:
            raise InputError(f"the text has {length} tokens; this server gives whole patterns of up to {most}.")
        return {"head": head, "queries": pattern_of(reading, ask.layer, ask.weigh, head)}

    async def isolated(self, model: str | None, what: What, request: Request | None = None) -> dict[str, Any]:
        """How far a model is with its tokens read alone."""
        key, scope = self.models.key(model), self.models.there(model)
        work = self.isolating.known(key, what, visitor(request))
        if work is None:
            work = await self.line.run(lambda: TokensAlone.found(scope, what), request)
        return work.record()

    def known(self, ask: Ask) -> bytes | None:
        """The answer if it is at hand."""
        key = self._key(ask)
        return None if key is None else self._answers.get(key)

    def _keep(self, ask: Ask, answer: bytes) -> None:
        key = self._key(ask)
        if key is not None:
            self._answers.put(key, answer)

    async def _answer(
        self, ask: Ask, make: Callable[[Scope, Reading], dict[str, Any]], request: Request | None
    ) -> bytes:
        self._check(ask)

        def job() -> bytes:
            # Looked up again: the job before this one may have been the same.
            answer = self.known(ask)
            if answer is None:
                answer = as_json(make(*self._opened(ask)))
                self._keep(ask, answer)
            return answer

        at_hand = self.known(ask)
        return at_hand if at_hand is not None else await self._in_turn(ask, job, request, self._asked(ask))

    async def _in_turn(self, ask: Ask, job: Callable[[], T], request: Request | None, key: Hashable | None = None) -> T:
        """What a job comes to when it is its turn; BeingMade where tokens have to be read alone first."""
        model, who = self.models.key(ask.model), visitor(request)
        going = self.isolating.joined(model, ask.needs_alone, who)
        if going is not None:
            raise BeingMade(going)  # nothing to wait in line for
        try:
            return await self._work(job, request, key)
        except NotWhole as missing:
            if not self.limits.alone:
                raise NotAllowed(
                    "this server reads no vocabulary alone for a visitor: choose another reference, or no ranks read "
                    "alone. Whoever runs it can make them with headscope look before."
                ) from None
            raise BeingMade(self.isolating.start(model, missing, who)) from None

    async def _work(self, job: Callable[[], T], request: Request | None, key: Hashable | None = None) -> T:
        """What a job comes to in its turn, as long as its visitor has not had too much."""
        with self.visitors.admitted(request):
            return await self.line.run(self.visitors.timed(request, job), request, key)

    def _check(self, ask: Ask) -> None:
        if len(ask.text) > self.limits.characters:
            raise TooLong(
                f"the text has {len(ask.text):,} characters, and this server reads at most "
                f"{self.limits.characters:,}: shorten it."
            )
        if isinstance(ask, NearestAsk | JourneyAsk | MapAsk) and ask.k > self.limits.k:
            raise InputError(f"k is {ask.k}; this server lists at most {self.limits.k} neighbours.")

    def _opened(self, ask: Ask) -> tuple[Scope, Reading]:
        scope = self.models.get(ask.model)
        check_whole(scope, ask.needs_alone)
        return scope, self.reading(scope, ask)

    def reading(self, scope: Scope, ask: Ask) -> Reading:
        """The text of a question, read by a model, once; only in the line's worker."""
        reading = self._read(scope, ask)
        if reading is None:
            reading = scope.read(ask.text, ask.mask)  # looks at the model
            key = self._key_of_reading(scope, ask)
            if key is not None:
                self._readings.put(key, reading)
        return reading

    def _read(self, scope: Scope, ask: Ask) -> Reading | None:
        key = self._key_of_reading(scope, ask)
        return None if key is None else self._readings.get(key)

    def at_hand(self, scope: Scope, ask: Ask) -> Reading:
        """The same where it was read lately; NotRead where it was not."""
        reading = self._read(scope, ask)
        if reading is None:
            raise NotRead(
                "the text has not been read here, or not lately, and a GET reads none: ask for the same address by "
                "POST /take before."
            )
        return reading

    def _key_of_reading(self, scope: Scope, ask: Ask) -> tuple[str | None, str, str, str] | None:
        """What a reading belongs to; None where the model has to be looked at first."""
        card = scope.known_card()
        return None if card is None else (self.models.key(ask.model), ask.text, ask.mask, card.weights_sha256)

    def _key(self, ask: Ask) -> tuple[type[Ask], Ask, str] | None:
        """What an answer belongs to: the question, and the weights as they are; None as above, or where none is open.

        The event loop asks for it, so that the model is not looked at here: that may run it.
        """
        scope = self.models.known(ask.model)
        card = None if scope is None else scope.known_card()
        return None if card is None else (*self._asked(ask), card.weights_sha256)

    def _asked(self, ask: Ask) -> tuple[type[Ask], Ask]:
        return type(ask), ask.model_copy(update={"model": self.models.key(ask.model)})


def pattern_of(reading: Reading, layer: int, weigh: Weigh, head: int) -> list[list[float]]:
    """The whole pattern of a head: what each query (a row) mixes of each source."""
    heads = reading.pattern_of(layer, weigh)
    _check_head(head, len(heads))
    queries: list[list[float]] = heads[head].tolist()
    return queries


def _check_head(head: int, heads: int) -> None:
    if head >= heads:
        raise InputError(f"there is no head {head}; the layer's heads are 0 to {heads - 1}.")


def work_out(reading: Reading, found: Neighbors, head: int, id: int | None) -> Worked:
    """One distance of an answer worked out; id None: the head's nearest token."""
    _check_head(head, len(found.ids))
    return reading.work_out(found, head, int(found.ids[head, 0]) if id is None else id)


def near(reading: Reading, ask: NearestAsk) -> Neighbors:
    """A question's nearest tokens, from its reading."""
    return reading.ask_nearest(ask.question, ask.token)


def _look(scope: Scope, reading: Reading, ask: NearestAsk, found: Neighbors) -> dict[str, Any]:
    rows = reading.nearest_positions(ask.token, ask.layer, ask.metric)
    rows = dataclasses.replace(
        rows, positions=rows.positions[:, : ask.positions], distances=rows.distances[:, : ask.positions]
    )
    return look_record(scope.card, reading, found, rows)


def as_json(record: dict[str, Any]) -> bytes:
    """A record as JSON; `views.record` has told distances that JSON has no number for as None."""
    return json.dumps(record, ensure_ascii=False, allow_nan=False).encode("utf-8", errors="backslashreplace")
