"""Token Signal: does a head's output tell the types of its own text from those of other texts?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

DISTRACTORS = 99
LARGEST = 32  # members of a set at most: what bounds the work for long texts
_FEWEST = 128  # texts to draw distractors from, where there are as many
_SCORES = 2**22  # scores that are gathered at a time


@dataclass(frozen=True)
class Sets:
    """For every text and each of its distractors D, T∖D and D∖T, cut to the same size by a seeded draw.

    `members` int64 [text, side, set, member] are indices into `types`, side 0 of the text; a set that is smaller
    than the others is filled with its first member. `valid` bool [text, set]: neither side is empty.
    """

    types: Tensor  # int64 [type], vocabulary ids
    members: Tensor
    valid: Tensor

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
        pool = [types for _, types in [*texts, *extra]]
        vocabulary = np.unique(np.concatenate(pool))
        indices = [np.searchsorted(vocabulary, types) for types in pool]
        longest = max(map(len, indices))
        padded = np.zeros((len(pool), longest), dtype=np.int64)
        there = np.zeros((len(pool), longest), dtype=bool)
        for row, found in enumerate(indices):
            padded[row, : len(found)], there[row, : len(found)] = found, True
        drawn = [
            _of_text(n, number, indices, padded, there, len(vocabulary), seed) for n, (number, _) in enumerate(texts)
        ]
        width = max(one.shape[-1] for one, _ in drawn)
        members = np.stack([np.concatenate([one, one[..., :1].repeat(width - one.shape[-1], -1)], -1) for one, _ in drawn])
        return cls(
            torch.from_numpy(vocabulary), torch.from_numpy(members), torch.from_numpy(np.stack([v for _, v in drawn]))
        )

    def signals(self, scores: Tensor, text: Tensor) -> Tensor:
        """Signal of every output: 2 · AUC − 1, float32 [row, head]; nan where a text has no valid set.

        `scores` [row, head, type]: hub-corrected similarities to `types`. `text` int64 [row]. For each
        distractor the best score of either side is compared; a tie counts a half.
        """
        heads = scores.shape[1]
        _, sides, sets, width = self.members.shape
        found = []
        for rows in torch.arange(len(text)).split(max(1, _SCORES // (heads * sides * sets * width))):
            index = self.members[text[rows]].to(scores.device).flatten(1)  # (row, side · set · member)
            taken = scores[rows].gather(2, index[:, None].expand(-1, heads, -1))
            best = taken.view(len(rows), heads, sides, sets, width).amax(-1)
            won = torch.sign(best[:, :, 0] - best[:, :, 1])  # (row, head, set)
            valid = self.valid[text[rows], None].to(scores.device)
            found.append((won * valid).sum(-1) / valid.sum(-1))  # 0/0 is nan
        return torch.cat(found)


def _of_text(
    n: int,
    number: int,
    indices: Sequence[NDArray[np.int64]],
    padded: NDArray[np.int64],
    there: NDArray[np.bool_],
    size: int,
    seed: int,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """One text's sets [side, set, member], and which of them are valid."""
    draw = np.random.default_rng([seed, 2, number])
    own = indices[n]
    others = np.delete(np.arange(len(padded)), n)
    chosen = draw.permutation(others)[:DISTRACTORS]
    if not len(chosen):
        return np.zeros((2, DISTRACTORS, 1), dtype=np.int64), np.zeros(DISTRACTORS, dtype=bool)
    is_own = np.zeros(size, dtype=bool)
    is_own[own] = True
    theirs, known = padded[chosen], there[chosen]  # (set, member)
    in_theirs = np.zeros((len(chosen), size), dtype=bool)
    np.put_along_axis(in_theirs, np.where(known, theirs, theirs[:, :1]), True, axis=1)
    sides = [
        (np.broadcast_to(own, (len(chosen), len(own))), ~in_theirs[:, own]),
        (theirs, known & ~is_own[theirs]),
    ]
    count = np.minimum(sides[0][1].sum(1), sides[1][1].sum(1)).clip(max=LARGEST)  # (set,)
    width = max(1, int(count.max()))
    members = np.zeros((2, DISTRACTORS, width), dtype=np.int64)
    for side, (candidates, fit) in enumerate(sides):
        keys = np.where(fit, draw.random(fit.shape), np.inf)
        order = np.take_along_axis(candidates, keys.argsort(1), 1)  # the fit ones first, in random order
        order = np.pad(order, ((0, 0), (0, max(0, width - order.shape[1]))))[:, :width]
        beyond = np.arange(width) >= count[:, None]
        members[side, : len(chosen)] = np.where(beyond, order[:, :1], order)
    valid = np.zeros(DISTRACTORS, dtype=bool)
    valid[: len(chosen)] = count > 0
    return members, valid
