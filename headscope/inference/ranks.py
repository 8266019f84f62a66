"""What a rank says among any number of candidates. It is 1 + how many are strictly nearer: ties share a rank."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

Ranks = TypeVar("Ranks")  # numpy's arrays and torch's tensors alike


def auc(rank: Ranks, candidates: Any) -> Ranks:
    """1 − (rank − 1)/(V − 1): 1 for the nearest of V candidates, 0 for the farthest; 1 where there is but one.

    >>> auc(np.array([1.0, 3.0, 5.0]), 5), auc(np.array([1.0]), np.array([1]))
    (array([1. , 0.5, 0. ]), array([1.]))
    """
    found: Ranks = 1 - (rank - 1) / np.maximum(candidates - 1, 1)  # type: ignore[operator]
    return found
