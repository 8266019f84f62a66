"""A layer's outputs against the vocabulary in one view: nearest, ranks, chance and signal of every head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from headscope.model.feed.positions import Spot
from headscope.neighbors import Moments, Nearest, Table
from headscope.question.choices import Metric
from headscope.studies.survey.frame import ShardFrame
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.signal import Sets
from headscope.vocabulary import Encoded, Vocabulary
from headscope.vocabulary.placed import Encode, Spots, members_of, search_placed


@dataclass(frozen=True)
class Compared:
    """What one metric finds: [token, head] each, on the CPU. Ranks are 0, and chance −1, where there is none."""

    candidates: int
    own_rank: Tensor  # int64
    own_distance: Tensor  # float32
    nearest: Tensor  # int64
    distance: Tensor  # float32
    chance_own_rank: Tensor  # int64
    chance_in_text: Tensor  # int8: 0, 1
    signal: Tensor  # float32, nan


def compare(
    vocabulary: Vocabulary,
    frame: ShardFrame,
    spots: Sequence[Spot],
    sets: Sets,
    z: Tensor,
    options: SurveyOptions,
    space: Any,
    reference: Any,
    layer: int,
) -> dict[Metric, Compared]:
    """Compare z float32 [token, head, d_head] of one layer, under every metric; `spots` [token]: where they stood."""
    device = vocabulary.feed.device
    allowed = vocabulary.names.words.to(device) if options.candidates == "words" else None

    moves = options.position and vocabulary.moves(space)
    # Where the vocabulary is the same everywhere, positions only keep the groups small.
    places: Spots = members_of(spots) if moves else [(None, members) for _, members in frame.places]

    def encode(spot: Spot | None) -> Encoded:
        return vocabulary.encoded(space, reference, layer, spot)

    asked_of = frame.asked_of[:, None]
    answers = search_placed(
        places, encode, z, frame.ids, k=1, others=asked_of, metrics=options.metrics, allowed=allowed
    )
    signals = _signals(places, encode, sets, frame, answers.queries, options.metrics)
    return {
        metric: _compared(frame, answers.nearest[metric], answers.candidates, signals[metric])
        for metric in options.metrics
    }


def _signals(
    places: Spots,
    encode: Encode,
    sets: Sets,
    frame: ShardFrame,
    queries: Sequence[Tensor],
    metrics: Sequence[Metric],
) -> dict[Metric, Tensor]:
    """Signal [token, head]; `queries`: place by place."""
    # The shard's own outputs are the bank that corrects for hubs: then its figures depend on no other shard.
    bank = torch.cat(list(queries))
    bank = bank if len(bank) > 1 else bank.repeat(2, 1, 1)  # a bank of one tells nothing: every score is 0
    moments = {metric: Moments.of(metric, bank).in_float32() for metric in metrics}
    ids = sets.types.to(bank.device)
    signals: dict[Metric, list[Tensor]] = {metric: [] for metric in metrics}
    table: Table | None = None
    rows = torch.empty(0)
    for (spot, members), z in zip(places, queries, strict=True):
        encoded = encode(spot)
        if encoded.table is not table:  # gathered once: places mostly share their table
            table, rows = encoded.table, encoded.table.rows[:, ids]
        here = table.placed(rows.clone(), encoded.place, ids)
        for metric in metrics:
            signals[metric].append(sets.signals(moments[metric].scores(here, z), frame.text[members]).cpu())
    back = torch.cat([members for _, members in places]).argsort()  # from the order of places to that of the frame
    return {metric: torch.cat(parts)[back] for metric, parts in signals.items()}


def _compared(frame: ShardFrame, answers: Nearest, candidates: int, signal: Tensor) -> Compared:
    assert answers.other_ranks is not None, "the tokens of partners were asked for"
    nearest, others = answers.ids[..., 0], answers.other_ranks[..., 0]
    paired = frame.partner >= 0
    partner = frame.partner.clamp_min(0)
    # Each output was also asked for the own token of the one that it is the partner of; so what the partner was asked
    # for is this token, and its answer is this token's chance.
    return Compared(
        candidates=candidates,
        own_rank=answers.own_rank,
        own_distance=answers.own_distance,
        nearest=nearest,
        distance=answers.distances[..., 0],
        chance_own_rank=torch.where(paired[:, None], others[partner], 0),
        chance_in_text=torch.where(paired[:, None], frame.in_text(nearest[partner]), False).to(torch.int8),
        signal=signal,
    )
