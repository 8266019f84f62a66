"""A survey on a fleet of workers: what each opens, and the run that hands out its shards."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from headscope.corpus.counted import CountedCorpus, corpus_of
from headscope.corpus.files import TextFile
from headscope.corpus.fleet.cluster import Cluster, Share
from headscope.corpus.fleet.handing import TRIES, Handing
from headscope.corpus.fleet.pool import Pool
from headscope.errors import HeadscopeError
from headscope.model.card import Card
from headscope.model.opening.default import DEMO, DEMO_NAME
from headscope.neighbors import warm_up
from headscope.question.model_choice import ModelChoice
from headscope.scope import CACHE_BYTES, Scope
from headscope.show.progress import Progress
from headscope.studies.survey.made import Made, refuse_mixtures
from headscope.studies.survey.manifest import asked_of, refuse_differences, survey_manifest
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.plan import ShardTask
from headscope.studies.survey.run import Survey

_NAMED = 8  # shards that a sentence names


@dataclass(frozen=True)
class SurveyOrder:
    """What every worker opens: the model, and the survey that was prepared where the command was given.

    `by`: what that measures with, and so every worker must; `threads`: how many torch computes with. The directory, and
    the files of texts that are read for a shard, are what all machines see under the same names.
    """

    choice: ModelChoice
    memory: str | None
    texts: CountedCorpus
    options: SurveyOptions
    directory: Path
    by: Made
    threads: int

    @classmethod
    def of(cls, survey: Survey, choice: ModelChoice, memory: str | None, share: Share) -> SurveyOrder:
        """That of a survey, whose model was opened by `choice`."""
        corpus = corpus_of([_everywhere(one) for one in survey.texts.corpus.sources], survey.options)
        return cls(
            _same_model(choice, survey.scope.card, share),
            memory,
            replace(survey.texts, corpus=corpus),
            survey.options,
            survey.directory.absolute(),
            Made.by(survey.scope),
            share.cpus,
        )

    def open(self) -> Survey:
        """The survey, with a model of this process.

        InputError where it is another model here, or computes otherwise, and where the directory is another one.
        """
        torch.set_num_threads(self.threads)
        scope = Scope.from_choice(self.choice, cache_bytes=self.memory or CACHE_BYTES)
        manifest = survey_manifest(self.directory)
        refuse_differences(self.directory, manifest, asked_of(scope, self.options.to_dict()))
        here = f"those on {socket.gethostname()}"
        refuse_mixtures(self.directory, {"those that are asked for": self.by, here: Made.by(scope)})
        warm_up(wait=True)
        return Survey(scope, self.texts, self.options, self.directory)


def run_on(
    cluster: Cluster,
    survey: Survey,
    choice: ModelChoice,
    memory: str | None = None,
    nulls: Iterable[str] = (),
    progress: Progress | None = None,
) -> list[str]:
    """`Survey.run` on the workers of a cluster, each with its own model: its shards, and then its statistics.

    Returns what became of workers that were lost, in sentences. It may be ended at any time, and run again. Raises
    HeadscopeError, naming them, where shards were given up: so many workers were lost over each.
    """
    progress = progress or Progress()
    survey.begin()
    tasks, losses = survey.left(nulls), list[str]()
    if tasks:
        share = cluster.share_of(torch.get_num_threads(), choice.device == "auto" or choice.device.startswith("cuda"))
        room = cluster.room(share)
        workers = min(cluster.fleet.workers or room, len(tasks))

        def said(at_work: int, of: int) -> None:
            progress.say(f"measuring on {at_work} of {of} workers")

        progress.step(f"beginning {workers} workers", sum(task.work for task in tasks))
        if room < workers:
            progress.say(f"the cluster has room for {room} of {workers} workers (each takes {share})")
        order = SurveyOrder.of(survey, choice, memory, share)
        handing = Handing(tasks, fruitless=TRIES * workers)
        pool = Pool[ShardTask](cluster, share, workers, order, said)
        pool.run(handing, lambda task: progress.advance(task.work))
        losses = pool.losses
        if handing.given_up:
            raise HeadscopeError(_given_up(handing.given_up))
    survey.end(nulls, progress)
    return losses


def _everywhere(source: TextFile) -> TextFile:
    """A file by a name that is the same wherever a worker stands."""
    return replace(source, path=source.path.absolute()) if isinstance(source.path, Path) else source


def _given_up(tasks: dict[ShardTask, str]) -> str:
    named = ", ".join(map(str, list(tasks)[:_NAMED])) + (f" and {len(tasks) - _NAMED} more" * (len(tasks) > _NAMED))
    last = list(tasks.values())[-1]
    return (
        f"given up: {named}; {TRIES} workers were lost over each, at last: {last}. All others are there: give the same "
        "command again when it is mended."
    )


def _same_model(choice: ModelChoice, card: Card, share: Share) -> ModelChoice:
    """What workers open on their devices: what was opened here, whatever its name means elsewhere or later."""
    device = choice.device
    if device == "auto" or (share.gpus and device.startswith("cuda")):  # a worker sees its own GPUs alone
        device = "cuda" if share.gpus else "cpu"
    name, revision = choice.name, choice.revision
    if choice.adapter is None and name is None:
        name = DEMO if card.name == DEMO_NAME and card.revision is None else card.name
    if choice.adapter is None and card.revision is not None:
        revision = card.revision
    return replace(choice, name=name, revision=revision, device=device)
