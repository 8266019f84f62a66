"""A shard's residual streams: rank of and cosine to every token's own input embedding, stage by stage, with chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from headscope.keep.allocator import give_back
from headscope.model.feed.positions import Spot
from headscope.model.tokens import Token
from headscope.question.choices import Mask
from headscope.reading.stream import Walk, walk
from headscope.studies.survey.bank import BankVectors
from headscope.studies.survey.frame import ShardFrame
from headscope.studies.survey.heads import streams_of
from headscope.studies.survey.options import SurveyOptions

if TYPE_CHECKING:
    from headscope.scope import Scope

NEAREST = 100  # whose overlap is taken; all, in a smaller vocabulary
_BYTES = 2**25  # of the streams that are held at a time


class HeldStreams(NamedTuple):
    """Streams, and int64 [token, ASKED] which of them each token asks."""

    bank: BankVectors
    asked: Tensor


@dataclass(frozen=True)
class StreamsByChance:
    """The same questions of the streams that a token is held against, at each stage: [stage, token, asked] each."""

    rank: Tensor  # int64
    cosine: Tensor  # float32, nan where there is none


@dataclass(frozen=True)
class Walked:
    """What the streams of a frame's tokens are like: [stage, token] each, on the CPU. Ranks are 0 where there is none.

    `chance`: by other documents; `matched`: by those of the same genre, None where there is none.
    """

    rank: Tensor  # int64
    cosine: Tensor  # float32
    norm: Tensor  # float32
    overlap_before: Tensor  # float32, nan at stage 0
    overlap_input: Tensor  # float32
    chance: StreamsByChance
    matched: StreamsByChance | None
    candidates: int  # how many tokens are ranked


def walked(
    scope: Scope,
    frame: ShardFrame,
    spots: Sequence[Spot],
    tokens: Sequence[Sequence[Token]],
    options: SurveyOptions,
    mask: Mask,
    bank: BankVectors,
    matched: HeldStreams | None,
    tick: Callable[[int], None] = lambda positions: None,
) -> Walked:
    """Walk every token of the frame through the model, some texts at a time; `spots` [token]: where they stood.

    The banks are walked with it, to be asked for the frame's tokens.
    """
    bench = scope.bench
    bench.opened.prove_mask(mask)
    vocabulary = bench.vocabulary
    candidates = vocabulary.arriving(None).table.candidates
    placed = options.position and vocabulary.has_positions
    parts: list[Walk] = []
    for chunk, members in _chunks(frame, _BYTES // (4 * scope.card.d_model * (2 * scope.card.layers + 1))):
        texts, read = [frame.texts[n] for n in chunk], [tokens[n] for n in chunk]
        together = torch.cat(streams_of(bench, texts, read, options.truncate, mask), 1)  # (stage, token, d_model)
        give_back()
        parts.append(
            walk(
                vocabulary,
                together,
                frame.ids[members],
                [spots[n] for n in members.tolist()] if placed else None,
                k=min(NEAREST, candidates),
            )
        )
        tick(together.shape[0] * together.shape[1])

    def whole(of: Callable[[Walk], Tensor]) -> Tensor:
        return torch.cat([of(part) for part in parts], 1)

    def by_chance(held: HeldStreams) -> StreamsByChance:
        bank, asked = held
        against = frame.against(asked, len(bank))
        of_bank = walk(vocabulary, bank.vectors, bank.ids, bank.spots if placed else None, k=1, others=against.targets)

        def placed_at(of: Tensor, none: float) -> Tensor:
            found = torch.full((len(of), *asked.shape), none, dtype=of.dtype)
            found[:, against.token, against.slot] = of[:, against.output, against.column]
            return found

        return StreamsByChance(placed_at(of_bank.other_rank, 0), placed_at(of_bank.other_cosine, torch.nan))

    before = whole(lambda part: part.overlap_before)
    return Walked(
        rank=whole(lambda part: part.rank),
        cosine=whole(lambda part: part.cosine),
        norm=whole(lambda part: part.norm),
        overlap_before=torch.cat([torch.full_like(before[:1], torch.nan), before]),
        overlap_input=whole(lambda part: part.overlap_input),
        chance=by_chance(HeldStreams(bank, frame.asked)),
        matched=None if matched is None else by_chance(matched),
        candidates=candidates,
    )


def _chunks(frame: ShardFrame, size: int) -> Iterator[tuple[list[int], Tensor]]:
    """Texts one after another, with the indices of their tokens, so that no chunk but of one text is above `size`."""
    lengths = torch.bincount(frame.text, minlength=len(frame.texts)).tolist()
    texts: list[int] = []
    start = stop = 0
    for n, length in enumerate(lengths):
        if texts and stop + length - start > size:
            yield texts, torch.arange(start, stop)
            texts, start = [], stop
        texts.append(n)
        stop += length
    yield texts, torch.arange(start, stop)
