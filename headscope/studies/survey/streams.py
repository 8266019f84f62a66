"""A shard's residual streams: rank of and cosine to every token's own input embedding, stage by stage, with chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from headscope.model.capture.passes import Mask
from headscope.model.feed.positions import Spot
from headscope.model.tokens import Token
from headscope.reading.stream import Walk, streams, walk
from headscope.studies.survey.frame import ShardFrame
from headscope.studies.survey.options import SurveyOptions

if TYPE_CHECKING:
    from headscope.scope import Scope

NEAREST = 100  # whose overlap is taken; all, in a smaller vocabulary
_BYTES = 2**27  # of the streams that are held at a time


@dataclass(frozen=True)
class Walked:
    """What the streams of a frame's tokens are like: [stage, token] each, on the CPU. Ranks are 0 where there is none.

    Chance is the same question asked of the partner's stream at the same stage.
    """

    rank: Tensor  # int64
    cosine: Tensor  # float32
    norm: Tensor  # float32
    overlap_before: Tensor  # float32, nan at stage 0
    overlap_input: Tensor  # float32
    chance_rank: Tensor  # int64
    chance_cosine: Tensor  # float32, nan without a partner
    candidates: int  # how many tokens are ranked


def walked(
    scope: Scope,
    frame: ShardFrame,
    spots: Sequence[Spot],
    tokens: Sequence[Sequence[Token]],
    options: SurveyOptions,
    mask: Mask,
    tick: Callable[[int], None] = lambda positions: None,
) -> Walked:
    """Walk every token of the frame through the model, some texts at a time; `spots` [token]: where they stood."""
    opened = scope._opened
    opened.prove_mask(mask)
    vocabulary = scope._vocabulary_for(opened)
    candidates = vocabulary.arriving(None).table.candidates
    placed = options.position and vocabulary.has_positions
    parts: list[Walk] = []
    for chunk, members in _chunks(frame, _BYTES // (4 * scope.card.d_model * (2 * scope.card.layers + 1))):
        found = streams(opened, *_read(scope, frame, tokens, options.truncate, chunk, mask))
        ours = [
            stream[:, [token.position for token in tokens[n] if not token.special]]
            for n, stream in zip(chunk, found, strict=True)
        ]
        together = torch.cat(ours, 1)  # (stage, token, d_model)
        parts.append(
            walk(
                vocabulary,
                together,
                frame.ids[members],
                [spots[n] for n in members.tolist()] if placed else None,
                k=min(NEAREST, candidates),
                others=frame.asked_of[members],
            )
        )
        tick(together.shape[0] * together.shape[1])

    def whole(of: Callable[[Walk], Tensor]) -> Tensor:
        return torch.cat([of(part) for part in parts], 1)

    partner = frame.partner.clamp_min(0)
    paired = frame.partner >= 0
    before = whole(lambda part: part.overlap_before)
    return Walked(
        rank=whole(lambda part: part.rank),
        cosine=whole(lambda part: part.cosine),
        norm=whole(lambda part: part.norm),
        overlap_before=torch.cat([torch.full_like(before[:1], torch.nan), before]),
        overlap_input=whole(lambda part: part.overlap_input),
        chance_rank=torch.where(paired, whole(lambda part: part.other_rank)[:, partner], 0),
        chance_cosine=torch.where(paired, whole(lambda part: part.other_cosine)[:, partner], torch.nan),
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


def _read(
    scope: Scope, frame: ShardFrame, tokens: Sequence[Sequence[Token]], truncate: bool, chunk: Sequence[int], mask: Mask
) -> tuple[list[list[int]], Mask, list[list[int]] | None]:
    """What the model reads of some texts: ids, mask, and what an encoder reads for a decoder."""
    opened = scope._opened
    ids = [[token.id for token in tokens[n]] for n in chunk]
    if opened.stack.encoder is None:
        return ids, mask, None
    contexts = [scope._tokens(opened, frame.texts[n].content, None, truncate)[0] for n in chunk]
    return ids, mask, [[token.id for token in context] for context in contexts]
