"""Maps made in the background: t-SNE needs no model, so it has a line of its own; tells how far it is, and can end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from headscope.app.api.job import Job
from headscope.app.api.line import ClientGone, Line, unless_left
from headscope.app.api.work import Work, visitor
from headscope.errors import HeadscopeError
from headscope.keep.memory import Recent
from headscope.reading.map import Map
from headscope.reading.map.layouts import Tell
from headscope.reading.reading import Reading

Make = Callable[[Tell], Map]
_PATIENCE = 1.5  # seconds that a question waits for its map, before it is told to ask for progress instead


class MapBeingMade(Exception):
    """The question has to wait for `work`."""

    def __init__(self, work: MapWork) -> None:
        super().__init__()
        self.work = work


class MapNotThere(Exception):
    """No such map was asked for lately."""


@dataclass(kw_only=True)
class MapWork(Work):
    """How far one map is, in iterations: of 0 in all until it begins, and for PCA."""

    key: str

    def tell(self, done: int, total: int) -> None:
        """So many iterations are done."""
        if self.state == "waiting":
            self.state, self.began = "working", (time.monotonic(), 0)
        self.done, self.total = done, total

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return super().record() | {"key": self.key}


class Mapping:
    """Makes maps by their key, one at a time, and keeps them as long as there is room. Lives on the event loop.

    `patience`: how many seconds those who wait may say nothing.
    """

    def __init__(self, waiting: int, budget: int, patience: float) -> None:
        self._line, self._patience = Line(waiting), patience
        self._maps: Recent[Map] = Recent(budget, lambda found: found.space.nbytes)
        self._works: Recent[MapWork] = Recent(256, lambda work: 1)
        self.points: Recent[bytes] = Recent(budget // 4, len)

    def work(self, key: str, who: str | None) -> MapWork:
        """How far a map is that was asked for, and who asks is heard; MapNotThere where none was."""
        found = self._works.get(key)
        if found is None:
            raise MapNotThere(f"there is no map {key!r} in the making: ask for it by POST /map.")
        found.job.hear(who)
        return found

    def known(self, key: str) -> Map:
        """A map that was made lately; MapNotThere where none was."""
        found = self._maps.get(key)
        if found is None:
            raise MapNotThere("the map is not here (any more): ask for it by POST /map, or its files by POST /take.")
        return found

    async def get(self, key: str, make: Make, request: Request | None = None) -> Map:
        """The map; MapBeingMade where it takes longer than a question waits, and its own error where it failed."""
        found = self._maps.get(key)
        if found is not None:
            return found
        work, who = self._works.get(key), visitor(request)
        if work is None or not work.joined(who):
            work = MapWork(key=key, state="waiting", job=Job(who, self._patience))
            work.start(self._make(work, make))
            self._works.put(key, work)
        assert work.task is not None, "it was started"
        try:
            await unless_left(work.task, request, _PATIENCE)
        except ClientGone:
            work.leave(who)
            raise
        if isinstance(work.problem, HeadscopeError):
            raise work.problem
        found = self._maps.get(key)
        if found is None:
            raise MapBeingMade(work)
        return found

    async def place(self, found: Map, reading: Reading, request: Request | None = None) -> Map:
        """The map with another text in it, when it is its turn."""
        return await self._line.run(lambda: found.place(reading), request)

    def keep_points(self, key: str, found: Map) -> None:
        """Keep a map's points as bytes: float32, little-endian, x and y of the vocabulary, then of each text's values
        and outputs."""
        parts = [found.vocabulary, *(part for text in found.texts for part in (text.values, text.outputs))]
        packed = b"".join(part.contiguous().numpy().astype("<f4").tobytes() for part in parts)
        self.points.put(key, packed)

    def points_of(self, key: str) -> bytes:
        """The points of a map that was answered; MapNotThere where they are gone."""
        found = self.points.get(key)
        if found is None:
            raise MapNotThere(f"there is no map {key!r} here (any more): ask for it by POST /map.")
        return found

    def leave(self, key: str, who: str | None) -> MapWork:
        """One who waited waits no longer; where nobody does, the work ends."""
        work = self.work(key, who)
        work.leave(who)
        return work

    def close(self) -> None:
        """End all work."""
        for _, work in self._works.items():
            work.close()
        self._line.close()

    async def _make(self, work: MapWork, make: Make) -> None:
        found = await self._line.run(lambda: work.job.run(lambda: make(work.tell)))
        self._maps.put(work.key, found)
