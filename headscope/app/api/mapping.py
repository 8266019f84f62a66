"""Maps made in the background: t-SNE needs no model, so it has a line of its own; tells how far it is, and can end."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request

from headscope.app.api.answers import MapJobRecord
from headscope.app.api.jobs import BeingMade, ClientGone, Job, visitor
from headscope.app.api.line import Line, unless_left
from headscope.app.api.telling import says
from headscope.errors import HeadscopeError
from headscope.keep.memory import Memory, Recent
from headscope.reading.map import Map
from headscope.reading.reading import Reading
from headscope.show.progress import Tell

Make = Callable[[Tell], Map]
_PATIENCE = 1.5  # seconds that a question waits for its map, before it is told to ask for progress instead

_TITLE = "t-SNE lays the map out, once; it is kept on the server’s disk."


class MapNotThere(Exception):
    """No such map was asked for lately."""


class Mapping:
    """Makes maps by their key, one at a time, and keeps them as long as there is room. Lives on the event loop.

    `patience`: how many seconds those who wait may say nothing.
    """

    def __init__(self, waiting: int, memory: Memory, patience: float) -> None:
        self._line, self._patience = Line(waiting), patience
        self._maps: Recent[Map] = Recent(memory)
        self._jobs: Recent[Job] = Recent(256, lambda job: 1)
        self.points: Recent[bytes] = Recent(memory, len)

    def work(self, key: str, who: str | None) -> MapJobRecord:
        """How far a map is that was asked for, and who asks is heard; MapNotThere where none was."""
        return _told(key, self._job(key, who))

    def known(self, key: str) -> Map:
        """A map that was made lately; MapNotThere where none was."""
        made = self._maps.get(key)
        if made is None:
            raise MapNotThere("the map is not here (any more): ask for it by POST /map, or its files by POST /take.")
        return made

    async def get(self, key: str, make: Make, request: Request | None = None) -> Map:
        """The map; BeingMade where it takes longer than a question waits, and its own error where it failed."""
        made = self._maps.get(key)
        if made is not None:
            return made
        job, who = self._jobs.get(key), visitor(request)
        if job is None or not job.join(who):
            job = Job(who, self._patience)
            job.start(self._make(key, job, make))
            self._jobs.put(key, job)
        assert job.task is not None, "it was started"
        try:
            await unless_left(job.task, request, _PATIENCE)
        except ClientGone:
            job.leave(who)
            raise
        if isinstance(job.problem, HeadscopeError):
            raise job.problem
        made = self._maps.get(key)
        if made is None:
            said = f"the map is being made: ask again when GET /map/{key} says that it is ready."
            raise BeingMade({"error": said, "map": _told(key, job)})
        return made

    async def place(self, ground: Map, reading: Reading, request: Request | None = None) -> Map:
        """The map with another text in it, when it is its turn."""
        return await self._line.run(lambda: ground.place(reading), request)

    def keep_points(self, key: str, made: Map) -> None:
        """Keep a map's points as bytes: float32, little-endian, x and y of the vocabulary, then of each text's values
        and outputs."""
        parts = [made.vocabulary, *(part for text in made.texts for part in (text.values, text.outputs))]
        packed = b"".join(part.contiguous().numpy().astype("<f4").tobytes() for part in parts)
        self.points.put(key, packed)

    def points_of(self, key: str) -> bytes:
        """The points of a map that was answered; MapNotThere where they are gone."""
        packed = self.points.get(key)
        if packed is None:
            raise MapNotThere(f"there is no map {key!r} here (any more): ask for it by POST /map.")
        return packed

    def leave(self, key: str, who: str | None) -> MapJobRecord:
        """One who waited waits no longer; where nobody does, the work ends."""
        job = self._job(key, who)
        job.leave(who)
        return _told(key, job)

    def end(self) -> None:
        """Send away everybody who waits."""
        self._line.end()

    def close(self) -> None:
        """End all work."""
        for _, job in self._jobs.items():
            job.close()
        self._line.close()

    def _job(self, key: str, who: str | None) -> Job:
        job = self._jobs.get(key)
        if job is None:
            raise MapNotThere(f"there is no map {key!r} in the making: ask for it by POST /map.")
        job.hear(who)
        return job

    async def _make(self, key: str, job: Job, make: Make) -> None:
        made = await self._line.run(lambda: job.run(lambda: make(job.tell)))
        self._maps.put(key, made)


def _told(key: str, job: Job) -> MapJobRecord:
    record = job.record()
    far = f"{record['done']:,} of {record['total']:,} iterations"
    told = says(record, far, "Stopped; the map is not there.")
    return {**record, "key": key, "title": _TITLE, "says": told}
