"""Encodings of a text merged: those that are most alike become their mean. Tensors only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.hierarchy import cut_tree, linkage
from torch import Tensor

from headscope.neighbors import distances


@dataclass(frozen=True)
class Merging:
    """x ↦ the mean over the group that each position belongs to; `labels` int64 [position]."""

    labels: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """x [position, width], merged."""
        labels = self.labels.to(x.device)
        counts = torch.bincount(labels)
        # A group of one keeps its encoding as it is, to the bit.
        sums = x.new_zeros(len(counts), x.shape[1]).index_add_(0, labels, x)
        return torch.where((counts == 1)[labels, None], x, sums[labels] / counts[labels, None].to(x))

    def shuffled(self, seed: int) -> Merging:
        """Groups of the same sizes, of positions drawn at random."""
        draw = torch.Generator().manual_seed(seed)
        return Merging(self.labels[torch.randperm(len(self.labels), generator=draw)])


class Tree:
    """The order in which the positions of a text are merged: the two groups that are most alike first.

    How alike groups are is the mean cosine distance between their members (average linkage).
    """

    def __init__(self, x: Tensor) -> None:
        """`x` [position, width]: the encodings."""
        self.count = len(x)
        self._tree: NDArray[np.float64] | None = None
        if self.count > 1:
            above = torch.triu_indices(self.count, self.count, 1)
            x = x.cpu()
            self._tree = linkage(distances("cosine", x[above[0]], x[above[1]]).numpy(), "average")

    def merged_to(self, groups: int) -> Merging:
        """As many groups: `count − groups` merges."""
        if self._tree is None:
            return Merging(torch.zeros(self.count, dtype=torch.int64))
        labels = cut_tree(self._tree, n_clusters=groups)[:, 0]
        return Merging(torch.from_numpy(labels.astype(np.int64)))
