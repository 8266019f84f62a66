"""Tokens read alone in the background: a step at a time through the line, so that others get their turn."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from headscope.app.line import Line, LineFull
from headscope.errors import HeadscopeError
from headscope.scope import Scope
from headscope.vocabulary.isolated import What

log = logging.getLogger(__name__)
State = Literal["absent", "working", "stopped", "failed", "ready"]


class NotWhole(Exception):
    """The question needs `what` of the tokens that `scope` has not read alone."""

    def __init__(self, scope: Scope, what: What) -> None:
        super().__init__()
        self.scope, self.what = scope, what


def check_whole(scope: Scope, what: What | None) -> None:
    """NotWhole where something is needed that has not been made."""
    if what is not None and (alone := scope.isolated.kept(what)).done() < alone.tokens:
        raise NotWhole(scope, what)


class BeingMade(Exception):
    """The question has to wait for `work`."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.work = work


@dataclass
class Work:
    """How far the tokens of one model have been read alone."""

    done: int  # tokens
    total: int
    nbytes: int  # of all of them, on disk
    what: What = "values"
    state: State = "absent"
    problem: str | None = None  # why it failed
    began: tuple[float, int] = (0.0, 0)  # when, and how many tokens were done
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    @classmethod
    def found(cls, scope: Scope, what: What) -> Work:
        """As the disk says; waits for the model."""
        alone = scope.isolated.kept(what)
        done, total = alone.done(), alone.tokens
        return cls(done, total, alone.nbytes, what, "ready" if done == total else "absent")

    def seconds_left(self) -> float | None:
        """An estimate, once a first step has been taken."""
        when, had = self.began
        if self.state != "working" or self.done == had:
            return None
        return round((self.total - self.done) * (time.monotonic() - when) / (self.done - had), 1)

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "what": self.what,
            "state": self.state,
            "done": self.done,
            "total": self.total,
            "bytes": self.nbytes,
            "seconds_left": self.seconds_left(),
            "problem": self.problem,
        }


class Isolating:
    """Reads the tokens of a server's models alone, by name, and tells how far it is. Lives on the event loop."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._works: dict[tuple[str | None, What], Work] = {}

    def known(self, model: str | None, what: What) -> Work | None:
        """The work on a model that was begun here."""
        return self._works.get((model, what))

    async def start(self, model: str | None, missing: NotWhole) -> Work:
        """Begin, or go on, with what is missing of a model; does not wait for it."""
        scope, what = missing.scope, missing.what
        work = self._works.get((model, what))
        if work is None or work.state == "ready":  # ready, and yet asked for: the files were removed
            work = await self._line.run(lambda: Work.found(scope, what))
            self._works[model, what] = work
        work.state, work.problem = "working", None
        if work.task is None or work.task.done():
            work.began = (time.monotonic(), work.done)
            work.task = asyncio.get_running_loop().create_task(self._make(work, scope))
        return work

    def stop(self, model: str | None, what: What) -> None:
        """End after the step that runs; what was made stays."""
        work = self._works.get((model, what))
        if work is not None and work.state == "working":
            work.state = "stopped"

    def close(self) -> None:
        """End all work."""
        for work in self._works.values():
            if work.task is not None:
                work.task.cancel()

    async def _make(self, work: Work, scope: Scope) -> None:
        steps = scope.isolated.kept(work.what).steps()
        try:
            while work.state == "working":
                try:
                    done = await self._line.run(lambda: next(steps, None))
                except LineFull:
                    await asyncio.sleep(0.2)
                    continue
                if done is None:
                    work.state = "ready"
                else:
                    work.done = done
        except HeadscopeError as error:
            work.state, work.problem = "failed", str(error)
        except Exception as error:
            log.exception("reading the vocabulary alone failed")
            work.state, work.problem = "failed", f"headscope failed ({type(error).__name__}); its log says where."
