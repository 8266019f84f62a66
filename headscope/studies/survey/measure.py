"""The work of one shard: texts in, tables out. The same function in one process or anywhere else."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headscope.corpus.tags import tagged
from headscope.corpus.texts import CorpusText
from headscope.errors import ModelError
from headscope.model.feed.positions import Spot
from headscope.model.lengths import alike
from headscope.model.tokens import Token
from headscope.question.choices import Mask, Metric
from headscope.reading.patterns import pattern_figures
from headscope.reading.stream import stages_of
from headscope.studies.survey import nulls, tables
from headscope.studies.survey.compare import Compared, compare
from headscope.studies.survey.frame import ShardFrame
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.signal import Sets
from headscope.studies.survey.store import Sink
from headscope.studies.survey.streams import walked

if TYPE_CHECKING:
    from headscope.scope import Scope

_BATCH_TOKENS = 2048
Tick = Callable[[int], None]  # told how many positions of one layer, view and mask were measured


@dataclass(frozen=True)
class Context:
    """What a shard needs to know of the whole survey: how often each id stands in it, and other texts' types."""

    frequencies: NDArray[np.int64]
    bank: tuple[tuple[int, NDArray[np.int64]], ...]
    groups: dict[int, int]  # text number → group


@dataclass(frozen=True)
class Heads:
    """What the heads of a shard did at its tokens, under one mask, in the frame's order.

    z float32 [layer, token, head, d_head]; pattern float32 [figure, layer, token, head], figures as in
    `reading.patterns`; spots [token]: where each stood, as the model counted it.
    """

    z: Tensor
    pattern: Tensor
    spots: tuple[Spot, ...]


def measure(
    scope: Scope,
    texts: Sequence[CorpusText],
    options: SurveyOptions,
    context: Context,
    sink: Sink,
    *,
    null: str | None = None,
    layers: Sequence[int] | None = None,
    tick: Tick = lambda positions: None,
) -> None:
    """Measure a shard's texts, and hand its tables to `sink`; `layers` None: all.

    The figures depend on these arguments alone: not on other shards, nor on what ran before.
    """
    tokens = [scope.tokens(text.content, truncate=options.truncate) for text in texts]
    names = scope.bench.opened.names

    def labelled(number: int, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        if null != "labels":
            return ids
        return nulls.permuted_labels(context.frequencies, options.seed, number)[ids]

    frame = ShardFrame.of(texts, tokens, labelled, names.surfaces, options.seed)
    sets = Sets.draw(
        [(text.number, types) for text, types in zip(texts, frame.types, strict=True)],
        [(number, np.unique(labelled(number, ids))) for number, ids in context.bank],
        options.seed,
    )
    sink.texts(tables.texts(texts, context.groups))
    sink.tokens(
        tables.tokens(
            frame,
            [
                (token, tag, word_class)
                for text, read in zip(texts, tokens, strict=True)
                for token, (tag, word_class) in zip(read, tagged(text, read), strict=True)
                if not token.special
            ],
            context.frequencies,
        )
    )
    chosen = range(scope.card.layers) if layers is None else layers
    for mask in options.masks:
        heads = _heads(scope, texts, tokens, options, mask, null)
        for layer in chosen:
            sink.patterns(tables.patterns(frame, layer, mask, heads.pattern[:, layer]))
        first: dict[str, dict[Metric, Compared]] = {}
        for space, reference in options.views():
            for metric, layer, compared in _compared(
                scope, frame, sets, heads, options, space, reference, chosen, first, tick
            ):
                sink.rows(tables.rows(frame, layer, space, reference, metric, mask, compared))
        if options.stream and nulls.moves_streams(null):
            streams = walked(scope, frame, heads.spots, tokens, options, mask, tick)
            for number, stage in enumerate(stages_of(scope.card.layers)):
                sink.stream(tables.stream(frame, number, stage, mask, streams))


def _compared(
    scope: Scope,
    frame: ShardFrame,
    sets: Sets,
    heads: Heads,
    options: SurveyOptions,
    space: str,
    reference: str | None,
    layers: Sequence[int],
    first: dict[str, dict[Metric, Compared]],
    tick: Tick,
) -> Iterator[tuple[Metric, int, Compared]]:
    """Every metric and layer of one view, a metric's layers after one another.

    `first` keeps what layer 0 is in each space: there the references `input` and `layer` are the same encodings.
    """
    # All metrics come from one search of a layer, and the file has a metric's layers in a row: the others' wait.
    later: list[tuple[Metric, int, Compared]] = []
    for layer in layers:
        same = layer == 0 and reference in ("input", "layer")
        if same and space in first:
            by_metric = first[space]
        else:
            vocabulary = scope.bench.vocabulary
            by_metric = compare(vocabulary, frame, heads.spots, sets, heads.z[layer], options, space, reference, layer)
        if same:
            first[space] = by_metric
        tick(len(frame))
        yield options.metrics[0], layer, by_metric[options.metrics[0]]
        later += [(metric, layer, by_metric[metric]) for metric in options.metrics[1:]]
    for metric in options.metrics[1:]:
        yield from (waiting for waiting in later if waiting[0] == metric)


def _heads(
    scope: Scope,
    texts: Sequence[CorpusText],
    tokens: Sequence[Sequence[Token]],
    options: SurveyOptions,
    mask: Mask,
    null: str | None,
) -> Heads:
    card = scope.card
    z: list[Tensor] = [torch.empty(0)] * len(texts)
    pattern: list[Tensor] = [torch.empty(0)] * len(texts)
    spots: list[tuple[Spot, ...]] = [()] * len(texts)
    for batch in alike([len(read) for read in tokens], _BATCH_TOKENS):
        readings = scope.read_many([texts[n].content for n in batch], mask, truncate=options.truncate)
        for n, reading in zip(batch, readings, strict=True):
            special = torch.tensor([token.special for token in tokens[n]])
            weights = [reading.pattern_of(layer) for layer in range(card.layers)]
            outputs = reading.z
            if null == "uniform":
                outputs = torch.stack([nulls.uniform(w, v) for w, v in zip(weights, reading.v, strict=True)])
            z[n] = outputs[:, ~special]
            if null == "rotated":
                turns = nulls.rotations(card.layers, card.heads, card.d_head, options.seed, texts[n].number)
                z[n] = torch.einsum("lnhd,lhde->lnhe", z[n], turns)
            pattern[n] = torch.stack([_of_ordinary(w, special) for w in weights], 1)
            spots[n] = tuple(spot for spot, token in zip(reading.spots, tokens[n], strict=True) if not token.special)
    all_z = torch.cat(z, 1)
    if not bool(all_z.isfinite().all()):
        raise ModelError(f"{card.name} computes outputs that are not finite ({card.dtype}): try another dtype.")
    return Heads(all_z, torch.cat(pattern, 2), tuple(itertools.chain(*spots)))


def _of_ordinary(pattern: Tensor, special: Tensor) -> Tensor:
    """The figures of a pattern at the tokens that are not special: float32 [figure, token, head]."""
    return pattern_figures(pattern, special)[..., ~special].transpose(1, 2)
