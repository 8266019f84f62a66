"""Token Signal: does a head's output tell the types of its own text from those of other texts?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headscope.neighbors import backend_in_use

DISTRACTORS = 99
LARGEST = 32  # members of a set at most: what bounds the work for long texts
_FEWEST = 128  # texts to draw distractors from, where there are as many


@dataclass(frozen=True)
class Sets:
    """For every text and each of its distractors D, T∖D and D∖T, cut to the same size by a seeded draw.

    `members` int32 [member] are indices into `types`. Those of text n and its set s stand from `starts[n, s]` to
    `starts[n, s + 1]`: first the text's, then as many of the distractor; none where a side is empty.
    """

    types: Tensor  # int64 [type], vocabulary ids
    members: Tensor
    starts: Tensor  # int64 [text, set + 1]

    @classmethod
    def draw(
        cls,
        texts: Sequence[tuple[int, NDArray[np.int64]]],
        bank: Sequence[tuple[int, NDArray[np.int64]]],
        seed: int,
    ) -> Sets:
        """Sets for `texts` (their numbers and types), from one another and, where they are few, from the `bank`."""
        numbers = {number for number, _ in texts}
        extra = [one for one in bank if one[0] not in numbers][: max(0, _FEWEST - len(texts))]
        pool = _Pool.of([types for _, types in [*texts, *extra]])
        drawn = [pool.sets(n, np.random.default_rng([seed, 2, number])) for n, (number, _) in enumerate(texts)]
        sizes = np.stack([2 * size for _, size in drawn])  # (text, set)
        ends = np.concatenate([[0], sizes.ravel().cumsum()])
        starts = np.stack([ends[n * DISTRACTORS : (n + 1) * DISTRACTORS + 1] for n in range(len(texts))])
        members = np.concatenate([members for members, _ in drawn]).astype(np.int32)
        return cls(torch.from_numpy(pool.vocabulary), torch.from_numpy(members), torch.from_numpy(starts))

    def signals(self, scores: Tensor, text: Tensor) -> Tensor:
        """Signal of every output: 2 · AUC − 1, float32 [row, head]; nan where a text has no set.

        `scores` float32 [head, row, type]: hub-corrected similarities to `types`. `text` int64 [row]. For each
        distractor the best score of either side is compared; a tie counts a half.
        """
        if scores.device.type == "cpu" and backend_in_use() == "numba":
            from headscope.survey.numba_signal import signals

            return signals(scores, text, self.members, self.starts)
        return torch.stack([self._signal(scores[:, row], n) for row, n in enumerate(text.tolist())])

    def _signal(self, scores: Tensor, n: int) -> Tensor:
        """Signal [head] of one output's scores [head, type]."""
        starts = self.starts[n]
        sizes = starts.diff() // 2
        sides = torch.stack([starts[:-1], starts[:-1] + sizes], 1).flatten() - starts[0]  # (set · side)
        chosen = self.members[int(starts[0]) : int(starts[-1])].long()
        best = torch.nn.functional.embedding_bag(
            chosen.to(scores.device), scores.T.contiguous(), sides.to(scores.device), mode="max"
        ).unflatten(0, (-1, 2))  # (set, side, head)
        won = torch.sign(best[:, 0] - best[:, 1])[(sizes > 0).to(best.device)]
        return won.mean(0)  # of nothing: nan


@dataclass(frozen=True)
class _Pool:
    """The types of many texts, as indices into their common vocabulary."""

    vocabulary: NDArray[np.int64]
    indices: list[NDArray[np.int64]]  # of each text
    padded: NDArray[np.int64]  # [text, member]
    there: NDArray[np.bool_]  # [text, member]

    @classmethod
    def of(cls, types: Sequence[NDArray[np.int64]]) -> _Pool:
        vocabulary = np.unique(np.concatenate(types))
        indices = [np.searchsorted(vocabulary, some) for some in types]
        padded = np.zeros((len(types), max(map(len, indices))), dtype=np.int64)
        there = np.zeros(padded.shape, dtype=bool)
        for row, found in enumerate(indices):
            padded[row, : len(found)], there[row, : len(found)] = found, True
        return cls(vocabulary, indices, padded, there)

    def sets(self, n: int, draw: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """One text's sets one after another, of each T∖D and D∖T; and the size of a side [DISTRACTORS]."""
        own = self.indices[n]
        chosen = draw.permutation(np.delete(np.arange(len(self.indices)), n))[:DISTRACTORS]
        size = np.zeros(DISTRACTORS, dtype=np.int64)
        theirs, known = self.padded[chosen], self.there[chosen]  # (set, member)
        is_own = np.zeros(len(self.vocabulary), dtype=bool)
        is_own[own] = True
        in_theirs = np.zeros((len(chosen), len(self.vocabulary)), dtype=bool)
        in_theirs[np.nonzero(known)[0], theirs[known]] = True
        ours = np.broadcast_to(own, (len(chosen), len(own)))
        sides = [(ours, ~in_theirs[:, own]), (theirs, known & ~is_own[theirs])]
        size[: len(chosen)] = np.minimum(*(fit.sum(1) for _, fit in sides)).clip(max=LARGEST)
        parts: list[NDArray[np.int64]] = []
        shuffled = [
            np.take_along_axis(candidates, np.where(fit, draw.random(fit.shape), np.inf).argsort(1), 1)
            for candidates, fit in sides  # those that fit stand first, in random order
        ]
        for row in range(len(chosen)):
            parts += [side[row, : size[row]] for side in shuffled]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64), size
