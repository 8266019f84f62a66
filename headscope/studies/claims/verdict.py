"""What may be said of a claim, and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from headscope.corpus.estimates import Estimate

Ruling = Literal["holds", "fails", "undetermined", "not applicable"]
RULINGS: tuple[Ruling, ...] = get_args(Ruling)
Arithmetic = Literal["right", "published"]
ARITHMETICS: tuple[Arithmetic, ...] = get_args(Arithmetic)
Condition = bool | None  # None: the interval does not decide


@dataclass(frozen=True)
class Finding:
    """One claim under one arithmetic and reference: the ruling, and what it rests on.

    `reference` is None where no vocabulary is encoded by a layer, or all references are one. `found` says in a sentence
    what was found, or why nothing can be said. `value` is the claim's statistic, with its 95 % interval `low`, `high`
    and what chance gives, None where there is none. `figures`: every number that the ruling was made from.
    """

    claim: str
    arithmetic: Arithmetic
    reference: str | None
    ruling: Ruling
    found: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    chance: float | None = None
    figures: tuple[dict[str, Any], ...] = ()


def above(estimate: Estimate, bound: float = 0.0) -> Condition:
    """Whether a figure is above a bound: True or False where its whole interval says so, else None.

    >>> import numpy as np
    >>> above(Estimate(0.5, np.linspace(0.4, 0.6, 100))), above(Estimate(0.0, np.linspace(-1, 1, 100)))
    (True, None)
    """
    if estimate.low > bound:
        return True
    return False if estimate.high < bound else None


def below(estimate: Estimate, bound: float = 0.0) -> Condition:
    """Whether a figure is below a bound; see `above`."""
    found = above(estimate, bound)
    return None if found is None else not found


def within(estimate: Estimate, margin: float) -> Condition:
    """Whether a figure is within ±margin of 0: True where all of its interval is, False where none is, else None."""
    if estimate.low >= -margin and estimate.high <= margin:
        return True
    return False if estimate.low > margin or estimate.high < -margin else None


def ruling(conditions: Iterable[Condition]) -> Ruling:
    """A claim holds where every condition does, and fails where one is contradicted.

    >>> ruling([True, True]), ruling([True, None, False]), ruling([True, None])
    ('holds', 'fails', 'undetermined')
    """
    found = list(conditions)
    if any(one is False for one in found):
        return "fails"
    return "holds" if all(one is True for one in found) else "undetermined"


def number(value: float) -> float | None:
    """None for what is no number, which JSON has no word for."""
    return value if math.isfinite(value) else None


def signed(estimate: Estimate) -> str:
    """A difference with its interval, with real minus signs.

    >>> import numpy as np
    >>> signed(Estimate(-0.5, np.full(9, -0.5)))
    '−0.500 [−0.500, −0.500]'
    """
    if not math.isfinite(estimate.value):
        return "–"
    between = f" [{estimate.low:.3f}, {estimate.high:.3f}]" if math.isfinite(estimate.low) else ""
    return f"{estimate.value:+.3f}{between}".replace("-", "−")


def figures_of(estimate: Estimate, **keys: Any) -> dict[str, Any]:
    """A row of figures: its keys, value and interval."""
    return keys | {"value": number(estimate.value), "low": number(estimate.low), "high": number(estimate.high)}
