"""Own ranks of what a linear map makes of encodings: those of the definition, ties too."""

from __future__ import annotations

import torch

from headscope.neighbors import distances
from headscope.studies.capacity.recovery import Readout, told

DRAW = torch.Generator().manual_seed(0)
EMBEDDINGS, CENTRE = torch.randn(40, 6, generator=DRAW), torch.randn(6, generator=DRAW)
EMBEDDINGS[10:14] = EMBEDDINGS[10]  # four tokens of one embedding, as vocabularies have them
EMBEDDINGS[20] = torch.nan
MEAN, WEIGHT = torch.randn(8, generator=DRAW), torch.randn(8, 6, generator=DRAW)
READOUT = Readout(EMBEDDINGS, CENTRE, {("z", 0): (MEAN, WEIGHT)})
IDS = torch.arange(40)


def by_definition(x, id):
    apart = distances("cosine", (x - MEAN) @ WEIGHT, (EMBEDDINGS - CENTRE)[EMBEDDINGS.isfinite().all(-1)])
    own = distances("cosine", (x - MEAN) @ WEIGHT, EMBEDDINGS[id] - CENTRE)
    return 1 + int((apart < own).sum())


def test_a_rank_is_one_more_than_the_tokens_strictly_nearer():
    x = torch.randn(2, 40, 8, generator=DRAW)
    ranks = READOUT.ranks("z", 0, x, IDS)
    for version in range(2):
        for id in range(40):
            assert ranks[version, id] == (0 if id == 20 else by_definition(x[version, id], id))


def test_tokens_that_are_as_near_share_a_rank():
    x = (torch.linalg.pinv(WEIGHT.T) @ (EMBEDDINGS[10] - CENTRE) + MEAN).expand(1, 40, 8)
    assert READOUT.ranks("z", 0, x, IDS)[0, 10:14].tolist() == [1, 1, 1, 1]


def test_a_guess_without_a_direction_is_chance():
    ranks = READOUT.ranks("z", 0, MEAN.expand(1, 40, 8), IDS)
    assert ranks[0].unique().tolist() == [0, 20]  # 39 candidates
    nearest, area = told(ranks[0, :, None], READOUT.candidates)
    assert nearest.nanmean() == 0
    assert area.nanmean() == 0.5
