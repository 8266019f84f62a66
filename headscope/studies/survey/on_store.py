"""Surveys whose directory is an address on an object store: prepared, run in parts, finished, from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from headscope.corpus.run import WHOLE, Part
from headscope.keep.remote import is_remote
from headscope.model.surroundings import settled_class
from headscope.show.progress import Progress
from headscope.studies.survey import run
from headscope.studies.survey.away import SurveyAway
from headscope.studies.survey.made import Made
from headscope.studies.survey.manifest import MANIFEST
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.run import Say, Survey
from headscope.studies.survey.store import Store

if TYPE_CHECKING:
    from headscope.scope import Scope


def survey_in(directory: str | Path) -> type[Survey]:
    """What prepares and runs a survey in a directory: `Survey`, or the same for an address on an object store."""
    return SurveyOnStore if is_remote(directory) else Survey


def finish(directory: str | Path) -> None:
    """Compute the statistics of a survey whose parts are all there, here or on a store; see `run.finish`."""
    if not is_remote(directory):
        run.finish(directory)
        return
    away = SurveyAway.opened(directory)
    with away.named():
        away.fetch_shards()
        run.finish(away.here)
        away.publish_statistics()


@settled_class
class SurveyOnStore(Survey):
    """A survey that works in a folder of this machine, and publishes what is whole at its address."""

    away: SurveyAway

    @classmethod
    def prepare(
        cls,
        scope: Scope,
        paths: Iterable[str | Path],
        directory: str | Path,
        options: SurveyOptions,
        *,
        part: Part = WHOLE,
        standard_input: BinaryIO | None = None,
        say: Say = lambda step: None,
    ) -> SurveyOnStore:
        """As `Survey.prepare`; InputError also where the store cannot be read or written."""
        away = SurveyAway.opened(directory)
        with away.named():
            if (away.here / MANIFEST).exists():
                away.refuse_other_numbers(Made.by(scope))
            prepared = super().prepare(
                scope, paths, away.here, options, part=part, standard_input=standard_input, say=say
            )
            away.claim()
        assert isinstance(prepared, cls)
        prepared.away = away
        return prepared

    def run(self, nulls: Iterable[str] = (), progress: Progress | None = None, doing: str = "measuring") -> None:
        """As `Survey.run`: every shard is published once it is whole."""
        with self.away.named():
            super().run(nulls, progress, doing)

    def begin(self) -> None:
        """As `Survey.begin`: what lies beside the shards is published, too."""
        super().begin()
        self.away.publish_tables()

    def gather(self, nulls: Iterable[str]) -> None:
        """Nothing: the shards of a part are not here any more, and the end has all of them here."""

    def conclude(self) -> None:
        """As `Survey.conclude`, of the shards of all runs; the statistics are published."""
        self.away.fetch_shards()
        super().conclude()
        self.away.publish_statistics()

    def _stores_of(self, names: Sequence[str | None]) -> list[Store]:
        for name in names:
            self._stores.setdefault(name, self.away.store(name, self._by, keep=self.part == WHOLE))
        return [self._stores[name] for name in dict.fromkeys(names)]
