"""Folds that share neither texts nor token types with what is fitted."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.errors import InputError
from headscope.question.given import number

FOLDS = 4


@dataclass(frozen=True)
class Folds:
    """Which fold each group of texts and each token type is in: int64 [group] and [vocabulary], −1 for unseen types.

    Fold f is judged on the samples whose text and whose type are both in it, and fitted on those whose text is not in
    it and whose type is not. A sample of which only one is in it serves neither.
    """

    count: int
    of_group: Tensor
    of_type: Tensor

    @classmethod
    def of(cls, groups: Tensor, ids: Tensor, vocab_size: int, count: int = FOLDS, seed: int = 0) -> Folds:
        """Folds of samples from text groups `groups` int64 [sample] at token types `ids` int64 [sample].

        Each fold gets about the same number of samples by groups, and by types. Raises InputError where there are
        fewer groups or types than folds.
        """
        count = number(
            count,
            range(3, sys.maxsize),
            f"there are {count!r} folds; the penalty is chosen inside the folds, which takes 3 or more.",
        )
        found = []
        for what, labels in (("texts (or documents; copies of a text count once)", groups), ("token types", ids)):
            known, sizes = labels.unique(return_counts=True)
            if len(known) < count:
                raise InputError(f"{count} folds need {count} {what} or more, and there are {len(known)}.")
            found.append((known, _balanced(sizes, count, seed)))
        of_group = torch.full((int(groups.max()) + 1,), -1).index_put((found[0][0],), found[0][1])
        of_type = torch.full((vocab_size,), -1).index_put((found[1][0],), found[1][1])
        return cls(count, of_group, of_type)

    def cells(self, groups: Tensor, ids: Tensor) -> Tensor:
        """The cell of every sample, int64 [sample]: count · (fold of its text) + (fold of its type)."""
        return self.count * self.of_group[groups] + self.of_type[ids]

    def fits(self, cells: Tensor, *left_out: int) -> Tensor:
        """Which cells a map may be fitted on that is judged on the folds `left_out`: bool, like `cells`."""
        out = torch.tensor(left_out)
        return ~torch.isin(cells // self.count, out) & ~torch.isin(cells % self.count, out)

    def judges(self, cells: Tensor, fold: int) -> Tensor:
        """Which cells fold `fold` is judged on: bool, like `cells`."""
        return cells == fold * self.count + fold


def _balanced(sizes: Tensor, count: int, seed: int) -> Tensor:
    """A fold for each of several labels: the largest first, each into the fold that is the smallest so far."""
    draw = torch.randperm(len(sizes), generator=torch.Generator().manual_seed(seed))
    order = draw[sizes[draw].argsort(descending=True, stable=True)]
    loads, fold = [0] * count, torch.empty(len(sizes), dtype=torch.int64)
    for label in order.tolist():
        lightest = loads.index(min(loads))
        fold[label] = lightest
        loads[lightest] += int(sizes[label])
    return fold
