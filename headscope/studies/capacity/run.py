"""A whole measurement of capacity: texts, fit, every shard that is not there yet, figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from headscope.corpus.counted import CountedCorpus
from headscope.corpus.files import find_sources
from headscope.corpus.run import KeptRows, RowFiles, RowsInMemory
from headscope.keep.lock import held
from headscope.keep.paths import path_of
from headscope.keep.record import identity
from headscope.keep.rows import R, read_rows, write_rows
from headscope.model.surroundings import settled_class
from headscope.question.given import hearing, of_kind
from headscope.scope import Scope, a_scope
from headscope.show.progress import Progress, Say
from headscope.studies.capacity.figures import Size, outcomes, sizes
from headscope.studies.capacity.fitting import Fit, Spreads, TextInput, batches
from headscope.studies.capacity.joined import JoinedInputs
from headscope.studies.capacity.mixed import MixingRow, mixed, published
from headscope.studies.capacity.options import CapacityOptions
from headscope.studies.capacity.result import Capacity, Reproductions
from headscope.studies.capacity.sweep import TextRow
from headscope.studies.capacity.tasks import CountedTexts, JoinedTask, MixingTask, SweepTask
from headscope.studies.hands import Hands, by_shard, hands_of
from headscope.studies.survey.manifest import claimed, manifest_of, read_manifest

_SHARD_POSITIONS = 1024  # fewer than a survey's: a text is run once for each of hundreds of conditions
MEASURED = "measured"
SWEPT = {"dimension", "number"}


@settled_class
class Run:
    """Texts that are about to be measured; made by `Run.prepare`."""

    def __init__(
        self,
        scope: Scope,
        counted: CountedCorpus,
        options: CapacityOptions,
        directory: Path | None,
        texts: dict[str, Any],
    ) -> None:
        self.scope, self.counted, self.census = scope, counted, counted.census
        self.options, self.directory, self.texts = options, directory, texts
        self._texts = CountedTexts.of(counted, options)

    def __repr__(self) -> str:
        where = "" if self.directory is None else f", in {str(self.directory)!r}"
        return f"Run of {self.announced}; {', '.join(self.options.parts)}{where}"

    @classmethod
    def prepare(
        cls,
        scope: Scope,
        paths: Iterable[str | Path],
        options: CapacityOptions,
        directory: str | Path | None = None,
        say: Say | None = None,
    ) -> Run:
        """Find and count the texts, and claim the directory for them, if one is named.

        Raises InputError for texts that are not there, and a directory that holds something else.
        """
        options, say = of_kind(options, CapacityOptions, "options"), hearing(say, "say") or (lambda step: None)
        a_scope(scope).bench.opened.prove_mask(options.mask)
        sources = find_sources(paths, options.format)
        say("counting the texts")
        counted = CountedCorpus.of(scope, sources, options, _SHARD_POSITIONS)
        manifest = manifest_of(scope, counted, {"kind": "capacity"} | options.to_dict())
        where = None if directory is None else path_of(directory, "the directory of capacity")
        if where is not None:
            with claimed(where, manifest):
                pass
        return cls(scope, counted, options, where, manifest["texts"])

    @property
    def announced(self) -> str:
        """What will be done, in a sentence."""
        measured = self._texts.measured
        return (
            f"{self.scope.card.name}: {len(measured):,} texts; the axes are fitted on "
            f"{len(measured) - int(measured.sum()):,} of them, the others are measured"
        )

    def halves(self) -> Iterator[tuple[list[TextInput], list[TextInput]]]:
        """Shard by shard, the texts that are fitted on, and those that are measured."""
        return (self._texts.halves(self.scope, shard) for shard in self._texts.shards())

    def run(self, progress: Progress | None = None, hands: Hands | None = None) -> Capacity:
        """Fit, and measure every shard that is not there; it may be killed at any time, and run again.

        `hands`: who measures the shards (None: this process); each of several workers fits the axes. Raises InputError
        where another run is at work in the directory.
        """
        hands = hands_of(hands, self.scope)
        with nullcontext() if self.directory is None else held(self.directory):
            return self._run(Progress.of(progress), hands)

    def _run(self, progress: Progress, hands: Hands) -> Capacity:
        fit: Fit | None = None
        rows, filled = list[TextRow](), list[Size]()
        reproduced: Reproductions | None = None
        if SWEPT & set(self.options.parts):
            progress.step("fitting the axes")
            fit = self._texts.fit(self.scope)
            filled = self._sizes(fit)
            rows = self._measure(fit, progress, hands)
        if "reproductions" in self.options.parts:
            reproduced = self._reproduce(progress, hands)
        return Capacity(
            self.scope.card,
            self.options,
            self.texts,
            0 if fit is None else fit.count,
            filled,
            outcomes(rows) if rows else [],
            reproduced,
            self._notes(fit) if fit is not None and fit.count else (),
        )

    def _sizes(self, fit: Fit) -> list[Size]:
        """How many dimensions are filled; for the intervals, every text is run once more."""
        fitted = self._texts.fitted
        spreads = [Spreads(fit, np.flatnonzero(half).tolist()) for half in (fitted, ~fitted)]
        for halves in self.halves():
            for spread, half in zip(spreads, halves, strict=True):
                for batch in batches(self.scope, half):
                    spread.add(self.scope, batch)
        return sizes(fit, *spreads)

    def _reproduce(self, progress: Progress, hands: Hands) -> Reproductions:
        from headscope.studies.capacity.forgetting import forgetting

        rows, inputs = self._mixed(progress, hands)
        progress.step("forgetting and recreating")
        # Of all texts at once: types are counted, and their occurrences drawn, over the whole corpus.
        some = [one for shard in self._texts.shards() for one in self._texts.samples(self.scope, shard)]
        found, notes = forgetting(self.scope, some, self.options.seed, progress.tell)
        made = mixed(rows)
        return Reproductions(made, inputs.size, published(self.scope.card), found, notes)

    def _mixed(self, progress: Progress, hands: Hands) -> tuple[list[MixingRow], JoinedInputs]:
        """The mixing ratios of every text alone, and of the inputs that texts are joined to."""
        kept = self._kept("mixing", MixingRow)
        works = [shard.stop - shard.first for shard in self.census.shards]
        rows = by_shard(hands, MixingTask(self._texts), kept, works, progress, "mixing ratios")
        progress.step("joining texts")
        shards = self._texts.shards()
        texts = [one for shard in shards for one in zip(shard.texts, shard.groups, strict=True)]
        inputs = JoinedInputs.of(self.scope, texts, self.census.documents is not None, self.options.seed)
        works = [len(lot) for _, lot in inputs.read(set(range(len(inputs))))]
        task, kept = JoinedTask(inputs, self.options.mask), self._kept("joined", MixingRow)
        return rows + by_shard(hands, task, kept, works, progress, "mixing ratios of joined texts"), inputs

    def _measure(self, fit: Fit, progress: Progress, hands: Hands) -> list[TextRow]:
        task, measured = SweepTask(self._texts, fit), self._texts.measured
        conditions = len(task.sweep(self.scope).conditions)
        works = [int(measured[shard.first : shard.stop].sum()) * conditions for shard in self.census.shards]
        return by_shard(hands, task, self._kept("sweep", TextRow), works, progress, "projecting and merging")

    @cached_property
    def _identity(self) -> str:
        """What every kept file belongs to: the manifest."""
        assert self.directory is not None
        manifest = read_manifest(self.directory)
        return "" if manifest is None else identity(manifest)

    def _kept(self, name: str, kind: type[R]) -> KeptRows[R]:
        """Where rows of a kind are kept: a file a shard in the directory, or in memory where none is named."""
        if self.directory is None:
            return RowsInMemory()
        where = self.directory / MEASURED
        return RowFiles(
            path=lambda n: where / f"{name}-{n:05d}.parquet",
            about=lambda n: f"{self._identity} {name}-{n:05d}",
            write=lambda path, rows: write_rows(path, kind, rows),
            load=lambda path: read_rows(path, kind),
        )

    def _notes(self, fit: Fit) -> tuple[str, ...]:
        card = self.scope.card
        widest = max(card.d_model, card.heads * card.d_head)
        if fit.count >= 5 * widest:
            return ()
        return (
            f"The axes are fitted on {fit.count:,} encodings of up to {widest:,} dimensions: too few to tell all "
            "of them, so participation ratios and 95 % dimensions are lower than they would be with more texts; their "
            "intervals reach up to what those may show.",
        )
