"""What a model does at the ordinary tokens of several texts: its heads, and its residual stream."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.corpus.texts import CorpusText
from headscope.errors import ModelError
from headscope.model.capture.runner import Text
from headscope.model.feed.positions import Spot
from headscope.model.lengths import alike
from headscope.model.tokens import Token
from headscope.question.choices import Mask
from headscope.question.passage import Passage
from headscope.reading.bench import Bench
from headscope.reading.captured import ids_of
from headscope.reading.patterns import pattern_figures
from headscope.reading.reading import Reading
from headscope.reading.stream import each_stream
from headscope.reading.within import counting, evenly
from headscope.studies.survey import nulls
from headscope.studies.survey.network import Network, room
from headscope.studies.survey.options import SurveyOptions

_BATCH_TOKENS = 2048


@dataclass(frozen=True)
class TextPattern:
    """Attention among a text's ordinary positions i and its tokens j that count, see `reading.within.counting`.

    weights float32 [layer, head, i, j]; sees bool [layer, i, i']: which ordinary positions each may see.
    """

    weights: Tensor
    sees: Tensor


@dataclass(frozen=True)
class Heads:
    """What the heads of some texts did, text by text and position by position; special positions are left out.

    z float32 [layer, token, head, d_head]. `even` [layer, token, kv_head, d_head]: z had the head attended alike to all
    that it may see; heads that share their values have it in common. `figures` float32 [figure, layer, token, head] as
    in `reading.patterns`; `spots` [token]: where each stood, as the model counted it; `patterns` of each text.
    """

    z: Tensor
    even: Tensor
    figures: Tensor
    spots: tuple[Spot, ...]
    patterns: tuple[TextPattern, ...]


def heads_of(
    network: Network,
    texts: Sequence[CorpusText],
    tokens: Sequence[Sequence[Token]],
    options: SurveyOptions,
    mask: Mask,
) -> Heads:
    """Read `texts`, whose `tokens` are known; ModelError where the model computes what is not finite."""
    found = dict(each_text(network, texts, tokens, options, mask))
    whole = [found[n] for n in range(len(texts))]
    return Heads(
        torch.cat([one.z for one in whole], 1),
        torch.cat([one.even for one in whole], 1),
        torch.cat([one.figures for one in whole], 2),
        tuple(itertools.chain(*(one.spots for one in whole))),
        tuple(one.pattern for one in whole),
    )


def each_text(
    network: Network,
    texts: Sequence[CorpusText],
    tokens: Sequence[Sequence[Token]],
    options: SurveyOptions,
    mask: Mask,
) -> Iterator[tuple[int, HeadsOfText]]:
    """The same text by text, each with its place in `texts`, as they are read."""
    card = network.scope.card
    for batch in alike([len(read) for read in tokens], _BATCH_TOKENS):
        contents = [texts[n].content for n in batch]
        # No name for the readings: they would be held beside the next.
        for n, reading in zip(batch, network.read_many(contents, mask, options.truncate), strict=True):
            found = _of_text(reading, options, network.null, texts[n].number)
            if not bool(found.z.isfinite().all()):
                raise ModelError(f"{card.name} computes outputs that are not finite ({card.dtype}): try another dtype.")
            yield n, found


@dataclass(frozen=True)
class HeadsOfText:
    """What the heads did in one text, see `Heads`."""

    z: Tensor
    even: Tensor
    figures: Tensor
    spots: tuple[Spot, ...]
    pattern: TextPattern


def _of_text(reading: Reading, options: SurveyOptions, null: str | None, number: int) -> HeadsOfText:
    card = reading.bench.card
    special = torch.tensor([token.special for token in reading.tokens])
    counts = counting(reading.tokens)
    figures, even, sees = [], [], []
    weights = room((card.layers, card.heads, int((~special).sum()), int(counts.sum())))
    for layer in range(card.layers):
        (pattern, seen), v = reading.attended(layer), reading.v[layer]
        figures.append(pattern_figures(pattern, special)[..., ~special].transpose(1, 2))
        even.append(evenly(seen, v, v.shape[1])[~special])
        weights[layer] = pattern[:, ~special][..., counts]
        sees.append(seen[~special][:, ~special])
    outputs, evened = reading.z[:, ~special], torch.stack(even)
    if null == "uniform":
        outputs = evened.repeat_interleave(card.heads // evened.shape[2], dim=2)
    if null == "rotated":
        turns = nulls.rotations(card.layers, card.heads, card.d_head, options.seed, number)
        evened = evened.repeat_interleave(card.heads // evened.shape[2], dim=2)
        outputs, evened = (torch.einsum("lnhd,lhde->lnhe", one, turns) for one in (outputs, evened))
    spots = tuple(spot for spot, token in zip(reading.spots, reading.tokens, strict=True) if not token.special)
    return HeadsOfText(outputs, evened, torch.stack(figures, 1), spots, TextPattern(weights, torch.stack(sees)))


def streams_of(
    bench: Bench, texts: Sequence[CorpusText], tokens: Sequence[Sequence[Token]], truncate: bool, mask: Mask
) -> list[Tensor]:
    """The streams of texts at their ordinary positions: float32 [stage, token, d_model] each."""
    found = dict(each_stream_of(bench, texts, tokens, truncate, mask))
    return [found[n] for n in range(len(texts))]


def each_stream_of(
    bench: Bench, texts: Sequence[CorpusText], tokens: Sequence[Sequence[Token]], truncate: bool, mask: Mask
) -> Iterator[tuple[int, Tensor]]:
    """The same text by text, each with its place in `texts`, as they are run."""
    contexts = [bench.context(Passage(text.content), truncate=truncate) for text in texts]
    given = [
        Text(ids_of(read), mask, None if context is None else ids_of(context))
        for read, context in zip(tokens, contexts, strict=True)
    ]
    for n, stream in each_stream(bench.opened, given):
        yield n, stream[:, [token.position for token in tokens[n] if not token.special]]
