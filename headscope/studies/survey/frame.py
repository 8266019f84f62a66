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
from headscope.reading.within import counting
from headscope.vocabulary.placed import members_of

# Of a text, by its number: something for each of these, its ids or positions.
Of = Callable[[int, NDArray[np.int64]], NDArray[np.int64]]
_OWN, _TEXT, _VARIANT, _SPECIAL, _ELSEWHERE = range(len(KINDS))


@dataclass(frozen=True)
class Against:
    """Which token is held against which output of the bank: int64 [pair] each.

    `targets` int64 [output, target]: the ids that each output is asked for, padded with −1; `column`: which of its
    output's targets a pair's token is.
    """

    targets: Tensor
    token: Tensor
    slot: Tensor
    output: Tensor
    column: Tensor


@dataclass(frozen=True)
class ShardFrame:
    """All tokens of a shard that are not special, in the order of texts and positions: int64 [token] each.

    `text` is the index of the shard's text, `position` the place in it. `ids` are the labels: the own tokens, but
    under the null of permuted labels. `asked` int64 [token, ASKED]: the outputs of the bank that this token is held
    against; −1: none. `matched` likewise, of the bank of its text's genre; None: there is none. `counts` bool [token]:
    it occurs once in its text, see `reading.within.counting`.
    """

    texts: tuple[CorpusText, ...]
    text: Tensor
    position: Tensor
    ids: Tensor
    asked: Tensor
    counts: Tensor
    surfaces: Tensor  # int64 [vocab], see TokenNames.surfaces
    matched: Tensor | None = None

    @classmethod
    def of(
        cls,
        texts: Sequence[CorpusText],
        tokens: Sequence[Sequence[Token]],
        labelled: Of,
        surfaces: Tensor,
        asked: Of,
        matched: Of | None = None,
    ) -> ShardFrame:
        """The frame of a shard's texts and their tokens.

        `labelled` says what a text's ids are called, `asked` which of the bank's outputs its positions are held
        against, `matched` which of its genre's; all get the text's number.
        """
        kept = [(n, token.position, token.id) for n, read in enumerate(tokens) for token in read if not token.special]
        text, position, ids = torch.tensor(kept, dtype=torch.int64).T.contiguous()
        stretches = [text == n for n in range(len(texts))]
        for one, here in zip(texts, stretches, strict=True):
            ids[here] = torch.from_numpy(labelled(one.number, ids[here].numpy()))

        def against(which: Of) -> Tensor:
            found = (which(one.number, position[here].numpy()) for one, here in zip(texts, stretches, strict=True))
            return torch.cat([torch.from_numpy(of_text) for of_text in found])

        counts = torch.cat([counting(read)[[not token.special for token in read]] for read in tokens])
        of_genre = None if matched is None else against(matched)
        return cls(tuple(texts), text, position, ids, against(asked), counts, surfaces, of_genre)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def places(self) -> list[tuple[int, Tensor]]:
        """Every position with the indices of its tokens, from the first position on."""
        return sorted(members_of(self.position.tolist()), key=lambda place: place[0])

    @cached_property
    def stretches(self) -> list[slice]:
        """Where the tokens of each text lie."""
        ends = torch.bincount(self.text, minlength=len(self.texts)).cumsum(0).tolist()
        return [slice(start, stop) for start, stop in zip([0, *ends[:-1]], ends, strict=True)]

    @cached_property
    def targets(self) -> Tensor:
        """For each token the ids of its text's tokens that count: int64 [token, target], −1 where there are fewer."""
        of_text = [self.ids[here][self.counts[here]] for here in self.stretches]
        padded = torch.nn.utils.rnn.pad_sequence(of_text, batch_first=True, padding_value=-1)
        found: Tensor = padded[self.text]
        return found

    def against(self, asked: Tensor, outputs: int) -> Against:
        """Who asks which of so many outputs of a bank, `asked` int64 [token, ASKED]."""
        token, slot = (asked >= 0).nonzero(as_tuple=True)
        output = asked[token, slot]
        keys, which = torch.unique(output * len(self.surfaces) + self.ids[token], return_inverse=True)
        of_output, ids = keys // len(self.surfaces), keys % len(self.surfaces)
        counts = torch.bincount(of_output, minlength=outputs)
        column = torch.arange(len(keys)) - (counts.cumsum(0) - counts)[of_output]
        targets = torch.full((outputs, int(counts.max())), -1)
        targets[of_output, column] = ids
        return Against(targets, token, slot, output, column[which])

    @cached_property
    def types(self) -> list[NDArray[np.int64]]:
        """The token types of each text."""
        ids = self.ids.numpy()
        return [np.unique(ids[here]) for here in self.stretches]

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


def _member(keys: Tensor, wanted: Tensor) -> Tensor:
    """Which of `wanted` are among the sorted `keys`."""
    if not len(keys):
        return torch.zeros_like(wanted, dtype=torch.bool)
    return keys[torch.searchsorted(keys, wanted).clamp_max(len(keys) - 1)] == wanted
