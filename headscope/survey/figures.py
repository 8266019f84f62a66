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
        *(_of_own(sums, statistic, top) for statistic, top in _OWN.items()),
        _in_text(sums),
        _kappa(sums),
        _against_zero(sums, "signal", _ratio(sums, "signal", "heard"), "heard"),
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


def _count(sums: Totals, name: str, value: Array) -> Array:
    """How many tokens a figure is of: [head + 1, class]."""
    return np.broadcast_to(sums[name][0], value.shape)


def _plain(sums: Totals, statistic: str, top: str, bottom: str) -> Figure:
    value, replicates = _ratio(sums, top, bottom)
    low, high = interval(replicates)
    n = _count(sums, bottom, value)
    return Figure(statistic, n, None, value, low, high, None, None, None, None, None, replicates, None)


_OWN = {"auc_own": "auc", "own_at_1": "at_1", "own_at_10": "at_10"}


def _of_own(sums: Totals, statistic: str, top: str) -> Figure:
    """The value is that of all tokens; chance and difference are those of the paired ones."""
    more = _ratio(sums, f"{top}_more", "own_paired")
    chance = _ratio(sums, f"{top}_chance", "own_paired")[0]
    return _against(sums, statistic, _ratio(sums, top, "own"), "own", chance, more, "own_paired")


def _in_text(sums: Totals) -> Figure:
    paired, chance = (_ratio(sums, f"in_text_{name}", "paired") for name in ("paired", "chance"))
    more = paired[0] - chance[0], paired[1] - chance[1]
    return _against(sums, "in_text", _ratio(sums, "in_text", "all"), "all", chance[0], more, "paired")


def _kappa(sums: Totals) -> Figure:
    """(p − p₀)/(1 − p₀) of the paired tokens: 0 by chance, 1 at most."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = []
        for p, p0, n in zip(sums["in_text_paired"], sums["in_text_chance"], sums["paired"], strict=True):
            found.append(_with_mean((p - p0) / (n - p0)))
    return _against_zero(sums, "kappa", (found[0], found[1]), "paired")


def _against_zero(sums: Totals, statistic: str, both: _Both, count: str) -> Figure:
    """A figure that chance makes 0 by its definition."""
    return _against(sums, statistic, both, count, np.zeros_like(both[0]), both, count)


def _against(sums: Totals, statistic: str, both: _Both, count: str, chance: Array, more: _Both, paired: str) -> Figure:
    value, replicates = both
    low, high = interval(replicates)
    more_low, more_high = (low, high) if more is both else interval(more[1])
    n, n_paired = _count(sums, count, value), _count(sums, paired, value)
    p = p_value(more[1])
    return Figure(
        statistic, n, n_paired, value, low, high, chance, more[0], more_low, more_high, p, replicates, more[1]
    )
