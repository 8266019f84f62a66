"""The bootstrap of samples that have more than one factor in common: the text that they are from, and the token type.

Owen and Eckles 2012, Annals of Applied Statistics 6(3). By texts alone, the few types that are most of a text would
look like many independent ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, reduce
from operator import mul

import numpy as np
import torch
from torch import Tensor

from headscope.inference.bootstrap import Draws

_WEIGHTS = 2**22  # of samples in replicates, that are kept at a time


def crossed(sums: Tensor, factors: Sequence[Tensor], seed: int) -> Tensor:
    """Sums over samples [sample, ...] in every replicate: [replicate, ...].

    `factors` int64 [sample] each: which of a factor's levels, numbered from 0, a sample is of. Each factor's levels are
    drawn apart from the others', and a sample counts as often as the product of its levels.
    """
    weights = [_weights(int(levels.max()) + 1, seed + n) for n, levels in enumerate(factors)]
    drawn, flat = [], sums.flatten(1)
    size = max(1, _WEIGHTS // len(flat))
    for start in range(0, len(weights[0]), size):
        here = slice(start, start + size)
        counts = [of[here][:, levels] for of, levels in zip(weights, factors, strict=True)]
        drawn.append(reduce(mul, counts) @ flat)
    return torch.cat(drawn).view(-1, *sums.shape[1:])


@lru_cache(maxsize=4)
def _weights(levels: int, seed: int) -> Tensor:
    return torch.from_numpy(Draws(levels, seed).weights(np.arange(levels)))  # (replicate, level)
