"""Mutual information between tokens and representations, through clusters, corrected for chance. Arrays only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import mutual_info_score
from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Information:
    """Mutual information in nats: as counted (`plain`), what chance alone gives (`chance`), and corrected.

    `entropy` is that of the labels, the most there can be.
    """

    plain: float
    chance: float
    entropy: float

    @property
    def corrected(self) -> float:
        """H (I − E) / (H − E): H where the clusters tell the labels, 0 on average where they are independent."""
        room = self.entropy - self.chance
        return self.entropy * (self.plain - self.chance) / room if room > 0 else 0.0


def information(labels: Ints, clusters: Ints) -> Information:
    """Of `labels` with `clusters`, int [sample] each.

    E, the mean over all permutations of the labels, is exact (Vinh et al. 2010, JMLR 11).

    >>> round(float(information(np.repeat(np.arange(4), 5), np.repeat(np.arange(4), 5)).corrected), 6)  # log 4
    1.386294
    """
    table = contingency_matrix(labels, clusters)
    share = table.sum(1) / table.sum()
    entropy = float(-(share * np.log(share)).sum())
    counts = contingency_matrix(labels, clusters, sparse=True)
    return Information(
        plain=float(mutual_info_score(None, None, contingency=counts)),
        chance=float(expected_mutual_information(counts, len(labels))),
        entropy=entropy,
    )


def clustered(x: NDArray[np.float32], clusters: int, seed: int) -> Ints:
    """The k-means cluster of each of `x` [sample, width]: int64 [sample]."""
    clusters = min(clusters, len(np.unique(x, axis=0)))  # points that coincide are one
    found = KMeans(clusters, n_init=1, max_iter=100, random_state=seed).fit_predict(x)
    return np.asarray(found, dtype=np.int64)
