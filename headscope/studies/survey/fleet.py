"""A survey on a fleet of workers: what each opens, and the run that hands out its shards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from headscope.corpus.counted import CountedCorpus
from headscope.show.progress import Progress
from headscope.studies.fleet import SameModel, Workers
from headscope.studies.hands import Hands
from headscope.studies.survey.manifest import asked_of, refuse_differences, survey_manifest
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.plan import ShardTask
from headscope.studies.survey.run import Survey


@dataclass(frozen=True)
class SurveyOrder:
    """What every worker opens: the model, and the survey that was prepared where the command was given.

    The directory, and the files of texts that are read for a shard, are what all machines see under the same names.
    """

    model: SameModel
    texts: CountedCorpus
    options: SurveyOptions
    directory: Path

    @classmethod
    def of(cls, survey: Survey, model: SameModel) -> SurveyOrder:
        """That of a survey of a model."""
        return cls(model, survey.texts.everywhere, survey.options, survey.directory.absolute())

    def open(self) -> MeasuringShards:
        """The survey, with a model of this process.

        InputError where it is another model here, or computes otherwise, and where the directory is another one.
        """
        scope = self.model.open()
        manifest = survey_manifest(self.directory)
        refuse_differences(self.directory, manifest, asked_of(scope, self.options.to_dict()))
        return MeasuringShards(Survey(scope, self.texts, self.options, self.directory))


@dataclass(frozen=True)
class MeasuringShards:
    """A survey that a worker has open; its shards are kept where all machines see them."""

    survey: Survey

    def measure(self, piece: ShardTask, patience: float) -> bool | None:
        """Measure a shard: True when it is there, None: another run measures it still after so many seconds."""
        return self.survey.measure_shard(piece, patience) or None


def run_by(
    hands: Hands,
    survey: Survey,
    nulls: Iterable[str] = (),
    progress: Progress | None = None,
    doing: str = "measuring",
) -> None:
    """`Survey.run`, its shards measured by whoever measures; workers see the directory under the same name.

    It may be ended at any time, and run again. Raises HeadscopeError, naming them, where shards were given up.
    """
    progress = Progress.of(progress)
    if not isinstance(hands, Workers):
        survey.run(nulls, progress, doing)
        return
    survey.begin()
    tasks = survey.left(nulls)
    if tasks:
        progress.step(doing, sum(task.work for task in tasks))
        hands.hand_out(SurveyOrder.of(survey, hands.model), tasks, lambda task, there: progress.advance(task.work))
    survey.end(nulls, progress)
