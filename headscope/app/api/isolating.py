"""Tokens read alone in the background: a step at a time through the line, so that others get their turn."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from headscope.app.api.answers import IsolatedRecord, State
from headscope.app.api.jobs import BeingMade, Job, LineFull, visitor
from headscope.app.api.line import Line
from headscope.app.api.telling import says
from headscope.question.choices import What
from headscope.scope import Scope
from headscope.show.numbers import size
from headscope.vocabulary.isolated import ReadAlone

_TITLE = "The model reads every token of the vocabulary alone, once; what comes of it is kept on the server’s disk."


class NotWhole(Exception):
    """The question needs what is not there of tokens read alone; `done` of them are."""

    def __init__(self, alone: ReadAlone, done: int) -> None:
        super().__init__()
        self.alone, self.done = alone, done


def check_whole(scope: Scope, what: What | None) -> None:
    """NotWhole where something is needed that has not been made."""
    if what is not None and (done := (alone := scope.isolated.kept(what)).done()) < alone.tokens:
        raise NotWhole(alone, done)


def wait_for(told: IsolatedRecord) -> BeingMade:
    """What a question is answered with that needs them."""
    made = {"values": "the reference isolated is", "streams": "the streams of tokens read alone are"}[told["what"]]
    then = f"ask again when GET /isolated?what={told['what']} says ready"
    doing, do = ("being made", then) if told["state"] == "working" else ("not there", f"a POST begins it; {then}")
    said = (
        f"{made} {doing} ({told['done']:,} of {told['total']:,} tokens have been read alone; "
        f"{told['bytes'] / 2**20:,.0f} MiB in all): {do}."
    )
    return BeingMade({"error": said, "isolated": told})


class Isolating:
    """Reads the tokens of a server's models alone, by name, and tells how far it is. Lives on the event loop.

    `patience`: how many seconds those who wait may say nothing.
    """

    def __init__(self, line: Line, patience: float) -> None:
        self._line, self._patience = line, patience
        self._jobs: dict[tuple[str | None, What], tuple[Job, int]] = {}  # and the bytes on disk of all of it

    async def told(self, model: str | None, scope: Scope, what: What, request: Request | None) -> IsolatedRecord:
        """How far a model is: as the work that was begun here says, and who asks is heard; else as the disk does."""
        begun = self._jobs.get((model, what))
        if begun is None:
            return await self._line.run(lambda: _on_disk(scope.isolated.kept(what)), request)
        begun[0].hear(visitor(request))
        return _told(what, *begun)

    def joined(self, model: str | None, what: What | None, who: str | None) -> IsolatedRecord | None:
        """How far the work is that goes on, if it does: one more waits for it."""
        begun = None if what is None else self._jobs.get((model, what))
        return _told(what, *begun) if what is not None and begun is not None and begun[0].join(who) else None

    def start(self, model: str | None, missing: NotWhole, who: str | None) -> IsolatedRecord:
        """Begin, or go on, with what is missing of a model, for the one who asks; does not wait for it."""
        alone, what = missing.alone, missing.alone.what
        going = self.joined(model, what, who)
        if going is not None:
            return going
        job = Job(who, self._patience)
        job.tell(missing.done, alone.tokens)
        self._jobs[model, what] = job, alone.nbytes
        job.start(self._make(job, alone))
        return _told(what, job, alone.nbytes)

    def leave(self, model: str | None, what: What, who: str | None) -> None:
        """One who waited waits no longer; where nobody does, the work ends, and what was made stays."""
        begun = self._jobs.get((model, what))
        if begun is not None:
            begun[0].leave(who)

    def close(self) -> None:
        """End all work."""
        for job, _ in self._jobs.values():
            job.close()

    async def _make(self, job: Job, alone: ReadAlone) -> None:
        steps = alone.steps()
        while True:
            try:
                done = await self._line.run(lambda: job.run(lambda: next(steps, None)))
            except LineFull:
                await asyncio.sleep(0.2)
                continue
            if done is None:
                return
            job.tell(done, alone.tokens)


def _told(what: What, job: Job, nbytes: int) -> IsolatedRecord:
    record = job.record()
    done, total = record["done"], record["total"]
    far = f"{done:,} of {total:,} tokens, {size(nbytes)} in all"
    stopped = f"Stopped; what was read is kept. {done:,} of {total:,} tokens are done."
    return {**record, "what": what, "bytes": nbytes, "title": _TITLE, "says": says(record, far, stopped)}


def _on_disk(alone: ReadAlone) -> IsolatedRecord:
    done, total = alone.done(), alone.tokens
    state: State = "ready" if done == total else "absent"
    job = Job(state=state)
    job.tell(done, total)
    return _told(alone.what, job, alone.nbytes)
