"""Every figure of a survey, from sums: its value, its chance and their difference, with replicates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from headscope.corpus.bootstrap import Array, interval, p_value
from headscope.question.kinds import KINDS
from headscope.studies.survey.sums import Totals
from headscope.studies.survey.tables import PATTERN


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

    def slim(self) -> Figure:
        """The figure without its replicates, which take 2,000 times as much."""
        return replace(self, value_replicates=np.empty(0), difference_replicates=None)


def of_rows(sums: Totals) -> list[Figure]:
    """The figures of one layer, view, metric and mask."""
    return [
        *(against_chance(sums, statistic, top) for statistic, top in _OWN.items()),
        _in_text(sums),
        _kappa(sums),
        against_zero(sums, "signal", "signal", "heard"),
        *(plain(sums, f"kind_{kind}", f"kind_{kind}", "all") for kind in KINDS),
    ]


def of_patterns(sums: Totals) -> list[Figure]:
    """The figures of one layer's patterns under one mask."""
    return [plain(sums, name, name, "with_previous" if name == "on_previous" else "all") for name in PATTERN]


def without_interval(statistic: str, positions: Array, value: Array) -> Figure:
    """A figure [head + 1, class] that is not resampled."""
    unknown, none = np.full_like(value, np.nan), np.empty(0)
    return Figure(statistic, positions, None, value, unknown, unknown, None, None, None, None, None, none, None)


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


def plain(sums: Totals, statistic: str, top: str, bottom: str) -> Figure:
    """Σ top / Σ bottom, without a chance."""
    value, replicates = _ratio(sums, top, bottom)
    low, high = interval(replicates)
    n = _count(sums, bottom, value)
    return Figure(statistic, n, None, value, low, high, None, None, None, None, None, replicates, None)


_OWN = {"auc_own": "auc", "own_at_1": "at_1", "own_at_10": "at_10"}


def against_chance(sums: Totals, statistic: str, top: str) -> Figure:
    """Σ top over the tokens with an own rank; chance and difference are those of the paired ones."""
    more = _ratio(sums, f"{top}_more", "own_paired")
    chance = _ratio(sums, f"{top}_chance", "own_paired")[0]
    return _against(sums, statistic, _ratio(sums, top, "own"), "own", chance, more, "own_paired")


def _in_text(sums: Totals) -> Figure:
    paired, chance = (_ratio(sums, f"in_text_{name}", "paired") for name in ("paired", "chance"))
    more = paired[0] - chance[0], paired[1] - chance[1]
    return _against(sums, "in_text", _ratio(sums, "in_text", "all"), "all", chance[0], more, "paired")


def _kappa(sums: Totals) -> Figure:
    """(p − p₀)/(1 − p₀) of the paired tokens: 0 by chance, 1 at most; nan where chance leaves no room for more."""
    found = []
    for p, p0, n in zip(sums["in_text_paired"], sums["in_text_chance"], sums["paired"], strict=True):
        room = np.where(n - p0 > 1e-9 * n, n - p0, np.nan)
        found.append(_with_mean((p - p0) / room))
    return _zero_by_chance(sums, "kappa", (found[0], found[1]), "paired")


def against_zero(sums: Totals, statistic: str, top: str, count: str) -> Figure:
    """Σ top / Σ count, that chance makes 0 by its definition."""
    return _zero_by_chance(sums, statistic, _ratio(sums, top, count), count)


def _zero_by_chance(sums: Totals, statistic: str, both: _Both, count: str) -> Figure:
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
