"""Tokens read alone in the background: a step at a time through the line, so that others get their turn."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from headscope.app.api.job import Job
from headscope.app.api.line import Line, LineFull
from headscope.app.api.work import State, Work
from headscope.question.choices import What
from headscope.scope import Scope
from headscope.vocabulary.isolated import ReadAlone


class NotWhole(Exception):
    """The question needs what is not there of tokens read alone; `done` of them are."""

    def __init__(self, alone: ReadAlone, done: int) -> None:
        super().__init__()
        self.alone, self.done = alone, done


def check_whole(scope: Scope, what: What | None) -> None:
    """NotWhole where something is needed that has not been made."""
    if what is not None and (done := (alone := scope.isolated.kept(what)).done()) < alone.tokens:
        raise NotWhole(alone, done)


class BeingMade(Exception):
    """The question has to wait for `work`."""

    def __init__(self, work: TokensAlone) -> None:
        super().__init__()
        self.work = work


@dataclass(kw_only=True)
class TokensAlone(Work):
    """How far the tokens of one model have been read alone."""

    what: What
    nbytes: int  # of all of them, on disk

    @classmethod
    def found(cls, scope: Scope, what: What) -> TokensAlone:
        """As the disk says; waits for the model."""
        alone = scope.isolated.kept(what)
        done, total = alone.done(), alone.tokens
        state: State = "ready" if done == total else "absent"
        return cls(what=what, nbytes=alone.nbytes, done=done, total=total, state=state)

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return super().record() | {"what": self.what, "bytes": self.nbytes}


class Isolating:
    """Reads the tokens of a server's models alone, by name, and tells how far it is. Lives on the event loop.

    `patience`: how many seconds those who wait may say nothing.
    """

    def __init__(self, line: Line, patience: float) -> None:
        self._line, self._patience = line, patience
        self._works: dict[tuple[str | None, What], TokensAlone] = {}

    def known(self, model: str | None, what: What, who: str | None) -> TokensAlone | None:
        """The work on a model that was begun here; `who` asks, and is heard."""
        work = self._works.get((model, what))
        if work is not None:
            work.job.hear(who)
        return work

    def joined(self, model: str | None, what: What | None, who: str | None) -> TokensAlone | None:
        """The work that goes on, if it does: one more waits for it."""
        work = None if what is None else self._works.get((model, what))
        return work if work is not None and work.joined(who) else None

    def start(self, model: str | None, missing: NotWhole, who: str | None) -> TokensAlone:
        """Begin, or go on, with what is missing of a model, for the one who asks; does not wait for it."""
        alone, what = missing.alone, missing.alone.what
        work = self.joined(model, what, who)
        if work is None:
            work = TokensAlone(
                what=what,
                nbytes=alone.nbytes,
                done=missing.done,
                total=alone.tokens,
                state="working",
                began=(time.monotonic(), missing.done),
                job=Job(who, self._patience),
            )
            self._works[model, what] = work
            work.start(self._make(work, alone))
        return work

    def leave(self, model: str | None, what: What, who: str | None) -> None:
        """One who waited waits no longer; where nobody does, the work ends, and what was made stays."""
        work = self._works.get((model, what))
        if work is not None:
            work.leave(who)

    def close(self) -> None:
        """End all work."""
        for work in self._works.values():
            work.close()

    async def _make(self, work: TokensAlone, alone: ReadAlone) -> None:
        steps = alone.steps()
        while True:
            try:
                done = await self._line.run(lambda: work.job.run(lambda: next(steps, None)))
            except LineFull:
                await asyncio.sleep(0.2)
                continue
            if done is None:
                return
            work.done = done
