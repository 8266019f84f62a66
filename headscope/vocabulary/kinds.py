"""Which kind each token of the vocabulary is of, for one text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from headscope.model.tokens import Token, TokenNames
from headscope.question.kinds import KINDS

_OWN, _TEXT, _VARIANT, _SPECIAL, _ELSEWHERE = range(len(KINDS))


class TextKinds:
    """The kinds of all vocabulary ids, as seen from the tokens of a text: one look-up for any number of ids."""

    def __init__(self, names: TokenNames, tokens: Sequence[Token]) -> None:
        self._surfaces = names.surfaces
        self._at: dict[int, list[int]] = defaultdict(list)  # id → its positions
        for token in tokens:
            self._at[token.id].append(token.position)
        here = torch.tensor(sorted(self._at))
        words = self._surfaces >= 0
        # The last place is for −1, which is no word's number.
        said = torch.zeros(int(self._surfaces.max()) + 2, dtype=torch.bool)
        said[self._surfaces[here]] = True
        said[-1] = False
        self._kinds = torch.where(words, _ELSEWHERE, _SPECIAL).to(torch.uint8)
        self._kinds[said[self._surfaces]] = _VARIANT
        self._kinds[here[words[here]]] = _TEXT

    def of(self, ids: Tensor, own: Tensor) -> Tensor:
        """The kinds of `ids` (any shape) as indices of KINDS: uint8; `own` are the own tokens, broadcast with them."""
        kinds = self._kinds[ids]
        kinds[ids == own] = _OWN
        return kinds

    def places(self, ids: Tensor) -> dict[int, tuple[int, ...]]:
        """The positions of those `ids` that the text has; for a variant, of the words that it is a variant of."""
        found = {}
        listed = torch.unique(ids)
        kinds, surfaces = self._kinds[listed].tolist(), self._surfaces[listed].tolist()
        for id, kind, surface in zip(listed.tolist(), kinds, surfaces, strict=True):
            if id in self._at:
                found[id] = tuple(self._at[id])
            elif kind == _VARIANT:
                found[id] = self._spelt[surface]
        return found

    @cached_property
    def _spelt(self) -> dict[int, tuple[int, ...]]:
        """The positions of every word that the text spells in whatever form, by its number."""
        positions: dict[int, list[int]] = defaultdict(list)
        for id, places in self._at.items():
            positions[int(self._surfaces[id])] += places
        return {surface: tuple(sorted(places)) for surface, places in positions.items()}
