"""A layer's outputs against the vocabulary in one view: nearest, ranks, chance and signal of every head."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from headscope.model.feed.positions import Spot
from headscope.neighbors import Nearest, Table
from headscope.question.choices import Metric
from headscope.studies.survey.frame import Frame
from headscope.studies.survey.options import Options
from headscope.studies.survey.scorer import Scorer
from headscope.studies.survey.signal import Sets
from headscope.vocabulary import Encoded, Vocabulary
from headscope.vocabulary.placed import members_of, placed


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
    frame: Frame,
    spots: Sequence[Spot],
    sets: Sets,
    z: Tensor,
    options: Options,
    space: Any,
    reference: Any,
    layer: int,
) -> dict[Metric, Compared]:
    """Compare z float32 [token, head, d_head] of one layer, under every metric; `spots` [token]: where they stood."""
    device = vocabulary.feed.device
    allowed = vocabulary.names.words.to(device) if options.candidates == "words" else None

    moves = options.position and vocabulary.moves(space)
    # Where the vocabulary is the same everywhere, positions only keep the groups small.
    places = members_of(spots) if moves else [(None, members) for _, members in frame.places]

    def encodings() -> Iterator[tuple[Tensor, Encoded]]:
        for spot, members in places:
            yield members, vocabulary.encoded(space, reference, layer, spot)

    found: list[dict[Metric, Nearest]] = []
    order: list[Tensor] = []
    queries: list[Tensor] = []
    candidates = 0
    for run in placed(encodings(), z):
        found.append(run.search(frame.ids, frame.asked_of, k=1, metrics=options.metrics, candidates=allowed))
        order.append(run.which)
        queries += run.queries
        candidates = run.table.candidates if allowed is None else int((run.table.finite & allowed).sum())
    back = torch.cat(order).argsort()  # from the order of places to that of the frame
    signals = _signals(encodings(), sets, frame, queries, options.metrics)
    return {
        metric: _compared(frame, [one[metric] for one in found], back, candidates, signals[metric][back])
        for metric in options.metrics
    }


def _signals(
    encodings: Iterator[tuple[Tensor, Encoded]],
    sets: Sets,
    frame: Frame,
    queries: Sequence[Tensor],
    metrics: Sequence[Metric],
) -> dict[Metric, Tensor]:
    """Signal [token, head] in the order of places; the shard's own outputs are the bank that corrects for hubs."""
    bank = torch.cat(list(queries))
    scorers = {metric: Scorer.of(metric, bank) for metric in metrics}
    ids = sets.types.to(bank.device)
    signals: dict[Metric, list[Tensor]] = {metric: [] for metric in metrics}
    table: Table | None = None
    rows = torch.empty(0)
    for (members, encoded), z in zip(encodings, queries, strict=True):
        if encoded.table is not table:
            table, rows = encoded.table, encoded.table.rows[:, ids]
        here = _at(rows, ids, encoded)
        for metric, scorer in scorers.items():
            signals[metric].append(sets.signals(scorer.scores(z, here), frame.text[members]).cpu())
    return {metric: torch.cat(found) for metric, found in signals.items()}


def _at(rows: Tensor, ids: Tensor, encoded: Encoded) -> Tensor:
    """Encodings of a few tokens at a place, float32 [head, token, width], from their rows of the table."""
    place = encoded.place
    if place.shift is not None:
        rows = rows + place.shift[:, None]
    if place.scale is not None:
        rows = rows * place.scale[ids, None]
    return rows + encoded.table.bias_at(place)[:, None]


def _compared(frame: Frame, parts: list[Nearest], back: Tensor, candidates: int, signal: Tensor) -> Compared:
    def whole(name: str) -> Tensor:
        return torch.cat([getattr(part, name) for part in parts]).cpu()[back]

    nearest, others = whole("ids")[..., 0], whole("other_ranks")[..., 0]
    paired = frame.partner >= 0
    partner = frame.partner.clamp_min(0)
    return Compared(
        candidates=candidates,
        own_rank=whole("own_rank"),
        own_distance=whole("own_distance"),
        nearest=nearest,
        distance=whole("distances")[..., 0],
        chance_own_rank=torch.where(paired[:, None], others[partner], 0),
        chance_in_text=torch.where(paired[:, None], frame.in_text(nearest[partner]), False).to(torch.int8),
        signal=signal,
    )
