"""The desk: where requests become readings, and readings become answers; both are made once, and kept a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from typing import Any, TypeVar

from starlette.requests import Request

from headscope.app.api.addressed import ViewAsk
from headscope.app.api.answers import Json, MemoryRecord, as_json
from headscope.app.api.asks import Ask, CompareAsk
from headscope.app.api.isolating import Isolating, NotWhole, check_whole, wait_for
from headscope.app.api.jobs import visitor
from headscope.app.api.limits import Limits
from headscope.app.api.line import Line
from headscope.app.api.mapping import Mapping
from headscope.app.api.models import Models, NotAllowed
from headscope.app.api.questions import OtherSide, Turn
from headscope.app.api.surveys import Surveys
from headscope.app.api.testing import SelfTest
from headscope.app.visitors import Visitors
from headscope.errors import InputError
from headscope.keep.memory import Recent
from headscope.model.looks import Looks, one_look
from headscope.question.passage import Passage
from headscope.reading.answer import Answer
from headscope.reading.reading import Reading
from headscope.scope import Scope
from headscope.show.numbers import size

A = TypeVar("A", bound=Ask)
R = TypeVar("R")
L = TypeVar("L")
T = TypeVar("T")
Read = Callable[[Scope, Ask], Reading]


class TooLong(Exception):
    """A text beyond the server's limit."""


class NotRead(Exception):
    """A text that is not at hand, asked for by what may not have it read."""


class Desk:
    """Knows what was read, whose turn it is, and what was answered, and keeps both as long as there is room."""

    def __init__(self, models: Models, limits: Limits) -> None:
        self.models, self.limits = models, limits
        self.line = Line(limits.waiting)
        self.isolating = Isolating(self.line, limits.patience)
        self.memory = models.own.memory  # all that is kept here has part in it
        self.mapping = Mapping(limits.waiting, self.memory, limits.patience)
        self.surveys = Surveys(models)
        self.testing = SelfTest(self.line, models, self.surveys, limits)
        self.visitors = Visitors(limits.work, limits.at_once)
        self._readings: Recent[Reading] = Recent(self.memory)
        self._used: dict[Hashable, Reading] = {}  # by the job that runs
        self._answers: Recent[Json[Any]] = Recent(self.memory, len)
        self._found: Recent[Answer] = Recent(self.memory)

    async def answer(self, ask: A, question: Callable[[Turn, A], R], request: Request | None = None) -> Json[R]:
        """What a question comes to when it is its turn."""
        self.check(ask)
        looks = Looks()
        with one_look(looks):
            at_hand = self.known(ask)
        if at_hand is not None:
            return at_hand
        return await self.in_turn(ask, self.work(ask, question), request, self.asked(ask), looks)

    async def lines(
        self, ask: A, question: Callable[[Turn, A, Callable[[L], None]], R], request: Request | None
    ) -> AsyncIterator[Json[L] | Json[R]]:
        """What is found meanwhile, as the question tells it, and at last the answer."""
        self.check(ask)
        lines: asyncio.Queue[Json[L] | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(line: L) -> None:
            loop.call_soon_threadsafe(lines.put_nowait, as_json(line))

        asked: Callable[[Turn, A], R] = lambda turn, ask: question(turn, ask, tell)  # noqa: E731
        answer = asyncio.ensure_future(self.answer(ask, asked, request))
        answer.add_done_callback(lambda _: lines.put_nowait(None))
        try:
            while (line := await lines.get()) is not None:
                yield line
            yield answer.result()
        finally:
            answer.cancel()

    def work(self, ask: A, question: Callable[[Turn, A], R]) -> Callable[[], Json[R]]:
        """The work that a question is, to be done in the line."""

        def job() -> Json[R]:
            # Looked up again: the job before this one may have been the same.
            answer = self.known(ask)
            if answer is None:
                answer = as_json(question(self.turn(ask), ask))
                self.keep(ask, answer)
            return answer

        return job

    async def from_hand(self, ask: ViewAsk, make: Callable[[Turn], bytes], request: Request | None) -> bytes:
        """What `make` makes of a reading that is at hand: nothing is read or begun for it."""
        self.check(ask)

        def job() -> bytes:
            scope = self.models.there(ask.model)
            check_whole(scope, ask.needs_alone)
            return make(self._turn(scope, ask, self.at_hand))

        try:
            return await self._work(job, request)
        except NotWhole as missing:
            model, scope = self.models.key(ask.model), self.models.there(ask.model)
            raise wait_for(await self.isolating.told(model, scope, missing.alone.what, request)) from None

    def known(self, ask: Ask) -> Json[Any] | None:
        """The answer if it is at hand."""
        key = self._key(ask)
        return None if key is None else self._answers.get(key)

    def keep(self, ask: Ask, answer: Json[Any]) -> None:
        """Have it at hand while the weights stay as they are."""
        key = self._key(ask)
        if key is not None:
            self._answers.put(key, answer)

    async def in_turn(
        self,
        ask: Ask,
        job: Callable[[], T],
        request: Request | None,
        key: Hashable | None = None,
        looks: Looks | None = None,
    ) -> T:
        """What a job comes to when it is its turn; BeingMade where tokens have to be read alone first.

        `looks`: those that its question has had already.
        """
        model, who = self.models.key(ask.model), visitor(request)
        going = self.isolating.joined(model, ask.needs_alone, who)
        if going is not None:
            raise wait_for(going)  # nothing to wait in line for
        try:
            return await self._work(job, request, key, looks)
        except NotWhole as missing:
            if not self.limits.alone:
                raise NotAllowed(
                    "this server reads no vocabulary alone for a visitor: choose another reference, or no ranks read "
                    "alone. Whoever runs it can make them with headscope look before."
                ) from None
            raise wait_for(self.isolating.start(model, missing, who)) from None

    async def _work(
        self, job: Callable[[], T], request: Request | None, key: Hashable | None = None, looks: Looks | None = None
    ) -> T:
        """What a job comes to in its turn, as long as its visitor has not had too much."""
        with self.visitors.admitted(request):
            return await self.line.run(self.visitors.timed(request, self.weighed(job, looks)), request, key)

    def weighed(self, job: Callable[[], T], looks: Looks | None = None) -> Callable[[], T]:
        """The same job, for one look at each model; then the readings that it used are weighed, which may have come to
        hold more."""

        def run() -> T:
            try:
                with one_look(looks or Looks()):
                    return job()
            finally:
                while self._used:
                    self._readings.put(*self._used.popitem())

        return run

    def end(self) -> None:
        """Send away everybody who waits for an answer; only on the event loop."""
        self.line.end()
        self.mapping.end()

    @property
    def memory_record(self) -> MemoryRecord:
        """How much is kept, for JSON."""
        held, budget = self.memory.nbytes, self.memory.budget
        says = f"Kept beside the models for the next questions: {size(held)} of {size(budget)}."
        return {"held": held, "budget": budget, "says": says}

    def check(self, ask: Ask) -> None:
        """TooLong or InputError for what is beyond the server's bounds."""
        passage = ask.passage
        if passage.length > self.limits.characters:
            parts = "characters" if passage.ids is None else "token ids"
            raise TooLong(
                f"the text has {passage.length:,} {parts}, and this server reads at most {self.limits.characters:,}: "
                "shorten it."
            )
        k = getattr(ask, "k", 0)
        if k > self.limits.k:
            raise InputError(f"k is {k}; this server lists at most {self.limits.k} neighbours.")

    def turn(self, ask: Ask) -> Turn:
        """A question's turn, its text read; NotWhole where tokens have to be read alone first. Only in the line."""
        scope = self.models.get(ask.model)
        check_whole(scope, ask.needs_alone)
        return self._turn(scope, ask, self._reading)

    def _turn(self, scope: Scope, ask: Ask, read: Read) -> Turn:
        reading = read(scope, ask)

        def other(comparison: CompareAsk) -> OtherSide:
            return self._other_side(reading, comparison, read)

        return Turn(scope, reading, self.limits, other, self._found, self._key_of_reading(scope, ask))

    def _other_side(self, reading: Reading, ask: CompareAsk, read: Read) -> OtherSide:
        """The other side of a comparison, its token found and its text read by `read`."""
        other = ask.other_side()
        self.check(other)
        scope = self.models.get(other.model)
        if ask.other.model is not None:
            try:
                check_whole(scope, other.needs_alone)
            except NotWhole:
                raise InputError(
                    f"{scope.card.name} has not read its vocabulary alone yet: choose another reference, or open that "
                    "model and ask it for this one first."
                ) from None
        turn = self._turn(scope, other, read)
        if ask.other.text is None:
            return OtherSide(turn, other)
        token = reading.tokens[reading.position_of(ask.token)]
        position = next((there.position for there in turn.reading.tokens if there.id == token.id), None)
        if position is None:
            raise InputError(
                f"the other text has no token {token.text!r}: a comparison is of one token in two texts, so write a "
                "text that holds it, or select another token."
            )
        return OtherSide(turn, other.model_copy(update={"token": position}))

    def _reading(self, scope: Scope, ask: Ask) -> Reading:
        """The text of a question, read by a model, once."""
        reading = self._read(scope, ask)
        if reading is None:
            reading = scope.read(**ask.passage.given, mask=ask.mask)  # looks at the model
            key = self._key_of_reading(scope, ask)
            if key is not None:
                self._used[key] = reading
        return reading

    def _read(self, scope: Scope, ask: Ask) -> Reading | None:
        key = self._key_of_reading(scope, ask)
        reading = None if key is None else self._readings.get(key)
        if key is not None and reading is not None:
            self._used[key] = reading
        return reading

    def at_hand(self, scope: Scope, ask: Ask) -> Reading:
        """The same where it was read lately; NotRead where it was not."""
        reading = self._read(scope, ask)
        if reading is None:
            raise NotRead(
                "the text has not been read here, or not lately, and a GET reads none: ask for the same address by "
                "POST /take before."
            )
        return reading

    def _key_of_reading(self, scope: Scope, ask: Ask) -> tuple[str | None, Passage, str, str] | None:
        """What a reading belongs to; None where the model has to be looked at first."""
        card = scope.known_card()
        return None if card is None else (self.models.key(ask.model), ask.passage, ask.mask, card.weights_sha256)

    def _key(self, ask: Ask) -> tuple[type[Ask], Ask, str] | None:
        """What an answer belongs to: the question, and the weights as they are; None as above, or where none is open.

        The event loop asks for it, so that the model is not looked at here: that may run it.
        """
        scope = self.models.known(ask.model)
        card = None if scope is None else scope.known_card()
        return None if card is None else (*self.asked(ask), card.weights_sha256)

    def asked(self, ask: Ask) -> tuple[type[Ask], Ask]:
        """A question under one name of its model."""
        return type(ask), ask.model_copy(update={"model": self.models.key(ask.model)})
