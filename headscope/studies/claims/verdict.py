"""What may be said of a claim, and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from headscope.inference.estimates import number
from headscope.inference.verdicts import Condition, Interval, Ruling
from headscope.show.numbers import between, rate

Arithmetic = Literal["right", "published"]


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


def ruled(holds: Iterable[Condition], reverse: Iterable[Condition]) -> Ruling:
    """A claim holds where every condition does, and is contradicted where something shows its reverse.

    A condition that is not met is not yet the reverse.

    >>> ruled([True, False], [False]), ruled([True, False], [None, True]), ruled([True], [False])
    ('undetermined', 'contradicted', 'holds')
    """
    if any(one is True for one in reverse):
        return "contradicted"
    return "holds" if all(one is True for one in holds) else "undetermined"


def agreed(conditions: Iterable[Condition]) -> Condition:
    """One condition that is asked in several ways: what all of them say, None where they do not say the same.

    >>> agreed([True, True]), agreed([False, False]), agreed([True, False]), agreed([False, None])
    (True, False, None, None)
    """
    found = set(conditions)
    return found.pop() if len(found) == 1 else None


def signed(figure: Interval) -> str:
    """A difference with its interval, with real minus signs.

    >>> from headscope.inference.estimates import Estimate
    >>> signed(Estimate(-0.5, -0.5, -0.5))
    '−0.500 [−0.500, −0.500]'
    """
    if not math.isfinite(figure.value):
        return "–"
    interval = f" {between(figure.low, figure.high)}" if math.isfinite(figure.low) else ""
    return rate(figure.value, signed=True) + interval


def figures_of(figure: Interval, /, **keys: Any) -> dict[str, Any]:
    """A row of figures: its keys, value and interval."""
    return keys | {"value": number(figure.value), "low": number(figure.low), "high": number(figure.high)}
