"""A whole measurement of capacity: texts, fit, every shard that is not there yet, figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headscope.corpus.counted import CountedCorpus, Shard
from headscope.corpus.files import find_sources
from headscope.corpus.run import KeptRows, RowFiles, RowsInMemory, collected, missing
from headscope.keep.lock import held
from headscope.keep.record import identity
from headscope.keep.rows import R, read_rows, write_rows
from headscope.model.surroundings import settled_class
from headscope.show.progress import Progress
from headscope.studies.capacity.figures import Size, outcomes, sizes
from headscope.studies.capacity.fitting import Fit, Spreads, TextInput, batches, fitted_groups, samples
from headscope.studies.capacity.joined import JoinedInput, JoinedInputs, mixing_of
from headscope.studies.capacity.mixed import MixingRow, mixed, published, rows_of
from headscope.studies.capacity.options import CapacityOptions
from headscope.studies.capacity.result import Capacity, Reproductions
from headscope.studies.capacity.sweep import Sweep, TextRow
from headscope.studies.survey.manifest import claimed, manifest_of, read_manifest

if TYPE_CHECKING:
    from headscope.scope import Scope

_SHARD_POSITIONS = 1024  # fewer than a survey's: a text is run once for each of hundreds of conditions
MEASURED = "measured"
SWEPT = {"dimension", "number"}
Say = Callable[[str], None]


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
        self._fitted = fitted_groups(self.census, options.seed)

    @classmethod
    def prepare(
        cls,
        scope: Scope,
        paths: Iterable[str | Path],
        options: CapacityOptions,
        directory: str | Path | None = None,
        say: Say = lambda step: None,
    ) -> Run:
        """Find and count the texts, and claim the directory for them, if one is named.

        Raises InputError for texts that are not there, and a directory that holds something else.
        """
        scope.bench.opened.prove_mask(options.mask)
        sources = find_sources(paths, options.format)
        say("counting the texts")
        counted = CountedCorpus.of(scope, sources, options, _SHARD_POSITIONS)
        manifest = manifest_of(scope, counted, {"kind": "capacity"} | options.to_dict())
        where = None if directory is None else Path(directory)
        if where is not None:
            with claimed(where, manifest):
                pass
        return cls(scope, counted, options, where, manifest["texts"])

    @property
    def announced(self) -> str:
        """What will be done, in a sentence."""
        measured = ~self._fitted[self.census.groups]
        return (
            f"{self.scope.card.name}: {len(measured):,} texts; the axes are fitted on "
            f"{len(measured) - int(measured.sum()):,} of them, the others are measured"
        )

    def halves(self) -> Iterator[tuple[list[TextInput], list[TextInput]]]:
        """Shard by shard, the texts that are fitted on, and those that are measured."""
        return (self._halves(shard) for _, shard in self.counted.read(self._every))

    def run(self, progress: Progress | None = None) -> Capacity:
        """Fit, and measure every shard that is not there; it may be killed at any time, and run again.

        Raises InputError where another run is at work in the directory.
        """
        with nullcontext() if self.directory is None else held(self.directory):
            return self._run(progress or Progress())

    def _run(self, progress: Progress) -> Capacity:
        fit, rows = Fit(self.scope), []
        filled: list[Size] = []
        reproduced: Reproductions | None = None
        if SWEPT & set(self.options.parts):
            progress.step("fitting the axes")
            for fitted, _ in self.halves():
                for batch in batches(self.scope, fitted):
                    fit.add(self.scope, batch)
            filled = self._sizes(fit)
            rows = self._measure(fit, progress)
        if "reproductions" in self.options.parts:
            reproduced = self._reproduce(progress)
        return Capacity(
            self.scope.card,
            self.options,
            self.texts,
            fit.count,
            filled,
            outcomes(rows) if rows else [],
            reproduced,
            self._notes(fit) if fit.count else (),
        )

    def _sizes(self, fit: Fit) -> list[Size]:
        """How many dimensions are filled; for the intervals, every text is run once more."""
        spreads = [Spreads(fit, np.flatnonzero(half).tolist()) for half in (self._fitted, ~self._fitted)]
        for halves in self.halves():
            for spread, half in zip(spreads, halves, strict=True):
                for batch in batches(self.scope, half):
                    spread.add(self.scope, batch)
        return sizes(fit, *spreads)

    def _reproduce(self, progress: Progress) -> Reproductions:
        from headscope.studies.capacity.forgetting import forgetting

        rows, inputs = self._mixed(progress)
        progress.step("forgetting and recreating")
        # Of all texts at once: types are counted, and their occurrences drawn, over the whole corpus.
        some = [one for _, shard in self.counted.read(self._every) for one in self._samples(shard)]
        found, notes = forgetting(self.scope, some, self.options.seed, progress.tell)
        made = mixed(rows)
        return Reproductions(made, inputs.size, published(self.scope.card), found, notes)

    def _mixed(self, progress: Progress) -> tuple[list[MixingRow], JoinedInputs]:
        """The mixing ratios of every text alone, and of the inputs that texts are joined to."""
        kept = self._kept("mixing", MixingRow)
        here = [shard.stop - shard.first for shard in self.census.shards]
        left = missing(self.counted, kept)
        progress.step("mixing ratios", sum(here), sum(here) - sum(here[n] for n in left))
        rows = collected(self.counted, kept, partial(self._mixing, progress))
        progress.step("joining texts")
        shards = (shard for _, shard in self.counted.read(self._every))
        texts = [one for shard in shards for one in zip(shard.texts, shard.groups, strict=True)]
        inputs = JoinedInputs.of(self.scope, texts, self.census.documents is not None, self.options.seed)
        kept, every = self._kept("joined", MixingRow), len(inputs.inputs)
        of_left = sum(len(lot) for _, lot in inputs.read(missing(inputs, kept)))
        progress.step("mixing ratios of joined texts", every, every - of_left)
        return rows + collected(inputs, kept, partial(self._joined, inputs.mask_token, progress)), inputs

    def _joined(self, mask_token: int | None, progress: Progress, lot: tuple[JoinedInput, ...]) -> Iterator[MixingRow]:
        asked: dict[str, int | None] = {"joined": None}
        if mask_token is not None:
            asked["masked"] = mask_token
        for one in lot:
            for of, masked in asked.items():
                found = mixing_of(self.scope, one, self.options.mask, masked)
                yield from rows_of(found, one.number, one.group, [of])
            progress.advance(1)

    def _mixing(self, progress: Progress, shard: Shard) -> Iterator[MixingRow]:
        mask, truncate = self.options.mask, self.options.truncate
        for text, group in zip(shard.texts, shard.groups, strict=True):
            found = self.scope.read(text.content, mask, truncate=truncate).mixing()
            yield from rows_of(found, text.number, group, ["all", "words"])
            progress.advance(1)

    def _measure(self, fit: Fit, progress: Progress) -> list[TextRow]:
        measured = ~self._fitted[self.census.groups]
        tokens = int(self.census.positions[measured].sum())
        sweep = Sweep(self.scope, fit, self.options, tokens)
        kept = self._kept("sweep", TextRow)
        here = [int(measured[shard.first : shard.stop].sum()) * len(sweep.conditions) for shard in self.census.shards]
        left = missing(self.counted, kept)
        progress.step("projecting and merging", sum(here), sum(here) - sum(here[n] for n in left))
        return collected(self.counted, kept, lambda shard: sweep.rows(self._halves(shard)[1], progress.advance))

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

    @property
    def _every(self) -> set[int]:
        return set(range(len(self.counted)))

    def _samples(self, shard: Shard) -> list[TextInput]:
        return samples(self.scope, zip(shard.texts, shard.groups, strict=True), self.options)

    def _halves(self, shard: Shard) -> tuple[list[TextInput], list[TextInput]]:
        """The texts of a shard that are fitted on, and those that are measured."""
        some = self._samples(shard)
        return [one for one in some if self._fitted[one.group]], [one for one in some if not self._fitted[one.group]]

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
