"""What chance gives for an atlas: what other texts' outputs at near positions are nearest to, counted alike."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from headscope.cores.one_thread import alone
from headscope.errors import InputError
from headscope.neighbors import search, without_ties
from headscope.reading import belonging
from headscope.reading.atlas import Atlas, LayerChance
from headscope.reading.bank import Bank
from headscope.reading.captured import Captured
from headscope.reading.finding import Finder

WINDOW = 100  # outputs that chance is taken from, at least


@alone()
def held_against(captured: Captured, atlas: Atlas, bank: Bank) -> Atlas:
    """See `Reading.atlas_chance`; the nearest tokens are kept for each bank, question and position."""
    own = belonging.own(captured, atlas, Atlas).token
    if atlas.question.vector != "z":
        raise InputError(f"the atlas is about {atlas.question.vector}, and a bank holds z.")
    bank.check(captured, atlas.question)
    bank = bank.apart_from(captured)
    finder, window = Finder(captured, atlas.question), bank.around(own.position, WINDOW)
    place = (finder.stands(own.position), own.position)
    key = ("atlas chance", bank.texts, bank.mask, replace(atlas.question, k=1), place)
    # One tensor, so that it is kept by its size.
    ids, tied = captured.bench.kept.made(key, lambda: _nearest(finder, bank.z[window], own.position, own.id))
    kinds = captured.kinds_of(ids.flatten(1), torch.tensor(own.id))  # (layer, output × head)
    where = bank.positions[window]
    first, last = int(where.min()), int(where.max())
    chance = LayerChance(kinds, tied.flatten(1).bool(), first, last, len(window), bank.name)
    return replace(atlas, chance=chance)


def _nearest(finder: Finder, outputs: Tensor, position: int, own: int) -> Tensor:
    """The nearest token of every output [output, layer, head, d_head] in its layer, and whether all tokens tie there.

    int64 [2, layer, output, head].
    """
    metric, found = finder.question.metric, []
    for layer in range(outputs.shape[1]):
        encoded = finder.for_many(layer, position)
        device = encoded.table.device
        query = encoded.table, [encoded.place], encoded.enter(outputs[:, layer])
        repeated, allowed = torch.full((len(outputs),), own, device=device), finder.allowed(encoded.table)
        near = search(*query, repeated, k=1, metrics=(metric,), candidates=allowed)
        one = without_ties(near, *query, None, allowed)[metric]
        found.append(torch.stack([one.ids[..., 0], one.tied.long()]).cpu())
    return torch.stack(found, 1)
