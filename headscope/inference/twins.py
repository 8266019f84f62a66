"""A trained model's figure against those of untrained twins: what one more untrained network might have had by itself.

Twins are the same architecture initialised anew, of several seeds, on the same texts. The heads of an untrained layer
are exchangeable, and so are seeds: both are random factors. A trained head differs where it is farther from the twins'
mean than an untrained head would be, and than the texts leave open: a prediction interval, not one of the mean, for an
untrained model held against its own twins must claim nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from headscope.inference.left_out import Jackknifed, mean_of
from headscope.inference.studentised import Studentised

FEWEST_TWINS = 5  # seeds
AgainstTwins: TypeAlias = Studentised[float]


def against_twins(figure: Jackknifed[float], twins: Sequence[Sequence[Jackknifed[float]]]) -> AgainstTwins:
    """A head's figure less the mean of the `twins` [seed][head] of its layer; of a layer's mean: [seed][1].

    The error has three parts: of the texts, paired; of one more network beside the mean over the seeds; and of one head
    in it.

    >>> constant = np.ones(30)
    >>> twins = [[Jackknifed(x, x * constant, 30)] for x in (0.0, 0.1, -0.1, 0.05, -0.05)]
    >>> found = against_twins(Jackknifed(1.0, constant, 30), twins)
    >>> round(found.value, 3), round(found.error, 3), round(found.freedom), found.p < .001
    (1.0, 0.087, 4, True)
    """
    difference = figure - mean_of([head for heads in twins for head in heads])
    return with_seeds(difference.told, [[head.value for head in heads] for heads in twins])


def with_seeds(difference: Studentised[float], twins: Sequence[Sequence[float]]) -> AgainstTwins:
    """A figure's `difference` from the mean of `twins` [seed][head], whose error knows of the texts alone: of all."""
    values, groups = np.array(twins), int(difference.groups)  # (seed, head)
    if len(values) < FEWEST_TWINS:
        return Studentised(difference.value, math.nan, math.nan, groups)
    seeds, heads = values.shape
    parts = [(difference.error**2, difference.freedom), (values.mean(1).var(ddof=1) * (1 + 1 / seeds), seeds - 1)]
    if heads > 1:  # what the means of seeds know of already is one part in so many heads
        parts.append((values.var(1, ddof=1).mean() * (1 - 1 / heads), seeds * (heads - 1)))
    variance = sum(part for part, _ in parts)
    weighed = sum(part**2 / freedom for part, freedom in parts)
    freedom = variance**2 / weighed if weighed > 0 else math.nan  # Welch and Satterthwaite
    return Studentised(difference.value, math.sqrt(variance), freedom, groups)
