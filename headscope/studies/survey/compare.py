"""A layer's outputs against the vocabulary in one view: nearest, ranks, chance, signal, and what is written where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from headscope.inference.ranks import auc
from headscope.model.feed.positions import Spot
from headscope.neighbors import Moments, Nearest, Table
from headscope.question.choices import Metric
from headscope.reading.within import Shown, shown
from headscope.studies.survey.bank import BankVectors
from headscope.studies.survey.frame import Against, ShardFrame
from headscope.studies.survey.heads import Heads, TextPattern
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.signal import Sets
from headscope.vocabulary import Encoded, Vocabulary
from headscope.vocabulary.placed import Encode, Found, Spots, members_of, search_placed


@dataclass(frozen=True)
class Held:
    """What a shard's tokens are held against: outputs, and sets of types, of other documents.

    `asked` int64 [token, ASKED]: which of the bank's outputs each token asks; −1: none. `sets` are of free and of
    stated size.
    """

    bank: BankVectors
    asked: Tensor
    sets: tuple[Sets, Sets]


@dataclass(frozen=True)
class ByChance:
    """What one metric finds of that: `own_rank` int64 and `in_text` bool [token, head, asked], the same questions of
    the outputs that the token is held against, `none` where there is none; and Token Signal float32 [token, head]."""

    own_rank: Tensor
    in_text: Tensor
    none: Tensor
    signal: Tensor
    signal_sized: Tensor


@dataclass(frozen=True)
class Compared:
    """What one metric finds: [token, head] each, on the CPU. Ranks are 0 where there is none; other numbers nan.

    Where all tokens tie `distance` is nan, too, and the nearest is none.

    `chance`: by other documents; `matched`: by those of the same genre, None where there is none. `within` and `even`
    [head, token]: what is written where, see `reading.within`, by the heads and had they attended evenly, weighted by
    the attention that they paid.
    """

    candidates: int
    own_rank: Tensor  # int64
    own_distance: Tensor  # float32
    nearest: Tensor  # int64
    distance: Tensor  # float32
    chance: ByChance
    matched: ByChance | None
    within: Shown
    even: Shown


@dataclass(frozen=True)
class View:
    """One view of the vocabulary, at one layer."""

    vocabulary: Vocabulary
    options: SurveyOptions
    space: Any
    reference: Any
    layer: int

    def encode(self, spot: Spot | None) -> Encoded:
        """The vocabulary as it is at a place."""
        return self.vocabulary.encoded(self.space, self.reference, self.layer, spot)

    @property
    def moves(self) -> bool:
        """Whether it is another one at every place."""
        return self.options.position and self.vocabulary.moves(self.space)

    def search(self, places: Spots, vectors: Tensor, own: Tensor, others: Tensor) -> Found:
        """The nearest token of every vector, and the ranks of its own and other tokens."""
        device = self.vocabulary.feed.device
        self.vocabulary.expect(self.space, self.reference, self.layer, [spot for spot, _ in places])
        allowed = self.vocabulary.names.words.to(device) if self.options.candidates == "words" else None
        return search_placed(
            places, self.encode, vectors, own, k=1, others=others, metrics=self.options.metrics, allowed=allowed
        )


def compare(
    view: View, frame: ShardFrame, heads: Heads, held: Held, matched: Held | None = None
) -> dict[Metric, Compared]:
    """Compare the outputs of a layer with the vocabulary, under every metric; `matched`: of each text's genre."""
    layer = view.layer
    # Where the vocabulary is the same everywhere, positions only keep the groups small.
    places: Spots = members_of(heads.spots) if view.moves else [(None, members) for _, members in frame.places]
    against, of_bank = _asked(view, frame, held)
    answers = view.search(places, heads.z[layer], frame.ids, frame.targets)
    even = heads.even[layer]
    if view.encode(places[0][0]).aim is not None:  # each head has its own way there, also where values are shared
        even = even.repeat_interleave(heads.z.shape[2] // even.shape[1], dim=1)
    evenly = view.search(places, even, frame.ids, frame.targets)

    def by_chance(one: Held, pairs: Against, found: Found) -> dict[Metric, ByChance]:
        # Hubs are those of the bank of all documents, whatever a text is told apart from.
        metrics = view.options.metrics
        signals = _signals(places, view.encode, one.sets, frame, answers.queries, of_bank.queries, metrics)
        for name, some in signals.items():
            for signal in some:
                signal[answers.nearest[name].tied] = torch.nan
        return {name: _by_chance(frame, one.asked, pairs, found.nearest[name], signals[name]) for name in metrics}

    chance = by_chance(held, against, of_bank)
    of_genre = None if matched is None else by_chance(matched, *_asked(view, frame, matched))
    return {
        metric: _compared(
            answers.candidates,
            answers.nearest[metric],
            chance[metric],
            None if of_genre is None else of_genre[metric],
            *(
                _within(frame, heads.patterns, layer, found.nearest[metric], answers.candidates)
                for found in (answers, evenly)
            ),
        )
        for metric in view.options.metrics
    }


def _asked(view: View, frame: ShardFrame, held: Held) -> tuple[Against, Found]:
    """Who asks which output, and what is found of these."""
    bank = held.bank
    places: Spots = members_of(bank.spots) if view.moves else [(None, torch.arange(len(bank)))]
    against = frame.against(held.asked, len(bank))
    return against, view.search(places, bank.vectors[view.layer], bank.ids, against.targets)


def _signals(
    places: Spots,
    encode: Encode,
    sets: Sequence[Sets],
    frame: ShardFrame,
    queries: Sequence[Tensor],
    of_bank: Sequence[Tensor],
    metrics: Sequence[Metric],
) -> dict[Metric, list[Tensor]]:
    """Signal [token, head] by each of `sets`, which have the same types; `queries`: place by place."""
    bank = torch.cat(list(of_bank))
    bank = bank if len(bank) > 1 else bank.repeat(2, 1, 1)  # a bank of one tells nothing: every score is 0
    moments = {metric: Moments.of(metric, bank).in_float32() for metric in metrics}
    ids = sets[0].types.to(bank.device)
    signals: dict[Metric, list[list[Tensor]]] = {metric: [[] for _ in sets] for metric in metrics}
    table: Table | None = None
    rows = torch.empty(0)
    for (spot, members), z in zip(places, queries, strict=True):
        encoded = encode(spot)
        if encoded.table is not table:  # gathered once: places mostly share their table
            table, rows = encoded.table, encoded.table.rows[:, ids]
        here = table.placed(rows.clone(), encoded.place, ids)
        for metric in metrics:
            scores = moments[metric].scores(here, z)
            for found, some in zip(signals[metric], sets, strict=True):
                found.append(some.signals(scores, frame.text[members]).cpu())
    back = torch.cat([members for _, members in places]).argsort()  # from the order of places to that of the frame
    return {metric: [torch.cat(parts)[back] for parts in found] for metric, found in signals.items()}


def _within(frame: ShardFrame, patterns: Sequence[TextPattern], layer: int, answers: Nearest, candidates: int) -> Shown:
    """What is written where, text by text: [head, token]."""
    ranks = answers.other_ranks
    assert ranks is not None, "the tokens that count were asked for"
    aucs = torch.where(ranks > 0, auc(ranks.double(), candidates), torch.nan).float()  # (token, head, target)
    found = []
    for here, pattern in zip(frame.stretches, patterns, strict=True):
        counts, weights = frame.counts[here], pattern.weights[layer]
        of_text = aucs[here].transpose(0, 1)[..., : int(counts.sum())]
        of_text = of_text.repeat_interleave(len(weights) // len(of_text), dim=0)  # (H, i, j)
        found.append(
            shown(
                _spread(of_text, counts, torch.nan),
                _spread(weights, counts, 0.0),
                pattern.sees[layer],
                counts,
                torch.ones_like(counts),
            )
        )
    return Shown(
        *(torch.cat([getattr(one, name) for one in found], 1) for name in ("own", "others", "carry", "ceiling"))
    )


def _spread(values: Tensor, counts: Tensor, rest: float) -> Tensor:
    """Values [head, i, those of j that count] at all j."""
    whole = values.new_full((*values.shape[:2], len(counts)), rest)
    whole[..., counts] = values
    return whole


def _by_chance(
    frame: ShardFrame, asked: Tensor, against: Against, of_bank: Nearest, signals: Sequence[Tensor]
) -> ByChance:
    assert of_bank.other_ranks is not None, "the bank was asked for this shard's tokens"
    rank = torch.zeros(*asked.shape, of_bank.ids.shape[1], dtype=torch.int64)
    rank[against.token, against.slot] = of_bank.other_ranks.transpose(1, 2)[against.output, against.column]
    held = asked.clamp_min(0)
    nearest = of_bank.ids[held, :, 0]  # (token, asked, head)
    none = (asked < 0)[..., None] | of_bank.tied[held]
    return ByChance(rank.transpose(1, 2), frame.in_text(nearest).transpose(1, 2), none.transpose(1, 2), *signals)


def _compared(
    candidates: int, answers: Nearest, chance: ByChance, matched: ByChance | None, within: Shown, even: Shown
) -> Compared:
    return Compared(
        candidates=candidates,
        own_rank=answers.own_rank,
        own_distance=answers.own_distance,
        nearest=answers.ids[..., 0],
        distance=answers.distances[..., 0].masked_fill(answers.tied, torch.nan),
        chance=chance,
        matched=matched,
        within=within,
        even=even,
    )
