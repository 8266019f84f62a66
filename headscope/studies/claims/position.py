"""S7: how much the position embedding changes what a head's output is nearest to."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headscope.inference.estimates import number
from headscope.inference.verdicts import below, ruling
from headscope.question.choices import Mask
from headscope.show.numbers import estimate
from headscope.show.progress import Progress
from headscope.studies.claims.passes import OverlapsTask, measured
from headscope.studies.claims.surveyed import Surveyed
from headscope.studies.claims.verdict import Arithmetic, Finding, figures_of
from headscope.studies.hands import Hands

HALF = 0.5


def changed(
    survey: Surveyed, hands: Hands, arithmetic: Arithmetic, mask: Mask, directory: Path, progress: Progress
) -> Finding:
    """S7, over all tokens and heads of layer 0."""
    if not hands.scope.moves("value"):
        return Finding("S7", arithmetic, None, "not applicable", "the model adds no positions to its input.")
    doing = "with and without the position"
    found = measured(survey, hands, OverlapsTask.of(survey, mask), directory, progress, doing)
    jaccard = found["jaccard"].astype(np.float64)  # (token, head)
    heads = jaccard.shape[1]
    every = survey.sample.repeated(heads)  # all heads of a token are drawn with its text
    median = every.median(jaccard.ravel())
    figures = tuple(
        figures_of(survey.sample.median(jaccard[:, head]), head=head, figure="median Jaccard") for head in range(heads)
    )
    told = f"median Jaccard {estimate(median.value, median.low, median.high)}."
    return Finding(
        "S7", arithmetic, None, ruling([below(median, HALF)]), told, number(median.value), number(median.low),
        number(median.high), figures=figures,
    )  # fmt: skip
