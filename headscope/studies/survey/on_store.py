"""Surveys whose directory is an address on an object store: prepared, run in parts, finished, from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from headscope.corpus.run import WHOLE, Part
from headscope.keep.remote import is_remote
from headscope.model.surroundings import settled_class
from headscope.scope import Scope, a_scope
from headscope.show.progress import Progress, Say
from headscope.studies.survey import run
from headscope.studies.survey.away import SurveyAway
from headscope.studies.survey.made import Made
from headscope.studies.survey.manifest import MANIFEST
from headscope.studies.survey.options import SurveyOptions, checked_nulls
from headscope.studies.survey.run import Survey
from headscope.studies.survey.store import Store, nulls_there
from headscope.studies.survey.sums_away import SumsHere, bring_sums, publish_gathered


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
        bring_sums(away)
        run.finish(away.here, SumsHere)
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
        say: Say | None = None,
    ) -> SurveyOnStore:
        """As `Survey.prepare`; InputError also where the store cannot be read or written."""
        scope, away = a_scope(scope), SurveyAway.opened(directory)
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
        """As `Survey.gather`: what the sums of a part's shards come to is published."""
        for store in self._all(checked_nulls(nulls)):
            publish_gathered(self.away, store.null, self.part.of_shards(len(self.texts)))

    def conclude(self) -> None:
        """As `Survey.conclude`, of the sums of all runs' shards; the statistics are published."""
        bring_sums(self.away)
        run.conclude(self.directory, nulls_there(self.directory, len(self.texts)), SumsHere)
        self.away.publish_statistics()

    def _stores_of(self, names: Sequence[str | None]) -> list[Store]:
        for name in names:
            self._stores.setdefault(name, self.away.store(name, self._by))
        return [self._stores[name] for name in dict.fromkeys(names)]
