"""Token Signal: does a head's output tell the types of its own text from those of other texts?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headscope.corpus.genres import TextTypes
from headscope.neighbors import backend_in_use

SETS = 99  # of distractors, for each text
SIZED = 8  # members of a set of the one stated size


@dataclass(frozen=True)
class Sets:
    """For every text and each of its distractors D, T∖D and D∖T, cut to one size by a seeded draw.

    The size is that of the smaller, or one number for all sets of all texts; then what has fewer is left out.

    `members` int32 [member] are indices into `types`, member after member: those of text n begin at `starts[n]`
    with the first members of its sets, `counts[n, 0]` of the text's side and as many of the distractors'; then the
    second members of those sets that have two; and so on. The largest sets stand first.
    """

    types: Tensor  # int64 [type], vocabulary ids
    members: Tensor
    starts: Tensor  # int64 [text]
    counts: Tensor  # int64 [text, size of the largest set]

    @classmethod
    def draw(
        cls,
        texts: Sequence[TextTypes],
        distractors: Sequence[TextTypes],
        seed: int,
        size: int | None = None,
        among: NDArray[np.bool_] | None = None,
    ) -> Sets:
        """Sets of `texts`, from `distractors` of other documents; `size` None: that of the smaller side.

        `among` bool [text, distractor]: which may be; None: all.
        """
        pool = _Pool.of([*(one.types for one in texts), *(one.types for one in distractors)], len(texts))
        documents = np.array([one.document for one in distractors])
        fit = documents != np.array([one.document for one in texts])[:, None]
        fit = fit if among is None else fit & among
        drawn = [
            # A generator for each text: what it draws does not hang on the texts beside it.
            pool.sets(n, np.flatnonzero(fit[n]), np.random.default_rng([seed, 2, of.text]), size, widest)
            for n, (of, widest) in enumerate(zip(texts, pool.widest(among), strict=True))
        ]
        lengths = np.array([len(members) for members, _ in drawn])
        counts = np.zeros((len(texts), max(1, *(len(of_text) for _, of_text in drawn))), dtype=np.int64)
        for row, (_, of_text) in zip(counts, drawn, strict=True):
            row[: len(of_text)] = of_text
        return cls(
            torch.from_numpy(pool.vocabulary),
            torch.from_numpy(np.concatenate([members for members, _ in drawn]).astype(np.int32)),
            torch.from_numpy(lengths.cumsum() - lengths),
            torch.from_numpy(counts),
        )

    def signals(self, scores: Tensor, text: Tensor) -> Tensor:
        """Signal of every output: 2 · AUC − 1, float32 [row, head]; nan where a text has no set.

        `scores` float32 [head, row, type]: hub-corrected similarities to `types`. `text` int64 [row]. For each
        distractor the best score of either side is compared; a tie counts a half.
        """
        if scores.device.type == "cpu" and backend_in_use() == "numba":
            from headscope.studies.survey import numba_signal

            given = (scores, text, self.members, self.starts, self.counts)
            if numba_signal.can(*given):
                return numba_signal.signals(*given)
        return torch.stack([self._signal(scores[:, row], n) for row, n in enumerate(text.tolist())])

    def _signal(self, scores: Tensor, n: int) -> Tensor:
        """Signal [head] of one output's scores [head, type]."""
        counts, start = self.counts[n].tolist(), int(self.starts[n])
        sets = counts[0]
        chosen = self.members[start : start + 2 * sum(counts)].long().to(scores.device)
        slots = [torch.arange(count) + side * sets for count in counts for side in (0, 1)]
        slot = torch.cat(slots).to(scores.device).expand(len(scores), -1)
        best = scores.new_full((len(scores), 2 * sets), -torch.inf).scatter_reduce(1, slot, scores[:, chosen], "amax")
        return torch.sign(best[:, :sets] - best[:, sets:]).mean(1)  # of nothing: nan


@dataclass(frozen=True)
class _Pool:
    """The types of texts and of distractors, as indices into their common vocabulary."""

    vocabulary: NDArray[np.int64]
    indices: list[NDArray[np.int64]]  # of each text
    padded: NDArray[np.int64]  # [distractor, member]
    there: NDArray[np.bool_]  # [distractor, member]

    @classmethod
    def of(cls, types: Sequence[NDArray[np.int64]], texts: int) -> _Pool:
        """Of the types of so many texts, and behind them those of distractors."""
        vocabulary = np.unique(np.concatenate(types))
        indices = [np.searchsorted(vocabulary, some) for some in types]
        theirs = indices[texts:]
        padded = np.zeros((len(theirs), max(map(len, theirs), default=0)), dtype=np.int64)
        there = np.zeros(padded.shape, dtype=bool)
        for row, found in enumerate(theirs):
            padded[row, : len(found)], there[row, : len(found)] = found, True
        return cls(vocabulary, indices[:texts], padded, there)

    def widest(self, among: NDArray[np.bool_] | None) -> list[int]:
        """How many members the largest of the distractors that each text may have has."""
        sizes = self.there.sum(1)
        if among is None:
            return [self.there.shape[1]] * len(self.indices)
        return [int(sizes[these].max(initial=0)) for these in among]

    def sets(
        self, n: int, others: NDArray[np.int64], draw: np.random.Generator, wanted: int | None, widest: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """One text's `members` and `counts`, see `Sets`; `others`: the distractors of other documents.

        `widest`: of how many members numbers are drawn.
        """
        own = self.indices[n]
        chosen = draw.permutation(others)[:SETS]
        # Not as wide as the pool: of the texts' genres, a shard's pool has those that are in the shard.
        theirs, known = self.padded[chosen, :widest], self.there[chosen, :widest]  # (set, member)
        is_own = np.zeros(len(self.vocabulary), dtype=bool)
        is_own[own] = True
        in_theirs = np.zeros((len(chosen), len(self.vocabulary)), dtype=bool)
        in_theirs[np.nonzero(known)[0], theirs[known]] = True
        ours = np.broadcast_to(own, (len(chosen), len(own)))
        sides = [(ours, ~in_theirs[:, own]), (theirs, known & ~is_own[theirs])]
        size = np.minimum(*(fit.sum(1) for _, fit in sides))
        if wanted is not None:
            size = np.where(size >= wanted, wanted, 0)
        order = np.argsort(-size, kind="stable")  # (set)
        shuffled = [
            np.take_along_axis(candidates, np.where(fit, draw.random(fit.shape), np.inf).argsort(1), 1)[order]
            for candidates, fit in sides  # those that fit stand first, in random order
        ]
        counts = (size > np.arange(size.max(initial=0))[:, None]).sum(1)  # (member)
        parts = [side[:count, k] for k, count in enumerate(counts.tolist()) if count for side in shuffled]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64), counts
