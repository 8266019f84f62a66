"""The desk: where requests become readings, and readings become answers; a reading is made once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from headscope.app.asks import Ask, AtlasAsk, AttentionAsk, BackgroundAsk, CompareAsk, NearestAsk, ReadAsk, WhyAsk
from headscope.app.isolating import BeingMade, Isolating, NotWhole, Work
from headscope.app.limits import Limits
from headscope.app.line import Line
from headscope.app.models import Models
from headscope.app.recent import Recent
from headscope.app.surveys import Surveys
from headscope.errors import InputError
from headscope.reading import Reading
from headscope.results import Neighbors, compared
from headscope.scope import Scope
from headscope.views import record


class TooLong(Exception):
    """A text beyond the server's limit."""


class Desk:
    """Answers asks with JSON, and keeps what it read and answered as long as there is room."""

    def __init__(self, models: Models, limits: Limits) -> None:
        self.models, self.limits = models, limits
        self.line = Line(limits.waiting)
        self.isolating = Isolating(self.line)
        self.surveys = Surveys(models)
        self._readings: Recent[Reading] = Recent(limits.readings)
        self._answers: Recent[bytes] = Recent(limits.answers)

    async def read(self, ask: ReadAsk, request: Request | None = None) -> bytes:
        def make(scope: Scope, reading: Reading) -> dict[str, Any]:
            return record.read(scope.card, reading) | {"notes": list(reading.notes)}

        return await self._answer(ask, make, request)

    async def nearest(self, ask: NearestAsk, request: Request | None = None) -> bytes:
        self._check_k(ask)

        def make(scope: Scope, reading: Reading) -> dict[str, Any]:
            return _look(scope, reading, ask, _near(reading, ask))

        return await self._answer(ask, make, request)

    async def background(self, ask: BackgroundAsk, request: Request | None = None) -> bytes:
        self._check_k(ask)

        def make(_: Scope, reading: Reading) -> dict[str, Any]:
            return record.background(reading.background(_near(reading, ask)))

        return await self._answer(ask, make, request)

    async def why(self, ask: WhyAsk, request: Request | None = None) -> bytes:
        def make(_: Scope, reading: Reading) -> dict[str, Any]:
            return record.why(_near(reading, ask).why(ask.head, ask.id))

        return await self._answer(ask, make, request)

    async def compare(self, ask: CompareAsk, request: Request | None = None) -> bytes:
        self._check_k(ask)

        def make(scope: Scope, reading: Reading) -> dict[str, Any]:
            other_ask = ask.other_side()
            other_reading = self._reading(scope, other_ask)
            found = compared(_near(reading, ask), _near(other_reading, other_ask))
            return {
                "one": _look(scope, reading, ask, found.one),
                "other": _look(scope, other_reading, other_ask, found.other),
                "heads": record.comparison_rows(found),
            }

        return await self._answer(ask, make, request)

    async def atlas(self, ask: AtlasAsk, request: Request | None = None) -> bytes:
        def make(_: Scope, reading: Reading) -> dict[str, Any]:
            return record.atlas(
                reading.atlas(ask.token, ask.space, ask.reference, ask.metric, ask.position, ask.candidates)
            )

        return await self._answer(ask, make, request)

    async def attention(self, ask: AttentionAsk, request: Request | None = None) -> bytes:
        def make(_: Scope, reading: Reading) -> dict[str, Any]:
            told = record.attention(reading.attention(ask.token, ask.layer, ask.weigh))
            return told | {"pattern": None if ask.head is None else self._pattern(reading, ask, ask.head)}

        return await self._answer(ask, make, request)

    def _pattern(self, reading: Reading, ask: AttentionAsk, head: int) -> dict[str, Any]:
        length, most = len(reading.tokens), self.limits.pattern
        if length > most:
            raise InputError(f"the text has {length} tokens; this server gives whole patterns of up to {most}.")
        heads = reading.pattern_of(ask.layer, ask.weigh)
        if head >= len(heads):
            raise InputError(f"there is no head {head}; the layer's heads are 0 to {len(heads) - 1}.")
        return {"head": head, "queries": heads[head].tolist()}

    async def isolated(self, model: str | None, request: Request | None = None) -> dict[str, Any]:
        """How far the reference isolated of a model is."""
        key = self.models.key(model)
        work = self.isolating.known(key)
        if work is None:
            work = await self.line.run(lambda: Work.found(self.models.get(key)), request)
        return work.record()

    def known(self, ask: Ask) -> bytes | None:
        """The answer if it is at hand."""
        return self._answers.get(self._key(ask))

    def _check_k(self, ask: NearestAsk) -> None:
        if ask.k > self.limits.k:
            raise InputError(f"k is {ask.k}; this server lists at most {self.limits.k} neighbours.")

    async def _answer(
        self, ask: Ask, make: Callable[[Scope, Reading], dict[str, Any]], request: Request | None
    ) -> bytes:
        if len(ask.text) > self.limits.characters:
            raise TooLong(
                f"the text has {len(ask.text):,} characters, and this server reads at most "
                f"{self.limits.characters:,}: shorten it."
            )
        key = self._key(ask)

        def job() -> bytes:
            # Looked up again: the job before this one may have been the same.
            answer = self._answers.get(key)
            if answer is None:
                scope = self.models.get(ask.model)
                if ask.needs_isolated and scope.isolated.done() < scope.isolated.tokens:
                    raise NotWhole(scope)
                answer = as_json(make(scope, self._reading(scope, ask)))
                self._answers.put(key, answer, len(answer))
            return answer

        at_hand = self._answers.get(key)
        if at_hand is not None:
            return at_hand
        try:
            return await self.line.run(job, request)
        except NotWhole as missing:
            raise BeingMade(await self.isolating.start(self.models.key(ask.model), missing.scope)) from None

    def _reading(self, scope: Scope, ask: Ask) -> Reading:
        key = (self.models.key(ask.model), ask.text, ask.mask)
        reading = self._readings.get(key)
        if reading is None:
            reading = scope.read(ask.text, ask.mask)
            self._readings.put(key, reading, reading.nbytes)
        return reading

    def _key(self, ask: Ask) -> tuple[type[Ask], Ask]:
        return type(ask), ask.model_copy(update={"model": self.models.key(ask.model)})


def _near(reading: Reading, ask: NearestAsk) -> Neighbors:
    return reading.nearest(
        ask.token,
        ask.layer,
        ask.space,
        ask.reference,
        ask.metric,
        ask.position,
        ask.k,
        ask.candidates,
        ask.vector,
        ask.at,
    )


def _look(scope: Scope, reading: Reading, ask: NearestAsk, near: Neighbors) -> dict[str, Any]:
    rows = reading.nearest_positions(ask.token, ask.layer, ask.metric)
    return record.look(scope.card, reading, near, rows)


def as_json(record: dict[str, Any]) -> bytes:
    """A record as JSON; `views.record` has told distances that JSON has no number for as None."""
    return json.dumps(record, ensure_ascii=False, allow_nan=False).encode("utf-8", errors="backslashreplace")
