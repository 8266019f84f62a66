"""S8: whether anything can be read of its own token off a head's output, by Own and by linear maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headscope.errors import InputError
from headscope.inference.estimates import number
from headscope.inference.left_out import Jackknifed
from headscope.inference.max_t import together
from headscope.inference.studentised import Studentised
from headscope.inference.verdicts import MARGIN, RATE, Ruling
from headscope.show.numbers import rate
from headscope.studies.claims.maps import Maps, Recovered
from headscope.studies.claims.surveyed import Surveyed
from headscope.studies.claims.verdict import Arithmetic, Finding, figures_of

OWN, RECOVERY = "Own", "linear map, top-1 over the control"


def linked(survey: Surveyed, arithmetic: Arithmetic, reference: str, found: Maps | InputError | None) -> Finding:
    """S8, under one reference; `found` None: no maps were fitted to these outputs.

    Contradicted where anything is above what it would be without a link, at a level corrected over layers and both
    statistics; it holds where everything is within the margin of that, all intervals at once.
    """
    if survey.layers < 2:
        return Finding("S8", arithmetic, reference, "not applicable", "the model has one layer.")
    later = range(1, survey.layers)
    own = [survey.kept("own_over_even", reference, layer) for layer in later]
    recovery = found.own[1:] if isinstance(found, Maps) else []
    figures = [
        *(figures_of(one, layer=layer, statistic=OWN) for layer, one in zip(later, own, strict=True)),
        *(
            figures_of(one.told.estimate, layer=layer, statistic=RECOVERY)
            for layer, one in zip(later, recovery, strict=False)
        ),
    ]
    told = f"Own within the text over even attention, layers 1 to {survey.layers - 1}: {_signs(own)}"
    if isinstance(found, Maps):
        told += (
            f"; top-1 of a linear map from one head over its shuffled control: {_signs([one.told for one in recovery])}"
        )
    else:
        told += "; no linear map was fitted" + (f" ({found})" if found else " to these outputs")
    ruled = _unlinked(own, recovery if isinstance(found, Maps) else None)
    strongest = max(own, key=lambda one: np.nan_to_num(one.value, nan=-np.inf))
    return Finding(
        "S8", arithmetic, reference, ruled, f"{told}.", number(strongest.value), number(strongest.low),
        number(strongest.high), 0.0, tuple(figures),
    )  # fmt: skip


def _unlinked(own: Sequence[Jackknifed[float]], recovery: Sequence[Recovered] | None) -> Ruling:
    """Of all figures at once; without recovery they can contradict the claim, and not bear it out."""
    others = recovery or []
    units = len(others[0].influences) if others else len(own[0].influences)
    # Documents first, then types, of which Own knows nothing.
    moves = [np.pad(one.influences, (0, units - len(one.influences))) for one in own]
    influences = np.nan_to_num(np.stack([*moves, *(one.influences for one in others)]))
    found = together([*(one.told for one in own), *(one.told for one in others)], influences)
    if (found.p_above <= RATE).any():
        return "contradicted"
    ends = (found.low >= -MARGIN) & (found.high <= MARGIN)
    return "holds" if recovery is not None and ends.all() else "undetermined"


def _signs(figures: Sequence[Jackknifed[float] | Studentised[float]]) -> str:
    return ", ".join(rate(one.value, signed=True) for one in figures)
