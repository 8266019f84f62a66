"""Maps made in the background: t-SNE needs no model, so it has a line of its own; tells how far it is, and can end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from headscope.app.line import Line, LineFull
from headscope.app.recent import Recent
from headscope.errors import HeadscopeError
from headscope.maps import Map
from headscope.maps.layouts import Tell
from headscope.reading import Reading

log = logging.getLogger(__name__)
State = Literal["waiting", "working", "stopped", "failed", "ready"]
Make = Callable[[Tell], Map]
_PATIENCE = 1.5  # seconds that a question waits for its map, before it is told to ask for progress instead


class MapBeingMade(Exception):
    """The question has to wait for `work`."""

    def __init__(self, work: MapWork) -> None:
        super().__init__()
        self.work = work


class MapNotThere(Exception):
    """No such map was asked for lately."""


class _Ended(Exception):
    """Nobody waits for the map any more."""


@dataclass
class MapWork:
    """How far one map is; `wanted`: how many wait for it."""

    key: str
    done: int = 0  # iterations; of 0 in all until it begins, and for PCA
    total: int = 0
    state: State = "waiting"
    problem: HeadscopeError | str | None = None
    wanted: int = 0
    began: float = 0.0
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def record(self) -> dict[str, Any]:
        """For JSON."""
        running = self.state == "working" and self.done > 0
        left = (self.total - self.done) * (time.monotonic() - self.began) / self.done if running else None
        return {
            "key": self.key,
            "state": self.state,
            "done": self.done,
            "total": self.total,
            "seconds_left": None if left is None else round(left, 1),
            "problem": None if self.problem is None else str(self.problem),
        }


class Mapping:
    """Makes maps by their key, one at a time, and keeps them as long as there is room. Lives on the event loop."""

    def __init__(self, waiting: int, budget: int) -> None:
        self._line = Line(waiting)
        self._maps: Recent[Map] = Recent(budget)
        self._works: Recent[MapWork] = Recent(256)  # each counts as one
        self.points: Recent[bytes] = Recent(budget // 4)

    def work(self, key: str) -> MapWork:
        """How far a map is that was asked for; MapNotThere where none was."""
        found = self._works.get(key)
        if found is None:
            raise MapNotThere(f"there is no map {key!r} in the making: ask for it by POST /map.")
        return found

    def known(self, key: str) -> Map:
        """A map that was made lately; MapNotThere where none was."""
        found = self._maps.get(key)
        if found is None:
            raise MapNotThere("the map is not here (any more): ask for it by POST /map, or its files by POST /take.")
        return found

    async def get(self, key: str, make: Make) -> Map:
        """The map; MapBeingMade where it takes longer than a question waits, and its own error where it failed."""
        found = self._maps.get(key)
        if found is not None:
            return found
        work = self._works.get(key)
        if work is None or work.task is None or work.task.done() or work.state == "stopped":
            work = MapWork(key)
            work.task = asyncio.get_running_loop().create_task(self._make(work, make))
            self._works.put(key, work, 1)
        work.wanted += 1
        await asyncio.wait((work.task,), timeout=_PATIENCE)
        if isinstance(work.problem, HeadscopeError):
            raise work.problem
        found = self._maps.get(key)
        if found is None:
            raise MapBeingMade(work)
        return found

    async def place(self, found: Map, reading: Reading) -> Map:
        """The map with another text in it, when it is its turn."""
        return await self._line.run(lambda: found.place(reading))

    def keep_points(self, key: str, found: Map) -> None:
        """Keep a map's points as bytes: float32, little-endian, x and y of the vocabulary, then of each text's values
        and outputs."""
        parts = [found.vocabulary, *(part for text in found.texts for part in (text.values, text.outputs))]
        packed = b"".join(part.contiguous().numpy().astype("<f4").tobytes() for part in parts)
        self.points.put(key, packed, len(packed))

    def points_of(self, key: str) -> bytes:
        """The points of a map that was answered; MapNotThere where they are gone."""
        found = self.points.get(key)
        if found is None:
            raise MapNotThere(f"there is no map {key!r} here (any more): ask for it by POST /map.")
        return found

    def leave(self, key: str) -> MapWork:
        """One who waited waits no longer; where nobody does, the work ends."""
        work = self.work(key)
        work.wanted = max(0, work.wanted - 1)
        if not work.wanted and work.state in ("waiting", "working"):
            work.state = "stopped"
        return work

    def close(self) -> None:
        """End all work."""
        for work in self._works.values():
            work.state = "stopped"
        self._line.close()

    async def _make(self, work: MapWork, make: Make) -> None:
        def tell(done: int, total: int) -> None:
            if work.state == "stopped":
                raise _Ended
            if work.state == "waiting":
                work.state, work.began = "working", time.monotonic()
            work.done, work.total = done, total

        def job() -> Map:
            if work.state == "stopped":
                raise _Ended
            return make(tell)

        try:
            found = await self._line.run(job)
            self._maps.put(work.key, found, found.space.nbytes)
            work.state = "ready"
        except _Ended:
            pass  # the state says so
        except LineFull:
            work.state, work.problem = "failed", "as many maps are being made as this server takes: ask again later."
        except HeadscopeError as error:
            work.state, work.problem = "failed", error
        except Exception as error:
            log.exception("making a map failed")
            work.state, work.problem = "failed", f"headscope failed ({type(error).__name__}); its log says where."
