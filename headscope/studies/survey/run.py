"""A whole survey: the texts counted, the manifest, every shard that is not there yet, statistics."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from headscope.corpus.bank import BankPlan
from headscope.corpus.census import Census, texts_of_bank
from headscope.corpus.counted import CountedCorpus, Shard, corpus_of
from headscope.corpus.files import TextFile, find_sources
from headscope.corpus.genres import told as genres_told
from headscope.corpus.kept_census import KeptCensus
from headscope.corpus.run import WHOLE, InTurn, Part, missing, run_shared
from headscope.corpus.same import told as same_told
from headscope.corpus.standard_input import KEPT, ArrivedTexts, arriving
from headscope.corpus.texts import CorpusText
from headscope.errors import InputError
from headscope.keep.lock import FOREVER, forget_work, held
from headscope.keep.paths import path_of
from headscope.model.surroundings import settled_class
from headscope.neighbors import warm_up
from headscope.question.choices import STANDARD_INPUT, Null
from headscope.question.given import hearing, in_order, of_kind, seconds_of
from headscope.scope import Scope, a_scope
from headscope.show.progress import Progress, Say, Tick
from headscope.studies.survey import statistics
from headscope.studies.survey.bank import SurveyBank
from headscope.studies.survey.gathered import gather
from headscope.studies.survey.made import Made
from headscope.studies.survey.manifest import (
    asked_of,
    claim,
    manifest_of,
    read_manifest,
    refuse_differences,
    survey_manifest,
    work_of,
)
from headscope.studies.survey.measure import Context, measure
from headscope.studies.survey.network import Network
from headscope.studies.survey.nulls import has_streams, variants
from headscope.studies.survey.options import SurveyOptions, checked_nulls
from headscope.studies.survey.pace import pace_of_first
from headscope.studies.survey.plan import ShardTask, SurveyPlan
from headscope.studies.survey.store import (
    Sink,
    Store,
    nulls_begun,
    nulls_there,
    refuse_other_numbers,
    write_bank,
    write_vocabulary,
)

CENSUS = "census.npz"
_PATIENCE = 60.0  # seconds: who claims a directory, or begins in it, is soon done
_NAMED = 8  # missing shards that a sentence names
TRIAL = 1.0  # seconds that are measured to estimate the time
# Bytes of a row as measured on the demo model, with what it adds to the sums; they differ little between models.
_ROW_BYTES, _PATTERN_BYTES, _TOKEN_BYTES, _STREAM_BYTES = 70, 23, 40, 24


@settled_class
class Survey:
    """A survey that is about to run; made by `Survey.prepare`."""

    def __init__(
        self, scope: Scope, texts: CountedCorpus, options: SurveyOptions, directory: Path, part: Part = WHOLE
    ) -> None:
        self.scope, self.texts, self.options, self.directory, self.part = scope, texts, options, directory, part
        self.census, self._by = texts.census, Made.by(scope)
        self._stores: dict[str | None, Store] = {}
        self._banks: dict[str | None, tuple[SurveyBank, SurveyBank | None]] = {}
        self._last: Network | None = None  # that was measured, should that be gone on with
        self._in_turn = InTurn(texts)

    def __repr__(self) -> str:
        counted = f"{len(self.census.numbers):,} texts, {self.census.total:,} positions"
        return f"{type(self).__name__} of {counted} by {self.scope.card.name}, in {str(self.directory)!r}"

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
    ) -> Survey:
        """Find and count the texts, and claim the directory for them; "-" among the paths is standard input.

        Any number of runs may be at work in one directory: they share its shards. `part`: those that this one measures.
        Raises InputError for texts that are not there, and a directory that holds something else.
        """
        scope, options = a_scope(scope), of_kind(options, SurveyOptions, "options")
        part, say = of_kind(part, Part, "part"), hearing(say, "say") or (lambda step: None)
        where = path_of(directory, "the survey's directory")
        work_of(where).refuse_foreign()
        # All that can be refused is refused before the texts are counted, which may take minutes.
        before = read_manifest(where)
        if before is not None:
            refuse_differences(where, before, asked_of(scope, options.to_dict()))
            refuse_other_numbers(where, Made.by(scope))
        with ExitStack() as stack:
            sources = _sources(paths, where, options, standard_input, stack)
            read = [one.source(options) if isinstance(one, ArrivedTexts) else one for one in sources]
            census = KeptCensus.of(where / CENSUS, read, options, options.shard_positions)
            known = None if before is None else census.read()
            if known is None:
                say("counting the texts")
                texts = CountedCorpus.of(scope, read, options, options.shard_positions)
            else:
                texts = CountedCorpus(corpus_of(read, options), known)
            with held(where, _PATIENCE):
                before = read_manifest(where)
                for one in (one for one in sources if isinstance(one, ArrivedTexts)):
                    if before is None:
                        one.refuse_other()
                    else:
                        _refuse_other_texts(where, before, texts.census)
                    one.keep()
                claim(where, manifest_of(scope, texts, options.to_dict()))
                if known is None:
                    census.write(texts.census)
        kept = [
            replace(one.source(options), path=where / KEPT) if isinstance(one, ArrivedTexts) else one for one in sources
        ]
        return cls(scope, replace(texts, corpus=corpus_of(kept, options)), options, where, part)

    def plan(self, nulls: Iterable[str] = (), trial: float = TRIAL) -> SurveyPlan:
        """What it will cost to run it, with `nulls`; texts are measured for about `trial` seconds for that.

        With a trial of 0 nothing is measured, and the plan has no time. What is made ready for it (encodings, the bank)
        is there when the survey runs.
        """
        nulls, trial = checked_nulls(nulls), seconds_of(trial, "trial")
        card, options, census = self.scope.card, self.options, self.census
        stores = self._all(nulls)
        left, streams_left = self._left(stores), self._left([one for one in stores if self._with_stream(one)])
        heads = card.layers * card.heads
        stages = (2 * card.layers + 1) * len(options.masks)
        rows = heads * len(options.masks) * len(list(options.views())) * len(options.metrics)
        return SurveyPlan(
            texts=len(census.numbers),
            positions=census.total,
            documents=census.documents,
            left_out=census.left_out,
            scores=(left * rows + streams_left * stages) * card.vocab_size,
            seconds=self._seconds(stores, trial),
            notes=tuple(self._notes(stores)),
            bytes=left * (rows * _ROW_BYTES + heads * len(options.masks) * _PATTERN_BYTES + _TOKEN_BYTES)
            + streams_left * stages * _STREAM_BYTES,
            free_bytes=shutil.disk_usage(self.directory).free,
            shards=len(self.part.of_shards(len(self.texts))) * len(stores),
            done=len(self.part.of_shards(len(self.texts))) * len(stores) - self._shards_left(stores),
            work=self._work(stores),
        )

    def run(self, nulls: Iterable[str] = (), progress: Progress | None = None, doing: str = "measuring") -> None:
        """Measure every shard that is not there, of the model and of each null, and compute the statistics.

        It may be killed at any time, and run again; other runs may be at work in the directory, and what they measure
        is not measured here. Of a part no statistics are computed: `finish` does it, once all parts are there.
        `progress` is told, as `doing`, how many positions of one layer, view and mask are measured.
        """
        nulls, progress = checked_nulls(nulls), Progress.of(progress)
        warm_up(wait=True)
        self.begin()
        stores = self._all(nulls)
        progress.step(doing, self._work(stores))
        for store in stores:
            self._measure(store, progress)
        self.end(nulls, progress)

    def begin(self) -> None:
        """Put in order what lies beside the shards: what killed runs had begun, the bank, the vocabulary."""
        with held(self.directory, _PATIENCE):
            work_of(self.directory).clean()
            self._write_vocabulary()
            write_bank(self.directory, self.census)

    def left(self, nulls: Iterable[str] = ()) -> list[ShardTask]:
        """The shards that `run` would measure, in its order."""
        return [
            ShardTask(store.null, index, self.census.shards[index].positions * self._worth(store))
            for store in self._all(checked_nulls(nulls))
            for index in sorted(self._missing(store))
        ]

    def measure_shard(self, piece: ShardTask, patience: float) -> bool:
        """Measure one of them, and whether it is there then; False: for so many seconds another run measures it.

        Texts are read once where the shards of one call after another are further on.
        """
        (store,) = self._stores_of([piece.null])
        with store.making(piece.index, patience) as writing:
            if writing is not None:
                shard, into = self._in_turn.shard(piece.index), self._measuring(piece.null)
                with writing as sink:
                    into(shard, sink)
        return writing is not None or store.has(piece.index)

    def end(self, nulls: Iterable[str], progress: Progress) -> None:
        """What follows the last shard: the statistics, or of a part the sums of its shards put together."""
        if self.part == WHOLE:
            progress.say("computing the statistics")
            self.conclude()
        else:
            progress.say("putting the sums of this part together")
            self.gather(nulls)

    def gather(self, nulls: Iterable[str]) -> None:
        """Put the sums of this part's shards together, so that the end reads none of these."""
        for store in self._all(checked_nulls(nulls)):
            gather(store, self.part.of_shards(len(self.texts)))

    def conclude(self) -> None:
        """Compute the statistics, of the model and of every null that is there as a whole."""
        conclude(self.directory, nulls_there(self.directory, len(self.census.shards)))

    def _write_vocabulary(self) -> None:
        names = self.scope.bench.opened.names
        known = [names[id] for id in range(self.scope.card.vocab_size)]
        write_vocabulary(
            self.directory, [name.label for name in known], [name.sort for name in known], self.census.frequencies
        )

    def _measure(self, store: Store, progress: Progress) -> None:
        """Measure what is not there of the model, or of a null."""
        left = self._work([store])
        if not left:
            return
        if store.null is not None:
            progress.say(f"measuring the null {store.null}")
        before = progress.done
        run_shared(self.texts, store, self._measuring(store.null, progress.advance), self.part)
        progress.advance(before + left - progress.done)  # what other runs have measured meanwhile

    def _measuring(self, null: str | None, tick: Tick = lambda positions: None) -> Callable[[Shard, Sink], None]:
        """What measures a shard of the model, or of a null."""
        network = self._network(null)
        self._make_ready(network.scope)
        banks = self._of_chance(network)

        def into(shard: Shard, sink: Sink) -> None:
            context = self._context(banks, shard.texts, shard.groups)
            measure(network, shard.texts, self.options, context, sink, tick=tick)

        return into

    def _network(self, null: str | None) -> Network:
        """What is measured; of a twin before it nothing is held any more."""
        if self._last is None or self._last.null != null:
            if self._last is not None and self._last.scope is not self.scope:
                self._banks.pop(self._last.null, None)
            self._last = None
            self._last = Network.of(self.scope, null)
        return self._last

    def _make_ready(self, scope: Scope) -> None:
        """What must be there before the first text: the reference isolated, where it is asked for."""
        if "isolated" in self.options.references:
            scope.isolate()

    def _all(self, nulls: Sequence[Null]) -> list[Store]:
        """The model's shards, those of the nulls that are asked for, and of the nulls that are there already."""
        asked = [name for null in nulls for name in variants(null)]
        return self._stores_of([None, *asked, *nulls_there(self.directory, len(self.census.shards))])

    def _stores_of(self, names: Sequence[str | None]) -> list[Store]:
        return [self._stores.setdefault(name, Store(self.directory, name, self._by)) for name in dict.fromkeys(names)]

    def _notes(self, stores: Sequence[Store]) -> Iterator[str]:
        for store in stores:
            for index, fault in store.faults().items():
                yield f"{store.named(index, fault)}: it is measured again."
        census = self.census
        of_genres = None if census.genres is None else census.genres.documents
        yield from filter(None, (same_told(census.same, census.group_count), genres_told(of_genres)))

    def _missing(self, store: Store) -> set[int]:
        """The shards of this run's part that are not measured."""
        return missing(self.texts, store, self.part)

    def _left(self, stores: Sequence[Store]) -> int:
        """Positions that are not measured."""
        return sum(self.census.shards[index].positions for store in stores for index in self._missing(store))

    def _shards_left(self, stores: Sequence[Store]) -> int:
        return sum(len(self._missing(store)) for store in stores)

    def _work(self, stores: Sequence[Store]) -> int:
        """What `run` tells its progress of, in all."""
        return sum(self._left([store]) * self._worth(store) for store in stores)

    def _worth(self, store: Store) -> int:
        """What a position is of that."""
        layers, options = self.scope.card.layers, self.options
        views = layers * len(options.masks) * len(list(options.views()))
        return views + (2 * layers + 1) * len(options.masks) * self._with_stream(store)

    def _with_stream(self, store: Store) -> bool:
        return self.options.stream and has_streams(store.null)

    def _of_chance(self, network: Network) -> tuple[SurveyBank, SurveyBank | None]:
        """The bank, and that of genres."""

        def bank(plan: BankPlan) -> SurveyBank:
            return SurveyBank(plan, partial(texts_of_bank, plan, self.texts.corpus), network, self.options)

        if network.null not in self._banks:
            of_genres = None if self.census.genres is None else self.census.genres.bank
            self._banks[network.null] = bank(self.census.bank), None if of_genres is None else bank(of_genres)
        return self._banks[network.null]

    def _context(
        self, banks: tuple[SurveyBank, SurveyBank | None], texts: Sequence[CorpusText], groups: Sequence[int]
    ) -> Context:
        group_of = {text.number: group for text, group in zip(texts, groups, strict=True)}
        bank, matched = banks
        return Context(self.census.frequencies, self.census.distractors, bank, group_of, self.census.genres, matched)

    def _seconds(self, stores: Sequence[Store], trial: float) -> float | None:
        """Seconds that what is not measured takes, by the first texts and layer 0; when all is ready."""
        with_streams = [one for one in stores if self._with_stream(one)]
        left, streams_left = ((self._shards_left(those), self._left(those)) for those in (stores, with_streams))
        if not left[0]:
            return 0.0
        if not trial:
            return None
        warm_up(wait=True)
        self._make_ready(self.scope)
        context = partial(self._context, self._of_chance(Network(self.scope)))
        paced = partial(pace_of_first, self.scope, self.texts, context, trial / 2)
        seconds = self.scope.card.layers * paced(replace(self.options, stream=False), [0]).seconds(*left)
        return seconds + (paced(self.options, []).seconds(*streams_left) if streams_left[0] else 0.0)


def finish(directory: str | Path, kind: type[Store] = Store) -> None:
    """Compute the statistics of a survey whose parts are all there: no model is needed. `kind`: as its shards are read.

    Raises InputError, naming them, where shards of the model or of a null that was begun are not there.
    """
    where = path_of(directory, "the survey's directory")
    shards = len(survey_manifest(where)["shards"])
    stores = [kind(where), *nulls_begun(where, kind)]
    for store in stores:
        left = [index for index in range(shards) if not store.is_there(index)]
        if left:
            more = f", and {len(left) - _NAMED:,} more" if len(left) > _NAMED else ""
            of = "" if store.null is None else f" of the null {store.null}"
            raise InputError(
                f"{where} is not finished: {len(left):,} of {shards:,} shards{of} are not there "
                f"({', '.join(map(str, left[:_NAMED]))}{more}). Run their parts again: part I/N holds the shards "
                "I−1, I−1+N, I−1+2N and so on."
            )
    conclude(where, [str(store.null) for store in stores[1:]], kind)


def conclude(directory: Path, nulls: Sequence[str], kind: type[Store] = Store) -> None:
    """The statistics, by one run at a time."""
    with held(directory, FOREVER):
        work_of(directory).clean()
        statistics.compute(directory, nulls, kind)
        forget_work(directory)


def _sources(
    paths: Iterable[str | Path], directory: Path, options: SurveyOptions, stream: BinaryIO | None, stack: ExitStack
) -> list[TextFile | ArrivedTexts]:
    paths = in_order(paths, "paths")
    if [str(path) for path in paths].count(STANDARD_INPUT) > 1:
        raise InputError("- is named twice: standard input is read once.")
    sources: list[TextFile | ArrivedTexts] = []
    for path in paths:
        if str(path) == STANDARD_INPUT:
            sources.append(stack.enter_context(arriving(directory, stream)))
        else:
            sources += find_sources([path], options.format)
    if not sources:
        raise InputError("no texts are given: name files, directories, or - for standard input.")
    return sources


def _refuse_other_texts(directory: Path, before: Mapping[str, Any], census: Census) -> None:
    if before["texts"]["sha256"] != census.sha256:
        raise InputError(
            f"{directory} is a survey of other texts than those on standard input, or than what is left of them in "
            f"{directory / KEPT}: give the same ones, or name another directory."
        )
