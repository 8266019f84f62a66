"""The tokens of a shard in flat arrays: what every table, chance and null refers to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headscope.corpus.texts import CorpusText
from headscope.model.tokens import Token
from headscope.question.kinds import KINDS
from headscope.vocabulary.placed import members_of

_OWN, _TEXT, _VARIANT, _SPECIAL, _ELSEWHERE = range(len(KINDS))


@dataclass(frozen=True)
class ShardFrame:
    """All tokens of a shard that are not special, in the order of texts and positions: int64 [token] each.

    `text` is the index of the shard's text, `position` the place in it. `ids` are the labels: the own tokens, but
    under the null of permuted labels. `partner` is the token of another text at the same position whose output is
    this one's chance; −1: none. Every token is the partner of at most one other.
    """

    texts: tuple[CorpusText, ...]
    text: Tensor
    position: Tensor
    ids: Tensor
    partner: Tensor
    surfaces: Tensor  # int64 [vocab], see TokenNames.surfaces

    @classmethod
    def of(
        cls,
        texts: Sequence[CorpusText],
        tokens: Sequence[Sequence[Token]],
        labelled: Callable[[int, NDArray[np.int64]], NDArray[np.int64]],
        surfaces: Tensor,
        seed: int,
    ) -> ShardFrame:
        """The frame of a shard's texts and their tokens; `labelled` says what a text's ids are called."""
        kept = [(n, token.position, token.id) for n, read in enumerate(tokens) for token in read if not token.special]
        text, position, ids = torch.tensor(kept, dtype=torch.int64).T.contiguous()
        for n, one in enumerate(texts):
            ids[text == n] = torch.from_numpy(labelled(one.number, ids[text == n].numpy()))
        # Seeded by its first text, so that a shard draws the same whatever ran before it, in whichever process.
        partner = _partners(position, [int(seed), texts[0].number])
        return cls(tuple(texts), text, position, ids, partner, surfaces)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def places(self) -> list[tuple[int, Tensor]]:
        """Every position with the indices of its tokens, from the first position on."""
        return sorted(members_of(self.position.tolist()), key=lambda place: place[0])

    @cached_property
    def asked_of(self) -> Tensor:
        """For each token the own id of the one token whose partner it is, −1 for none: int64 [token]."""
        asked = torch.full_like(self.ids, -1)
        paired = self.partner >= 0
        asked[self.partner[paired]] = self.ids[paired]
        return asked

    @cached_property
    def types(self) -> list[NDArray[np.int64]]:
        """The token types of each text."""
        ends = torch.bincount(self.text, minlength=len(self.texts)).cumsum(0).tolist()
        ids = self.ids.numpy()
        return [np.unique(ids[start:stop]) for start, stop in zip([0, *ends[:-1]], ends, strict=True)]

    def in_text(self, ids: Tensor) -> Tensor:
        """Whether ids int64 [token, ...] are types of each token's text: bool."""
        return _member(self._type_keys, self._keys(ids, len(self.surfaces)))

    def kinds(self, ids: Tensor) -> Tensor:
        """The kinds of ids int64 [token, ...], as seen from each token: indices of KINDS, uint8."""
        surface = self.surfaces[ids]
        words = surface >= 0
        own = self.ids.view(-1, *[1] * (ids.ndim - 1))
        kinds = torch.where(words, _ELSEWHERE, _SPECIAL)
        said = _member(self._surface_keys, self._keys(surface.clamp_min(0), len(self.surfaces))) & words
        kinds[said] = _VARIANT
        kinds[self.in_text(ids) & words] = _TEXT
        kinds[ids == own] = _OWN
        return kinds.to(torch.uint8)

    @cached_property
    def _type_keys(self) -> Tensor:
        keys: Tensor = (self.text * len(self.surfaces) + self.ids).unique()
        return keys

    @cached_property
    def _surface_keys(self) -> Tensor:
        surface = self.surfaces[self.ids]
        keys: Tensor = (self.text * len(self.surfaces) + surface)[surface >= 0].unique()
        return keys

    def _keys(self, ids: Tensor, base: int) -> Tensor:
        """One number for a text and an id."""
        return self.text.view(-1, *[1] * (ids.ndim - 1)) * base + ids


def _partners(position: Tensor, seed: list[int]) -> Tensor:
    """At every position a random cycle through its tokens: nobody is their own partner, and everybody is one's."""
    # At the same position, since what is near there depends on it; within a shard, so that no other need be at hand.
    draw = np.random.default_rng(seed)
    partner = np.full(len(position), -1)
    places = position.numpy()
    for place in np.unique(places):
        members = draw.permutation(np.flatnonzero(places == place))
        if len(members) > 1:
            partner[members] = np.roll(members, 1)
    return torch.from_numpy(partner)


def _member(keys: Tensor, wanted: Tensor) -> Tensor:
    """Which of `wanted` are among the sorted `keys`."""
    if not len(keys):
        return torch.zeros_like(wanted, dtype=torch.bool)
    return keys[torch.searchsorted(keys, wanted).clamp_max(len(keys) - 1)] == wanted
