"""An answer held against a bank of other texts' outputs: which neighbours are hubs, and what chance would give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from headscope.errors import InputError
from headscope.keep.memory import Recent
from headscope.neighbors import Hubness, Moments, hub_aware, hubness, search
from headscope.question import notes
from headscope.reading.bank import Bank
from headscope.reading.finding import Finder
from headscope.reading.results import Background, Chance, Neighbors, named
from headscope.vocabulary import Encoded, Vocabulary

if TYPE_CHECKING:
    from headscope.reading.reading import Reading

NEAREST = 10  # hubness counts how often a token is among so many nearest
WINDOW = 100  # outputs that chance is taken from, at least


@dataclass(frozen=True)
class _Usual:
    """What is usual over a bank at one place."""

    moments: Moments
    hubs: Hubness

    @property
    def nbytes(self) -> int:
        return self.moments.nbytes + self.hubs.nbytes


def background(reading: Reading, vocabulary: Vocabulary, kept: Recent[Any], near: Neighbors, bank: Bank) -> Background:
    """See `Reading.background`; what is usual is kept in `kept` for each bank, question and place."""
    _check(reading, near, bank)
    asked, own = near.question, near.tokens[0]
    layer, position = asked.layer, own.position
    assert layer is not None, "checked above"
    finder = Finder(reading, vocabulary, asked)
    encoded = finder.placed(layer, position).encoded
    if encoded.table.rows.shape[2] > reading.z.shape[3] + 1:
        encoded = kept.made(("narrowed", asked.space, layer), encoded.narrowed)
    allowed, device = finder.allowed(encoded.table), encoded.table.rows.device
    bank = bank.without(reading.text)
    vectors = encoded.enter(bank.z[:, layer])  # (output, head, width)

    def measure() -> _Usual:
        candidates = encoded.table.finite if allowed is None else encoded.table.finite & allowed
        k = min(NEAREST, int(candidates.sum()))
        ids = _search(finder, encoded, vectors, own.id, k, allowed)[0]
        return _Usual(Moments.of(asked.metric, vectors), hubness(ids, candidates.cpu()))

    usual = kept.made(("usual", bank.texts, bank.mask, asked, finder.stands(position)), measure)
    vector, k = encoded.enter(reading.z[layer, position]), near.ids.shape[1]
    aware = hub_aware(usual.moments, encoded.table, encoded.place, vector, own.id, k, allowed)
    window = bank.around(position, WINDOW)
    ids, own_ranks = _search(finder, encoded, vectors[window.to(device)], own.id, k, allowed)
    where = bank.positions[window]
    first, last = int(where.min()), int(where.max())
    chance = _chance(reading, near, ids, own_ranks, first, last)
    ids, names = aware.ids.cpu(), reading._opened.names
    return Background(
        near=near,
        ids=ids,
        ranks=aware.ranks.cpu(),
        scores=aware.scores.float().cpu(),
        kinds=reading._kinds.of(ids, torch.tensor(own.id)),
        own_rank=aware.own_rank.cpu(),
        own_score=aware.own_score.float().cpu(),
        hubs=usual.hubs,
        chance=chance,
        bank=bank.name,
        outputs=len(bank),
        places=reading._kinds.places(torch.cat([near.ids, ids])),
        names={**near.names, **named(torch.cat([ids.flatten(), usual.hubs.largest_id]), names)},
        notes=(*bank.notes, *notes.background(position, own.special, first, last, asked.space, asked.metric)),
    )


def _search(
    finder: Finder, encoded: Encoded, vectors: Tensor, own: int, k: int, allowed: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The k nearest tokens of many vectors [output, head, width] at one place, and the rank of the token `own`."""
    metric = finder.question.metric
    repeated = torch.full((len(vectors),), own, device=vectors.device)
    found = search(encoded.table, [encoded.place], vectors, repeated, k=k, metrics=(metric,), candidates=allowed)[
        metric
    ]
    return found.ids.cpu(), found.own_rank.cpu()


def _chance(reading: Reading, near: Neighbors, ids: Tensor, own_ranks: Tensor, first: int, last: int) -> Chance:
    """From what other outputs are nearest to, ids [output, head, k], and the own token's ranks there [output, head]."""
    ranks = own_ranks.double()  # 0 where the token has none
    ranks = ranks.masked_fill(ranks == 0, torch.nan)
    unknown = near.own_rank == 0
    here = torch.tensor([token.id for token in reading.tokens if not token.special])
    listed = [(ids[:, head, :, None] == near.ids[head]).any(1).double().mean(0) for head in range(len(near.ids))]
    return Chance(
        own_rank=ranks.quantile(0.5, dim=0),
        as_near=(ranks <= near.own_rank).double().mean(0).masked_fill(unknown, torch.nan),
        in_text=torch.isin(ids[..., 0], here).double().mean(0),
        listed=torch.stack(listed),
        first=first,
        last=last,
        outputs=len(ranks),
    )


def _check(reading: Reading, near: Neighbors, bank: Bank) -> None:
    asked = near.question
    if asked.layer is None or near.ids.dim() != 2:
        raise InputError("a background is of an answer about one token: near.each() gives them one by one.")
    if near.tokens[0] not in reading.tokens:
        raise InputError(f"the answer is about {near.tokens[0].label}, which this reading does not have there.")
    if asked.vector != "z":
        raise InputError(f"the answer is about {asked.vector}, and a bank holds z: ask nearest with vector 'z'.")
    if asked.space == "unembedding" and asked.metric == "euclidean":
        raise InputError(
            "a bank keeps no residual stream, by whose scale the Euclidean distance to the unembedding goes; open: "
            "cosine, dot."
        )
    card = reading._scope.card
    if bank.weights_sha256 != card.weights_sha256 or bank.z.shape[1:] != reading.z[:, 0].shape:
        raise InputError(f"the bank was made with other weights than the reading: make it with {card.name}.")
    if bank.mask != reading.mask:
        raise InputError(f"the bank was read under the mask {bank.mask!r}, and this text under {reading.mask!r}.")
