"""Every figure of a survey, from sums: its value, its chance and their difference, with and without each group."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headscope.inference.bootstrap import Array
from headscope.inference.left_out import Jackknifed, changed
from headscope.question.kinds import KINDS
from headscope.reading.patterns import PATTERN
from headscope.studies.survey.tables import MATCHED, SIGNALS
from headscope.studies.survey.totals import Totals


@dataclass(frozen=True)
class FigureNumbers:
    """A figure as the tables have it: [head + 1, class] each, the last row the mean over heads; nan: there is none."""

    value: Array
    low: Array
    high: Array
    p: Array
    smallest: Array

    @classmethod
    def of(cls, figure: Jackknifed[Array]) -> FigureNumbers:
        """What is told of a figure."""
        return cls(figure.value, figure.low, figure.high, figure.p, figure.smallest)


@dataclass(frozen=True)
class Figure:
    """One statistic of every head, and after the last head of their mean: [head + 1, class].

    `value`, and where there is a chance level, that level and the `difference` from it; `positions` and `paired` count
    the tokens of the value, and of chance and difference. `kept`: value and difference without each group, which take
    much room and are left out where only intervals are wanted.
    """

    statistic: str
    positions: Array
    groups: NDArray[np.int64]  # [class], that have such tokens
    value: FigureNumbers
    paired: Array | None = None
    chance: Array | None = None
    difference: FigureNumbers | None = None
    kept: tuple[Jackknifed[Array], Jackknifed[Array] | None] | None = None

    def slim(self) -> Figure:
        """The figure without what it is without each group."""
        return replace(self, kept=None)


def of_rows(sums: Totals) -> list[Figure]:
    """The figures of one layer, view, metric and mask; last those whose chance is of the same genre, where it is."""
    return [
        *_by_chance(sums, ""),
        _against_even(sums, "own", "told"),
        _against_even(sums, "carry", "carried"),
        plain(sums, "carry_ceiling", "carry_ceiling", "carried"),
        *(plain(sums, f"kind_{kind}", f"kind_{kind}", "all") for kind in KINDS),
        *(_by_chance(sums, MATCHED) if f"paired{MATCHED}" in sums else ()),
    ]


def _by_chance(sums: Totals, ends: str) -> list[Figure]:
    """The figures whose chance comes from other documents; `ends`: which, see `sums.chances`."""
    inside = (
        sums.ratio(f"in_text_paired{ends}", f"paired{ends}"),
        sums.ratio(f"in_text_chance{ends}", f"asked{ends}"),
    )
    return [
        *(against_bank(sums, statistic, top, ends) for statistic, top in _OWN.items()),
        _against(sums, f"in_text{ends}", sums.ratio("in_text", "all"), "all", *inside, f"paired{ends}"),
        _zero_by_chance(sums, f"kappa{ends}", _with_mean(sums, changed(_kappa, *inside)), f"paired{ends}"),
        *(against_zero(sums, f"{name}{ends}", f"{name}{ends}", f"heard_{name}{ends}") for name in SIGNALS),
    ]


def of_patterns(sums: Totals) -> list[Figure]:
    """The figures of one layer's patterns under one mask."""
    return [plain(sums, name, name, "with_previous" if name == "on_previous" else "all") for name in PATTERN]


def without_interval(statistic: str, positions: Array, value: Array, groups: NDArray[np.int64]) -> Figure:
    """A figure [head + 1, class] that has no interval."""
    return Figure(statistic, positions, groups, FigureNumbers(value, *[np.full_like(value, np.nan)] * 4))


def alive(sums: Totals) -> NDArray[np.bool_]:
    """Which heads tell any token from another: bool [head], or [1] where all do alike."""
    return np.asarray((sums["all"].value > 0).any(-1))


def _with_mean(sums: Totals, heads: Jackknifed[Array]) -> Jackknifed[Array]:
    """A figure of every head, and after them that of the mean over those that tell any token from another."""
    those = alive(sums)

    def joined(each: Array) -> Array:
        # Without each group in turn, so that the mean's interval knows that the heads saw the same texts.
        of_mean = each[those] if len(those) == len(each) and those.any() else each
        return np.concatenate([each, of_mean.mean(0, keepdims=True)])

    return changed(joined, heads)


def _count(sums: Totals, name: str, heads: int) -> Array:
    """How many tokens a figure is of: [head + 1, class]."""
    counted = sums[name].value
    counted = np.broadcast_to(counted, (heads, counted.shape[1]))
    return np.concatenate([counted, counted.max(0, keepdims=True)])


def _groups(figure: Jackknifed[Array]) -> NDArray[np.int64]:
    return np.asarray(figure.groups)


def plain(sums: Totals, statistic: str, top: str, bottom: str) -> Figure:
    """Σ top / Σ bottom, without a chance."""
    found = sums.ratio(top, bottom)
    whole = _with_mean(sums, found)
    return Figure(
        statistic, _count(sums, bottom, len(found.value)), _groups(whole), FigureNumbers.of(whole), kept=(whole, None)
    )  # fmt: skip


_OWN = {"auc_own": "auc", "own_at_1": "at_1", "own_at_10": "at_10"}


def against_bank(sums: Totals, statistic: str, top: str, ends: str = "") -> Figure:
    """Σ top over the tokens with an own rank; chance and difference are those of the paired ones.

    `ends`: whose chance, see `sums.chances`.
    """
    paired = sums.ratio(f"{top}_paired{ends}", f"known_paired{ends}")
    chance = sums.ratio(f"{top}_chance{ends}", f"known_asked{ends}")
    value = sums.ratio(top, "known")
    return _against(sums, f"{statistic}{ends}", value, "known", paired, chance, f"known_paired{ends}")


def _against_even(sums: Totals, name: str, count: str) -> Figure:
    """A figure of what is written where, against the same under even attention, token by token."""
    value, even = (sums.ratio(of, count) for of in (name, f"{name}_even"))
    return _against(sums, name, value, count, value, even, count)


def _kappa(p: Array, p0: Array) -> Array:
    """(p − p₀)/(1 − p₀): 0 by chance, 1 at most; nan where chance leaves no room for more."""
    return (p - p0) / np.where(1 - p0 > 1e-9, 1 - p0, np.nan)


def against_zero(sums: Totals, statistic: str, top: str, count: str) -> Figure:
    """Σ top / Σ count, that chance makes 0 by its definition."""
    return _zero_by_chance(sums, statistic, _with_mean(sums, sums.ratio(top, count)), count)


def _zero_by_chance(sums: Totals, statistic: str, whole: Jackknifed[Array], count: str) -> Figure:
    counted, told = _count(sums, count, len(whole.value) - 1), FigureNumbers.of(whole)
    zero = np.where(np.isnan(whole.value), np.nan, 0.0)
    return Figure(statistic, counted, _groups(whole), told, counted, zero, told, (whole, whole))


def _against(
    sums: Totals,
    statistic: str,
    value: Jackknifed[Array],
    count: str,
    paired: Jackknifed[Array],
    chance: Jackknifed[Array],
    paired_count: str,
) -> Figure:
    whole, level, more = (_with_mean(sums, one) for one in (value, chance, paired - chance))
    n, n_paired = (_count(sums, name, len(value.value)) for name in (count, paired_count))
    return Figure(
        statistic, n, _groups(whole), FigureNumbers.of(whole), n_paired, level.value, FigureNumbers.of(more),
        (whole, more),
    )  # fmt: skip
