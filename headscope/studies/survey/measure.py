"""The work of one shard: texts in, tables out. The same function in one process or anywhere else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headscope.corpus.genres import Genres, TextTypes
from headscope.corpus.tags import tagged
from headscope.corpus.texts import CorpusText
from headscope.keep.allocator import give_back
from headscope.model.tokens import Token
from headscope.question.choices import Metric
from headscope.reading.stream import stages_of
from headscope.reading.words import WordClass
from headscope.show.progress import Tick
from headscope.studies.survey import nulls, tables
from headscope.studies.survey.bank import SurveyBank
from headscope.studies.survey.compare import Compared, Held, View, compare
from headscope.studies.survey.frame import Of, ShardFrame
from headscope.studies.survey.heads import Heads, heads_of
from headscope.studies.survey.network import Network
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.signal import SIZED, Sets
from headscope.studies.survey.store import Sink
from headscope.studies.survey.streams import HeldStreams, walked


@dataclass(frozen=True)
class Context:
    """What a shard needs to know of the whole survey.

    How often each id stands in it, texts whose types are distractors, the bank, and of every text of the shard, by its
    number, the group that it belongs to. `genres` and their bank, `matched`: None where no genre has enough documents.
    """

    frequencies: NDArray[np.int64]
    distractors: tuple[TextTypes, ...]
    bank: SurveyBank
    groups: dict[int, int]
    genres: Genres | None = None
    matched: SurveyBank | None = None


def measure(
    network: Network,
    texts: Sequence[CorpusText],
    options: SurveyOptions,
    context: Context,
    sink: Sink,
    *,
    layers: Sequence[int] | None = None,
    tick: Tick = lambda positions: None,
) -> None:
    """Measure a shard's texts, and hand its tables to `sink`; `layers` None: all.

    `tick` is told how many positions of one layer, view and mask were measured. The figures depend on these
    arguments alone: not on other shards, nor on what ran before.
    """
    scope, null = network.scope, network.null
    tokens = [scope.tokens(text.content, truncate=options.truncate) for text in texts]
    names = scope.bench.opened.names

    def labelled(number: int, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        if null != "labels":
            return ids
        return nulls.permuted_labels(context.frequencies, options.seed, number)[ids]

    def asked(number: int, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        return context.bank.plan.asked(number, context.groups[number], positions, options.seed)

    genre_of = {text.number: text.genre for text in texts}

    def of_genre(number: int, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        assert context.genres is not None
        return context.genres.asked(number, context.groups[number], genre_of[number], positions, options.seed)

    frame = ShardFrame.of(texts, tokens, labelled, names.surfaces, asked, None if context.matched is None else of_genre)
    sets, matched_sets = _sets(frame, context, options.seed, labelled)
    sink.texts(tables.texts(texts, context.groups))
    sink.tokens(tables.tokens(frame, _classed(texts, tokens), context.frequencies))
    chosen = range(scope.card.layers) if layers is None else layers
    lent = None if context.matched is None or frame.matched is None else (context.matched, *used(frame.matched))
    for mask in options.masks:
        heads = heads_of(network, texts, tokens, options, mask)
        held, matched, by_genre = Held(context.bank.heads(mask), frame.asked, sets), None, None
        if lent is not None and matched_sets is not None:
            bank, outputs, of_outputs = lent
            matched = Held(bank.heads(mask).those(outputs), of_outputs, matched_sets)
        give_back()
        for layer in chosen:
            sink.patterns(tables.patterns(frame, layer, mask, heads.figures[:, layer]))
        first: dict[str, dict[Metric, Compared]] = {}
        for space, reference in options.views():
            views = [View(scope.bench.vocabulary, options, space, reference, layer) for layer in chosen]
            for metric, layer, compared in _compared(views, frame, heads, (held, matched), first, tick):
                sink.rows(tables.rows(frame, layer, space, reference, metric, mask, compared))
        if options.stream and nulls.has_streams(null):
            if lent is not None:
                bank, outputs, of_outputs = lent
                by_genre = HeldStreams(bank.streams(mask).those(outputs), of_outputs)
            streams = walked(
                scope, frame, heads.spots, tokens, options, mask, context.bank.streams(mask), by_genre, tick
            )
            for number, stage in enumerate(stages_of(scope.card.layers)):
                sink.stream(tables.stream(frame, number, stage, mask, streams))


def _classed(
    texts: Sequence[CorpusText], tokens: Sequence[Sequence[Token]]
) -> list[tuple[Token, str | None, WordClass]]:
    """The ordinary tokens of texts, each with its tag and its class."""
    return [
        (token, tag, word_class)
        for text, read in zip(texts, tokens, strict=True)
        for token, (tag, word_class) in zip(read, tagged(text, read), strict=True)
        if not token.special
    ]


def used(asked: Tensor) -> tuple[Tensor, Tensor]:
    """The outputs that a shard asks, and which of these each token asks, like `asked`: a shard has few genres."""
    used, back = torch.unique(asked.clamp_min(0), return_inverse=True)
    return used, torch.where(asked < 0, -1, back)


def _sets(
    frame: ShardFrame, context: Context, seed: int, labelled: Of
) -> tuple[tuple[Sets, Sets], tuple[Sets, Sets] | None]:
    """The sets of Token Signal, of free size and of the stated one; and those of each text's genre."""
    texts = [
        TextTypes(text.number, context.groups[text.number], types)
        for text, types in zip(frame.texts, frame.types, strict=True)
    ]

    def called(some: Sequence[TextTypes]) -> list[TextTypes]:
        return [TextTypes(text, document, np.unique(labelled(text, types))) for text, document, types in some]

    distractors = called(context.distractors)
    sets = Sets.draw(texts, distractors, seed), Sets.draw(texts, distractors, seed, SIZED)
    if context.genres is None or context.matched is None:
        return sets, None
    genres = [text.genre for text in frame.texts]
    known = {name: called(some) for name, some in context.genres.distractors.items() if name in genres}
    pool = [one for some in known.values() for one in some]
    of = np.array([name for name, some in known.items() for _ in some], dtype=object)
    among = of == np.array(genres, dtype=object)[:, None]
    return sets, (Sets.draw(texts, pool, seed, None, among), Sets.draw(texts, pool, seed, SIZED, among))


def _compared(
    views: Sequence[View],
    frame: ShardFrame,
    heads: Heads,
    held: tuple[Held, Held | None],
    first: dict[str, dict[Metric, Compared]],
    tick: Tick,
) -> Iterator[tuple[Metric, int, Compared]]:
    """Every metric and layer of one view, a metric's layers after one another; `views`: one for each layer.

    `first` keeps what layer 0 is in each space: there the references `input` and `layer` are the same encodings.
    """
    # All metrics come from one search of a layer, and the file has a metric's layers in a row: the others' wait.
    later: list[tuple[Metric, int, Compared]] = []
    for view in views:
        layer, metrics = view.layer, view.options.metrics
        same = layer == 0 and view.reference in ("input", "layer")
        known = first.get(view.space) if same else None
        by_metric = compare(view, frame, heads, *held) if known is None else known
        give_back()  # what a layer needed lay between what stays, and the next would take room of its own
        if same:
            first[view.space] = by_metric
        tick(len(frame))
        yield metrics[0], layer, by_metric[metrics[0]]
        later += [(metric, layer, by_metric[metric]) for metric in metrics[1:]]
    for metric in views[0].options.metrics[1:] if views else ():
        yield from (waiting for waiting in later if waiting[0] == metric)
