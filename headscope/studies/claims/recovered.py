"""How often a linear map gives a token away, over its shuffled control: the lens's recovery, S8 and S9."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from headscope.inference.bootstrap import Array
from headscope.inference.left_out import Jackknifed, mean_by
from headscope.inference.two_way import TwoWay
from headscope.studies.probes.figures import Outcomes


def over_control(found: Outcomes, documents: int) -> TwoWay[float]:
    """Top-1 on unseen texts and types less its shuffled control, mean over the maps (a layer's heads).

    `found.group`: documents, numbered below `documents`.
    """
    hits = (found.rank <= 1).double().mean(-1).numpy()  # (side, sample)
    types, label = np.unique(found.label.numpy(), return_inverse=True)
    return of_hits(hits, found.group.numpy(), label.reshape(hits.shape), documents, len(types))


def of_hits(
    hits: Array, group: NDArray[np.int64], label: NDArray[np.int64], documents: int, types: int
) -> TwoWay[float]:
    """The mean of `hits` [side, sample] on side 0 less that on side 1.

    `group` [sample] are documents, `label` [side, sample] token types, numbered below `documents` and `types`. Samples
    have two things in common, their document and the token type that is looked for: a map that says one frequent type
    all the time is right, or wrong, many times over.
    """
    pairs, both = np.unique(group * types + label, return_inverse=True)
    both = both.reshape(hits.shape)

    def of_side(side: int) -> TwoWay[float]:
        def by(which: NDArray[np.int64], size: int) -> Jackknifed[float]:
            return mean_by(which, size, hits[side])

        return TwoWay(by(group, documents), by(label[side], types), by(both[side], len(pairs)))

    return of_side(0) - of_side(1)
