"""Work in the background, too long for a question to wait for: how far it is, and who asks after it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.requests import Request

from headscope.app.api.job import Job
from headscope.app.api.line import ClientGone, LineFull
from headscope.errors import HeadscopeError

log = logging.getLogger(__name__)
VISITOR = "Headscope-Visitor"  # a header: a name that a page makes up for itself, so that it counts once
State = Literal["absent", "waiting", "working", "stopped", "failed", "ready"]


@dataclass(kw_only=True)
class Work:
    """How far a piece of work is; who was told so asks after it again and again, or says that it leaves."""

    job: Job = field(default_factory=Job, repr=False)
    done: int = 0
    total: int = 0
    state: State = "absent"
    problem: HeadscopeError | str | None = None  # why it failed
    began: tuple[float, int] = (0.0, 0)  # when, and how much was done
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def start(self, making: Coroutine[Any, Any, None]) -> None:
        """Begin; does not wait for it. What it comes to is told by `state`."""
        self.task = asyncio.get_running_loop().create_task(self._carry(making))

    def joined(self, who: str | None) -> bool:
        """Whether it is being made, so that one more can wait for it, who is counted then."""
        return self.task is not None and not self.task.done() and self.job.join(who)

    def leave(self, who: str | None) -> None:
        """One who waited does not any more; where nobody does, it ends."""
        self.job.leave(who)
        if not self.job.wanted and self.state in ("waiting", "working"):
            self.state = "stopped"

    def close(self) -> None:
        """End it, whoever waits."""
        if self.task is not None:
            self.task.cancel()

    def seconds_left(self) -> float | None:
        """An estimate, once a first step has been taken."""
        when, had = self.began
        if self.state != "working" or self.done == had:
            return None
        return round((self.total - self.done) * (time.monotonic() - when) / (self.done - had), 1)

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "state": self.state,
            "done": self.done,
            "total": self.total,
            "seconds_left": self.seconds_left(),
            "problem": None if self.problem is None else str(self.problem),
        }

    async def _carry(self, making: Coroutine[Any, Any, None]) -> None:
        try:
            await making
            self.state = "ready"
        except ClientGone:
            self.state = "stopped"
        except LineFull:
            self.state, self.problem = "failed", "the server is making as much as it takes: ask again later."
        except HeadscopeError as error:
            self.state, self.problem = "failed", error
        except Exception as error:
            log.exception("work in the background failed")
            self.state, self.problem = "failed", f"headscope failed ({type(error).__name__}); its log says where."


def visitor(request: Request | None) -> str | None:
    """The name of who asks; None where he has none."""
    return None if request is None else request.headers.get(VISITOR, "")[:64] or None
