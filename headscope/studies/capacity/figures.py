"""From rows to figures: means over tokens with intervals by document, and what a layer needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from headscope.inference.estimates import Estimate
from headscope.inference.left_out import FEWEST, mean_by
from headscope.studies.capacity.fitting import Fit, Spreads
from headscope.studies.capacity.spread import dimension_interval, participation_interval
from headscope.studies.capacity.subspaces import dimension_at, participation_ratio
from headscope.studies.capacity.sweep import Condition, TextRow

MEASURES = ("moved", "kl", "own_at_1", "own_auc", "linear_at_1", "linear_auc")
ENOUGH = 0.1  # of what is lost when nothing is kept
_ROUNDING = 1e-6  # of the mean's length: encodings that spread by less are one point, as float32 has it


@dataclass(frozen=True)
class Size:
    """How many dimensions encodings fill: those of a head, of a layer's heads side by side ("z"), of the stream.

    `width`: how many there are. `participation_ratio`: (Σλ)²/Σλ² of the covariance's eigenvalues. `dimension_95`: how
    many principal axes it takes for 95 % of the variance. `positions`: how many encodings the covariance is of.
    `…_low`, `…_high`: 95 % intervals by document (see docs/capacity.md); None where there is none. Sizes are 0 where
    encodings differ by no more than float32 rounds.
    """

    site: str
    layer: int
    head: int | None
    width: int
    participation_ratio: float
    dimension_95: int
    positions: int
    participation_ratio_low: float | None
    participation_ratio_high: float | None
    dimension_95_low: int | None
    dimension_95_high: int | None


@dataclass(frozen=True)
class Outcome:
    """A condition, and its figures by measure (see `MEASURES`)."""

    condition: Condition
    figures: dict[str, Estimate[float]]


def sizes(fit: Fit, fitted: Spreads, other: Spreads) -> list[Size]:
    """Of every head, of every layer's heads side by side, and of the stream after every layer.

    `fitted`: what the documents that `fit` is of spread along its axes; `other`: what the others do.
    """

    def size(site: str, layer: int, head: int | None, covariance: Tensor) -> Size:
        place = ("heads", layer, head) if head is not None else (site, layer, 0)
        axes = fit.axes[place[:2]]
        variances = axes.variances
        assert variances is not None, "principal axes have them"
        some = variances[place[2]]
        spreads = fitted.of(*place), other.of(*place)
        if float(covariance.trace()) <= _ROUNDING**2 * float(axes.mean[place[2]].square().sum()):
            # A head that writes the same everywhere: what its rounding fills is no size.
            sure = all(len(one.counts) >= FEWEST for one in spreads)
            none = (0.0, 0.0, 0, 0) if sure else (None, None, None, None)
            return Size(site, layer, head, len(some), 0.0, 0, fit.count, *none)
        ends = (*(participation_interval(*spreads) or (None, None)), *(dimension_interval(*spreads) or (None, None)))
        ratio = participation_ratio(covariance)
        return Size(site, layer, head, len(some), ratio, dimension_at(some), fit.count, *ends)

    found = []
    for layer in range(fit.layers):
        joined = fit.grams["z", layer].covariance
        for head in range(fit.heads):
            at = slice(head * fit.d_head, (head + 1) * fit.d_head)
            found.append(size("head", layer, head, joined[at, at]))
        found.append(size("z", layer, None, joined))
        found.append(size("residual", layer, None, fit.grams["residual", layer].covariance))
    return found


def outcomes(rows: Iterable[TextRow]) -> list[Outcome]:
    """Figures of every condition, with intervals by document."""
    found = list(rows)
    by_condition: dict[Condition, list[int]] = {}
    for n, row in enumerate(found):
        by_condition.setdefault(row.condition, []).append(n)
    documents, groups = np.unique([row.group for row in found], return_inverse=True)

    def figures(some: list[int]) -> dict[str, Estimate[float]]:
        here, means = groups[some], {}
        for name in MEASURES:
            values = np.array([getattr(found[n], name) for n in some])
            # A row is a text's mean: weighed by its tokens, the mean is one over tokens.
            tokens = [found[n].tokens if name in ("moved", "kl") else found[n].recovered for n in some]
            means[name] = mean_by(here, len(documents), values * tokens, tokens).estimate
        return means

    return [Outcome(condition, figures(some)) for condition, some in by_condition.items()]


def loss_of(found: Sequence[Outcome]) -> str:
    """Which measure says what the model's output loses: "kl" where there is one, else "moved"."""
    return "moved" if all(np.isnan(one.figures["kl"].value) for one in found) else "kl"


def curve(found: Sequence[Outcome], control: bool, **place: object) -> list[Outcome]:
    """The outcomes of one place in ascending order of what is kept; chance shares its ends with the rest."""
    here = [one for one in found if all(getattr(one.condition, name) == value for name, value in place.items())]
    # Where nothing or everything is kept, nothing was drawn: both curves go through the same points.
    middle = {one.condition.share for one in here if one.condition.control}
    kept = [one for one in here if one.condition.control == control or one.condition.share not in middle]
    return sorted(kept, key=lambda one: one.condition.share)


def needed(curve: Sequence[Outcome], measure: str) -> Outcome | None:
    """The least that is kept from which on the loss is at most `ENOUGH` of that when nothing is kept.

    None where that is not measured, or nothing is lost.
    """
    if not curve or curve[0].condition.share != 0:
        return None
    most = curve[0].figures[measure].value
    enough = None
    # From all that is kept downwards: a loss that dips once among larger ones is not enough.
    for one in reversed(curve):
        if not one.figures[measure].value <= ENOUGH * most:
            break
        enough = one
    return enough
