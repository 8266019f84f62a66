"""The server's own model tested on sixty texts, in the background: whoever asks something meanwhile is let past."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from headscope.app.api.answers import JobRecord, SelfTestRecord, SurveyRecord
from headscope.app.api.jobs import Job
from headscope.app.api.limits import Limits
from headscope.app.api.line import Line
from headscope.app.api.models import Models, NotAllowed
from headscope.app.api.surveys import Surveys
from headscope.app.api.telling import says
from headscope.keep.files import remove
from headscope.keep.memory import spare_room
from headscope.question.stopping import Stopped
from headscope.scope import Scope
from headscope.show.progress import Progress
from headscope.studies.survey.nulls import TWINS, attends_as_model, seed_of, variants

T = TypeVar("T")
_TITLE = "The test on 60 texts"
_UNTESTED = (
    "Whether it is more than even attention and five untrained twins give, also with this model’s attention, 60 texts "
    "tell. It takes minutes; you can go on reading meanwhile."
)
_ALL = "all"  # who wait for it


class SelfTest:
    """At most one test, of the server's own model. Lives on the event loop.

    It is everybody's: one word of a page keeps it going, and one can stop it. What no page asks after ends; when it is
    begun again, it goes on from there.
    """

    def __init__(self, line: Line, models: Models, surveys: Surveys, limits: Limits) -> None:
        self._line, self._models, self._surveys, self._limits = line, models, surveys, limits
        self._job: Job | None = None

    @property
    def record(self) -> SelfTestRecord:
        """How far it is, and why a visitor cannot begin one."""
        job, closed = self._job or Job(state="absent"), self._closed()
        record = job.record()
        told = closed or says(record, f"Testing: {_far(record)}", "Stopped; what was measured is kept.")
        if job.state == "absent":
            told = closed or _UNTESTED
        can = "Stop" if job.goes_on else "Go on" if job.state == "stopped" else "Test this model on 60 texts"
        return {**record, "title": _TITLE, "says": told, "closed": closed, "can": None if closed else can}

    def about(self) -> SurveyRecord:
        """The survey that is open, and what may be done for one."""
        return {"survey": self._surveys.about, "may_open": self._models.may_open, "testing": self.record}

    def told(self) -> SurveyRecord:
        """The same, to one who waits for it."""
        if self._job is not None:
            self._job.hear(_ALL)
        return self.about()

    def start(self) -> SurveyRecord:
        """Begin it, or go on with it; does not wait for it. What a survey answers already is not measured again.

        NotAllowed where a visitor may not.
        """
        self._refuse()
        if self._surveys.about is None and (self._job is None or not self._job.join(_ALL)):
            self._job = Job(_ALL, self._limits.patience)
            self._job.start(self._make(self._job))
        return self.about()

    def stop(self) -> SurveyRecord:
        """End it; what was measured stays. NotAllowed where a visitor may not."""
        self._refuse()
        if self._job is not None:
            self._job.leave(_ALL)
        return self.about()

    def close(self) -> None:
        """End it, whoever waits."""
        if self._job is not None:
            self._job.end()
            self._job.close()

    def _refuse(self) -> None:
        closed = self._closed()
        if closed is not None:
            raise NotAllowed(closed)

    def _closed(self) -> str | None:
        if not self._limits.tests:
            return (
                "this server tests its model for no visitor. Whoever runs it can: the test of headscope serve without "
                "--read-only is kept, and shown here from the next start on."
            )
        if any(importlib.util.find_spec(name) is None for name in ("pyarrow", "scipy", "filelock")):
            return 'a test needs what surveys need: pip install "headscope[survey]".'
        return None

    async def _make(self, job: Job) -> None:
        job.tell(step="reading the texts")
        test = await self._aside(job, lambda: _Test(self._models.own, job))
        await self._aside(job, test.run)
        await run_in_threadpool(self._surveys.open_tested)

    async def _aside(self, job: Job, work: Callable[[], T]) -> T:
        """What the work comes to, begun again whenever somebody came; Stopped once nobody waits for it."""

        def wanted() -> list[T]:
            try:
                with spare_room():
                    return [job.run(work)]
            except Stopped:
                if job.wanted:
                    raise  # whoever came goes first
                return []

        found = await self._line.aside(wanted)
        if not found:
            raise Stopped
        return found[0]


class _Test:
    """The survey that a test is; told in its job, as a share of all of it."""

    def __init__(self, scope: Scope, job: Job) -> None:
        from headscope.studies.tested.question import NULLS, begun, place_of

        self._job, self._place, self._survey = job, place_of(scope), begun(scope)
        networks = 1 + sum(len(variants(null)) for null in NULLS)
        self._all = self._survey.census.total * scope.card.layers * networks

    def run(self) -> None:
        """Measure what is not there, and keep the figures; it may be stopped, and run again."""
        from headscope.studies.tested.figures import keep_figures
        from headscope.studies.tested.question import NULLS

        self._survey.run(NULLS, Progress(self._tell))
        keep_figures(self._survey.directory, self._place)
        remove(self._survey.directory)

    def _tell(self, now: Progress) -> None:
        if now.total is not None:
            self._job.tell(self._all - (now.total - now.done), self._all, _said(now.doing))


def _far(job: JobRecord) -> str:
    """What is being done, and what share of all of it is."""
    return f"{job['step'] or 'waiting for its turn'} … {100 * job['done'] // max(1, job['total'])} %"


def _said(doing: str) -> str:
    """What a survey is doing, for who knows nothing of surveys.

    >>> _said("measuring"), _said("measuring the null random-0")
    ('measuring the model on 60 texts', 'measuring untrained twin 1 of 5 on the same texts')
    >>> _said("measuring the null values-4")
    'measuring untrained twin 5 of 5 with the attention of the model'
    """
    null = doing.rpartition(" ")[2]
    seed = seed_of(null)
    if seed is not None:
        given = "with the attention of the model" if attends_as_model(null) else "on the same texts"
        return f"measuring untrained twin {seed + 1} of {TWINS} {given}"
    return "measuring the model on 60 texts" if doing == "measuring" else doing
