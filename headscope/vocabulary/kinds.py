"""Which kind each token of the vocabulary is of, for one text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from headscope.model.tokens import Token, TokenNames
from headscope.question.kinds import KINDS

_OWN, _TEXT, _VARIANT, _SPECIAL, _ELSEWHERE = range(len(KINDS))


class TextKinds:
    """The kinds of vocabulary ids, as seen from the tokens of a text; only what is asked for is named."""

    def __init__(self, names: TokenNames, tokens: Sequence[Token]) -> None:
        self._names = names
        self._at: dict[int, list[int]] = defaultdict(list)  # id → its positions
        for token in tokens:
            self._at[token.id].append(token.position)
        spelt: dict[str, list[int]] = defaultdict(list)  # the words that the text spells, in whatever form
        for id, places in self._at.items():
            word = names.word(id)
            if word is not None:
                spelt[word] += places
        self._spelt = {word: tuple(sorted(places)) for word, places in spelt.items()}

    def of(self, ids: Tensor, own: Tensor) -> Tensor:
        """The kinds of `ids` (any shape) as indices of KINDS: uint8; `own` are the own tokens, broadcast with them."""
        listed, which = torch.unique(ids, return_inverse=True)
        kinds = torch.tensor([self._kind(id) for id in listed.tolist()], dtype=torch.uint8)[which]
        kinds[ids == own] = _OWN
        return kinds

    def _kind(self, id: int) -> int:
        word = self._names.word(id)
        if word is None:
            return _SPECIAL
        if id in self._at:
            return _TEXT
        return _VARIANT if word in self._spelt else _ELSEWHERE

    def places(self, ids: Tensor) -> dict[int, tuple[int, ...]]:
        """The positions of those `ids` that the text has; for a variant, of the words that it is a variant of."""
        found = {}
        for id in torch.unique(ids).tolist():
            if id in self._at:
                found[id] = tuple(self._at[id])
            elif self._kind(id) == _VARIANT:
                word = self._names.word(id)
                assert word is not None, "a variant is one of a word"
                found[id] = self._spelt[word]
        return found
