"""A whole measurement of capacity: texts, fit, every shard that is not there yet, figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headscope.corpus.census import Census, ShardPlan, take_census
from headscope.corpus.texts import Columns, Corpus, Text, find_sources
from headscope.model.surroundings import settled_class
from headscope.show.progress import Tell
from headscope.studies.capacity.figures import Outcome, Size, outcomes, sizes
from headscope.studies.capacity.fitting import Fit, Sample, Spreads, batches, fitted_groups, samples
from headscope.studies.capacity.kept import R, read_rows, write_rows
from headscope.studies.capacity.mixed import Mixed, MixingRow, Published, mixed, published, rows_of
from headscope.studies.capacity.options import Options
from headscope.studies.capacity.sweep import Row, Sweep
from headscope.studies.survey.lock import held
from headscope.studies.survey.manifest import identity, read_manifest
from headscope.studies.survey.measure import tokens_of
from headscope.studies.survey.options import Options as SurveyOptions
from headscope.studies.survey.run import manifest_of
from headscope.studies.survey.store import claim, refuse_foreign

if TYPE_CHECKING:
    from headscope.model.card import Card
    from headscope.scope import Scope
    from headscope.studies.capacity.forgetting import Forgetting

_SHARD_POSITIONS = 1024
MEASURED = "measured"
SWEPT = {"dimension", "number"}
Say = Callable[[str], None]


@dataclass(frozen=True)
class Reproductions:
    """Mixing ratios (with those that were published for this model, if any), and forgetting and recreating."""

    mixed: list[Mixed]
    published: Published | None
    forgetting: Forgetting | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Capacity:
    """What was found: `sizes` of the encodings, `outcomes` of every condition, and what a reader must know.

    `reproductions`: None where they were not asked for.
    """

    card: Card
    options: Options
    texts: dict[str, Any]  # as the manifest has it
    fitted_on: int  # positions
    sizes: list[Size]
    outcomes: list[Outcome]
    reproductions: Reproductions | None
    notes: tuple[str, ...]


@settled_class
class Run:
    """Texts that are about to be measured; made by `Run.prepare`."""

    def __init__(
        self,
        scope: Scope,
        corpus: Corpus,
        census: Census,
        options: Options,
        directory: Path | None,
        texts: dict[str, Any],
    ) -> None:
        self.scope, self.corpus, self.census = scope, corpus, census
        self.options, self.directory, self.texts = options, directory, texts
        self._fitted = fitted_groups(census, options.seed)

    @classmethod
    def prepare(
        cls,
        scope: Scope,
        paths: Iterable[str | Path],
        options: Options,
        directory: str | Path | None = None,
        say: Say = lambda step: None,
    ) -> Run:
        """Find and count the texts, and claim the directory for them, if one is named.

        Raises InputError for texts that are not there, and a directory that holds something else.
        """
        scope.bench.opened.prove_mask(options.mask)
        corpus = Corpus(find_sources(paths, options.format), Columns(options.column, options.document_column))
        say("counting the texts")
        counted = SurveyOptions(sample=options.sample, seed=options.seed, shard_positions=_SHARD_POSITIONS)
        census = take_census(
            corpus, lambda text: tokens_of(scope, text, options.truncate), counted, scope.card.vocab_size
        )
        manifest = manifest_of(scope, corpus, census, {"kind": "capacity"} | options.to_dict())
        where = None if directory is None else Path(directory)
        if where is not None:
            refuse_foreign(where)
            with held(where):
                claim(where, manifest)
        return cls(scope, corpus, census, options, where, manifest["texts"])

    @property
    def announced(self) -> str:
        """What will be done, in a sentence."""
        measured = ~self._fitted[self.census.groups]
        return (
            f"{self.scope.card.name}: {len(measured):,} texts; the axes are fitted on "
            f"{len(measured) - int(measured.sum()):,} of them, the others are measured"
        )

    def run(self, tell: Tell = lambda done, total: None, say: Say = lambda step: None) -> Capacity:
        """Fit, and measure every shard that is not there; it may be killed at any time, and run again.

        `tell` is told how much of a step is done, `say` which step it is. Raises InputError where another run is at
        work in the directory.
        """
        with nullcontext() if self.directory is None else held(self.directory):
            return self._run(tell, say)

    def _run(self, tell: Tell, say: Say) -> Capacity:
        fit, rows = Fit(self.scope), []
        filled: list[Size] = []
        reproduced: Reproductions | None = None
        if SWEPT & set(self.options.parts):
            say("Fitting the axes")
            for _, fitted, _ in self._shards():
                for batch in batches(self.scope, fitted):
                    fit.add(self.scope, batch)
            filled = self._sizes(fit)
            say("Projecting and merging")
            rows = self._measure(fit, tell)
        if "reproductions" in self.options.parts:
            reproduced = self._reproduce(tell, say)
        return Capacity(
            self.scope.card,
            self.options,
            self.texts,
            fit.count,
            filled,
            outcomes(rows, self.options.seed) if rows else [],
            reproduced,
            self._notes(fit) if fit.count else (),
        )

    def _sizes(self, fit: Fit) -> list[Size]:
        """How many dimensions are filled; for the intervals, every text is run once more."""
        spreads = [Spreads(fit, np.flatnonzero(half).tolist()) for half in (self._fitted, ~self._fitted)]
        for _, *halves in self._shards():
            for spread, half in zip(spreads, halves, strict=True):
                for batch in batches(self.scope, half):
                    spread.add(self.scope, batch)
        return sizes(fit, *spreads)

    def _reproduce(self, tell: Tell, say: Say) -> Reproductions:
        from headscope.studies.capacity.forgetting import forgetting

        say("Mixing ratios")
        some: list[Sample] = []
        rows: list[MixingRow] = []
        for shard, texts in self._texts():
            some += samples(self.scope, texts, self.options)
            rows += self._kept(f"mixing-{shard.index:05d}", MixingRow, partial(self._mixing, texts))
            tell(len(some), len(self.census.numbers))
        say("Forgetting and recreating")
        found, notes = forgetting(self.scope, some, self.options.seed, tell)
        return Reproductions(mixed(rows, self.options.seed), published(self.scope.card), found, notes)

    def _mixing(self, texts: Sequence[tuple[Text, int]]) -> list[MixingRow]:
        mask, truncate = self.options.mask, self.options.truncate
        return [
            row
            for text, group in texts
            for row in rows_of(self.scope.read(text.content, mask, truncate=truncate).mixing(), text.number, group)
        ]

    def _measure(self, fit: Fit, tell: Tell) -> list[Row]:
        measured = ~self._fitted[self.census.groups]
        tokens = int(self.census.positions[measured].sum())
        sweep = Sweep(self.scope, fit, self.options, tokens)
        total = int(measured.sum()) * len(sweep.conditions)
        done = 0

        def tick(texts: int) -> None:
            nonlocal done
            done += texts
            tell(done, total)

        rows: list[Row] = []
        for shard, _, some in self._shards():
            before = done
            rows += self._kept(f"sweep-{shard.index:05d}", Row, partial(sweep.rows, some, tick))
            done = before  # also where the rows were there already
            tick(len(some) * len(sweep.conditions))
        return rows

    @cached_property
    def _identity(self) -> str:
        """What every kept file belongs to: the manifest."""
        assert self.directory is not None
        manifest = read_manifest(self.directory)
        return "" if manifest is None else identity(manifest)

    def _kept(self, name: str, kind: type[R], make: Callable[[], Iterable[R]]) -> list[R]:
        """Rows of a file of the directory; made, and written, where it is not there or damaged."""
        if self.directory is None:
            return list(make())
        path, about = self.directory / MEASURED / f"{name}.parquet", f"{self._identity} {name}"
        found = read_rows(path, about, kind)
        if found is None:
            found = list(make())
            write_rows(path, about, kind, found)
        return found

    def _texts(self) -> Iterator[tuple[ShardPlan, list[tuple[Text, int]]]]:
        """Every shard, its texts with their groups."""
        for shard, texts in self.census.texts_of(self.corpus, {shard.index for shard in self.census.shards}):
            groups = self.census.groups[shard.first : shard.stop].tolist()
            yield shard, list(zip(texts, groups, strict=True))

    def _shards(self) -> Iterator[tuple[ShardPlan, list[Sample], list[Sample]]]:
        """Every shard with its texts that are fitted on, and those that are measured."""
        for shard, texts in self._texts():
            some = samples(self.scope, texts, self.options)
            fitted = [one for one in some if self._fitted[one.group]]
            yield shard, fitted, [one for one in some if not self._fitted[one.group]]

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
