"""Whether a token can still be told from an encoding: the rank of its own vocabulary encoding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from headscope.inference.ranks import auc
from headscope.model.feed.positions import Spot
from headscope.neighbors import Place, Table, search
from headscope.studies.probes.ridge import or_chance
from headscope.vocabulary.placed import Encode, places_of, search_placed

if TYPE_CHECKING:
    from headscope.scope import Scope

Stage = Literal["z", "residual"]


class OwnRanks:
    """Own ranks of encodings at some tokens: z in each head's own value space, the stream among the input embeddings.

    By cosine, each at the token's own place. `ids` int64 [token], `spots` [token] where they stood.
    """

    def __init__(self, scope: Scope, ids: Tensor, spots: Sequence[Spot]) -> None:
        self._vocabulary = scope.bench.vocabulary
        self._ids, self._spots = ids, spots

    def ranks(self, stage: Stage, layer: int, vectors: Tensor) -> tuple[Tensor, int]:
        """Own ranks int64 [version, token, head] of `vectors` [version, token, head, width], and among how many.

        Several versions of the tokens' encodings are searched together, which costs little more than one. The stream
        is one head. 0 where the own token's encoding is not finite.
        """
        versions, tokens = vectors.shape[:2]
        if not tokens:
            return torch.zeros(vectors.shape[:3], dtype=torch.int64), 0
        vocabulary = self._vocabulary
        places = places_of([*self._spots] * versions if vocabulary.has_positions else None, versions * tokens)
        if stage == "z":
            vocabulary.expect("value", "layer", layer, self._spots)
            encode: Encode = partial(vocabulary.encoded, "value", "layer", layer)
        else:
            vocabulary.expect_arrivals(self._spots)
            encode = vocabulary.arriving
        found = search_placed(places, encode, vectors.flatten(0, 1), self._ids.repeat(versions), k=1)
        return found.nearest["cosine"].own_rank.unflatten(0, (versions, tokens)), found.candidates


class Readout:
    """Own ranks of what a linear map makes of encodings, among the token embeddings, by cosine about their mean.

    `maps`: of every (stage, layer) the mean of the encodings [width] and the weight [width, d_model].
    """

    def __init__(self, embeddings: Tensor, centre: Tensor, maps: dict[tuple[str, int], tuple[Tensor, Tensor]]) -> None:
        """`embeddings` float32 [token, d_model], `centre` [d_model]."""
        self._table = Table.pack(embeddings[None], embeddings.new_zeros(1, embeddings.shape[1]))
        self._about = Place(bias=-centre[None])
        self._maps = maps

    @property
    def candidates(self) -> int:
        """Among how many tokens the own one is looked for."""
        return self._table.candidates

    def ranks(self, stage: Stage, layer: int, x: Tensor, ids: Tensor) -> Tensor:
        """Own ranks int64 [version, token] of encodings `x` [version, token, width] of the tokens `ids` [token].

        Ties share a rank; see `or_chance`. 0 where the own token's embedding is not finite.
        """
        mean, weight = self._maps[stage, layer]
        guess = ((x - mean) @ weight).flatten(0, 1)  # (version * token, d_model)
        found = search(self._table, [self._about], guess[:, None], ids.repeat(len(x)), k=1)["cosine"].own_rank[:, 0]
        return or_chance(found, guess, self.candidates).view(len(x), len(ids))


def told(ranks: Tensor, candidates: int) -> tuple[Tensor, Tensor]:
    """Of own ranks [..., head]: whether the own token is the nearest, and 1 − (rank − 1)/(V − 1); nan where unknown.

    float64 [...] each, the mean over the heads.
    """
    known = ranks > 0
    nearest = (ranks == 1).double().masked_fill(~known, torch.nan)
    area = auc(ranks.double(), candidates).masked_fill(~known, torch.nan)
    return nearest.nanmean(-1), area.nanmean(-1)
