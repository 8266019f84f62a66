"""Nulls: the same measurement where a head cannot know what it is asked about.

What is drawn is drawn for each text by itself: so the chance in the draw is in the interval of every figure. One
rotation or one permutation for all would bring the same accidents into every text.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headscope.question.choices import Null

TWINS = 5  # seeds of untrained twins
_FEWEST = 50  # types in a bin of equal frequency


def variants(null: Null) -> list[str]:
    """The names under which a null is kept: that of untrained twins once for every seed.

    >>> variants("labels"), variants("random")[:2], variants("values")[-1]
    (['labels'], ['random-0', 'random-1'], 'values-4')
    """
    return [f"{null}-{seed}" for seed in range(TWINS)] if null in ("random", "values") else [null]


def seed_of(null: str) -> int | None:
    """The seed of the untrained twin that a null, as it is kept, measures; None where it is the model.

    >>> seed_of("values-3"), seed_of("labels")
    (3, None)
    """
    _, _, seed = null.partition("-")
    return int(seed) if seed.isdecimal() else None


def attends_as_model(null: str | None) -> bool:
    """Whether a null, as it is kept, is of a twin that is given the model's attention."""
    return null is not None and null.startswith("values-")


def has_streams(null: str | None) -> bool:
    """Whether the residual stream is measured under a null, as it is kept; None: the model itself.

    It is the model's own where the null changes neither weights nor labels; with a given attention it is not asked.
    """
    return null not in ("uniform", "rotated") and not attends_as_model(null)


def permuted_labels(frequencies: NDArray[np.int64], seed: int, text: int) -> NDArray[np.int64]:
    """New labels of every id of the vocabulary for one text: types of about the same frequency change places.

    Types are put in order of frequency (ties in random order), in bins of 50; within a bin they are permuted so that
    none keeps its place. Ids that no text has keep theirs.
    """
    draw = np.random.default_rng([seed, 1, text])
    labels = np.arange(len(frequencies))
    types = draw.permutation(np.flatnonzero(frequencies))
    types = types[np.argsort(-frequencies[types], kind="stable")]
    for start in range(0, len(types), _FEWEST):
        # A cycle through a random order keeps nothing in its place; a bin of one would.
        members = draw.permutation(types[start : start + _FEWEST])
        labels[members] = np.roll(members, 1)
    return labels


def rotations(layers: int, heads: int, d_head: int, seed: int, text: int) -> Tensor:
    """A random rotation of each head's value space for one text: float32 [layer, head, d_head, d_head]."""
    normal = np.random.default_rng([seed, 5, text]).standard_normal((layers, heads, d_head, d_head))
    q, r = torch.linalg.qr(torch.from_numpy(normal))
    # The signs make the distribution that of Haar (Mezzadri 2007, arXiv math-ph/0609050).
    turned: Tensor = q * torch.diagonal(r, dim1=-2, dim2=-1).sign()[..., None, :]
    return turned.float()
