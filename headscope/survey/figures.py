"""Every figure of a survey, from sums: its value, its chance and their difference, with replicates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headscope.kinds import KINDS
from headscope.survey.bootstrap import Array, interval, p_value
from headscope.survey.sums import Totals
from headscope.survey.tables import PATTERN


@dataclass(frozen=True)
class Figure:
    """One statistic of every head, and after the last head of their mean: [head + 1, class].

    `replicates` [head + 1, class, replicate] are those of the difference where there is a chance, else of the value.
    """

    statistic: str
    positions: Array
    paired: Array | None
    value: Array
    low: Array
    high: Array
    chance: Array | None
    difference: Array | None
    difference_low: Array | None
    difference_high: Array | None
    p: Array | None
    value_replicates: Array
    difference_replicates: Array | None


def of_rows(sums: Totals) -> list[Figure]:
    """The figures of one layer, view, metric and mask."""
    return [
        _against_chance(sums, "auc_own", "auc", "own", "auc_paired", "auc_chance", "own_paired"),
        _against_chance(sums, "own_at_1", "at_1", "own", "at_1_paired", "at_1_chance", "own_paired"),
        _against_chance(sums, "own_at_10", "at_10", "own", "at_10_paired", "at_10_chance", "own_paired"),
        _against_chance(sums, "in_text", "in_text", "all", "in_text_paired", "in_text_chance", "paired"),
        _kappa(sums),
        _against_zero("signal", _ratio(sums, "signal", "heard"), sums["heard"][0]),
        *(_plain(sums, f"kind_{kind}", f"kind_{kind}", "all") for kind in KINDS),
    ]


def of_patterns(sums: Totals) -> list[Figure]:
    """The figures of one layer's patterns under one mask."""
    return [_plain(sums, name, name, "with_previous" if name == "on_previous" else "all") for name in PATTERN]


_Both = tuple[Array, Array]  # a figure [head + 1, class], and its replicates [head + 1, class, replicate]


def _ratio(sums: Totals, top: str, bottom: str) -> _Both:
    """Σ top / Σ bottom, nan where the class is empty; the last row is the mean over heads."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = [above / below for above, below in zip(sums[top], sums[bottom], strict=True)]
    return _with_mean(found[0]), _with_mean(found[1])


def _with_mean(heads: Array) -> Array:
    return np.concatenate([heads, heads.mean(0, keepdims=True)])


def _count(heads: Array) -> Array:
    """Tokens of the heads, and of the layer: no more than a head's."""
    return np.concatenate([heads, heads.max(0, keepdims=True)])


def _plain(sums: Totals, statistic: str, top: str, bottom: str) -> Figure:
    value, replicates = _ratio(sums, top, bottom)
    low, high = interval(replicates)
    return Figure(
        statistic, _count(sums[bottom][0]), None, value, low, high, None, None, None, None, None, replicates, None
    )


def _against_chance(
    sums: Totals, statistic: str, top: str, bottom: str, top_paired: str, top_chance: str, bottom_paired: str
) -> Figure:
    """The value is that of all tokens; chance and difference are those of the paired ones."""
    value, replicates = _ratio(sums, top, bottom)
    paired, paired_replicates = _ratio(sums, top_paired, bottom_paired)
    chance, chance_replicates = _ratio(sums, top_chance, bottom_paired)
    apart = paired_replicates - chance_replicates
    low, high = interval(replicates)
    difference_low, difference_high = interval(apart)
    return Figure(
        statistic,
        _count(sums[bottom][0]),
        _count(sums[bottom_paired][0]),
        value,
        low,
        high,
        chance,
        paired - chance,
        difference_low,
        difference_high,
        p_value(apart),
        replicates,
        apart,
    )


def _kappa(sums: Totals) -> Figure:
    """(p − p₀)/(1 − p₀) of the paired tokens: 0 by chance, 1 at most."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = []
        for p, p0, n in zip(sums["in_text_paired"], sums["in_text_chance"], sums["paired"], strict=True):
            found.append(_with_mean((p - p0) / (n - p0)))
    return _against_zero("kappa", (found[0], found[1]), sums["paired"][0])


def _against_zero(statistic: str, both: _Both, count: Array) -> Figure:
    """A figure that chance makes 0 by its definition."""
    value, replicates = both
    low, high = interval(replicates)
    zero = np.zeros_like(value)
    n = _count(count)
    return Figure(
        statistic, n, n, value, low, high, zero, value, low, high, p_value(replicates), replicates, replicates
    )
