"""The lens's recovery, S8: how often a head's output gives its own token away, over the shuffled control."""

from __future__ import annotations

from typing import Any

import numpy as np

from headscope.inference.bootstrap import Array
from headscope.inference.left_out import Jackknifed
from headscope.studies.probes.figures import Outcomes


def over_control(found: Outcomes, documents: int) -> Jackknifed[float]:
    """Top-1 on unseen texts and types less its shuffled control, mean over the maps (a layer's heads).

    `found.group`: documents, numbered below `documents`. Samples have two things in common, their document and the token
    type that is looked for: a map that says one frequent type all the time is right or wrong many times over. What the
    figure is without each document is spread out to the error of both (Cameron, Gelbach and Miller 2011).
    """
    hits = (found.rank <= 1).double().mean(-1).numpy()  # (side, sample)
    group, label = found.group.numpy(), found.label.numpy()
    count = hits.shape[1]
    value = float(hits[0].mean() - hits[1].mean())
    apart = hits - hits.mean(1, keepdims=True)
    lost = np.bincount(group, hits[0] - hits[1], documents)
    counts = np.bincount(group, minlength=documents)
    with np.errstate(invalid="ignore", divide="ignore"):
        without = (value * count - lost) / (count - counts)
    keys = (np.stack([group, group]), label, label * documents + group)
    of_documents, of_types, of_pairs = (_variance(apart, one) for one in keys)
    # Never narrower than by documents alone.
    variance = max(of_documents, of_documents + of_types - of_pairs)
    wider = np.sqrt(variance / of_documents) if of_documents > 0 else 1.0
    return Jackknifed(value, value + (without - value) * wider, int((counts > 0).sum()))


def _variance(apart: Array, keys: Any) -> float:
    """Of the mean of side 0 less that of side 1, by clusters: `keys` int64 [side, sample]."""
    names, which = np.unique(keys, return_inverse=True)
    which = which.reshape(keys.shape)
    signs = np.array([[1.0], [-1.0]])
    sums = np.bincount(which.ravel(), (signs * apart).ravel(), len(names))
    return float(np.square(sums).sum() / apart.shape[1] ** 2 * len(names) / max(1, len(names) - 1))
