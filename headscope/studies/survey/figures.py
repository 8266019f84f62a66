"""Every figure of a survey, from sums: its value, its chance and their difference, with replicates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from headscope.inference.bootstrap import Array
from headscope.inference.estimates import Estimate, Resampled, together
from headscope.question.kinds import KINDS
from headscope.reading.patterns import PATTERN
from headscope.studies.survey.sums import Totals


@dataclass(frozen=True)
class Figure:
    """One statistic of every head, and after the last head of their mean: [head + 1, class].

    `value`, and where there is a chance level, that level, the `difference` from it and the difference's p; `positions`
    and `paired` count the tokens of the value, and of chance and difference. What was `resampled`, value and
    difference, takes 2,000 times as much, and is left out where only intervals are wanted.
    """

    statistic: str
    positions: Array
    value: Estimate[Array]
    paired: Array | None = None
    chance: Array | None = None
    difference: Estimate[Array] | None = None
    p: Array | None = None
    resampled: tuple[Resampled[Array], Resampled[Array] | None] | None = None

    def slim(self) -> Figure:
        """The figure without what was resampled."""
        return replace(self, resampled=None)

    def numbers(self) -> dict[str, Array | None]:
        """All numbers by the names of their columns; None where there is no chance."""
        value, apart = self.value, self.difference
        found: dict[str, Array | None] = {"value": value.value, "low": value.low, "high": value.high}
        ends = (None, None, None) if apart is None else (apart.value, apart.low, apart.high)
        found |= dict(zip(("difference", "difference_low", "difference_high"), ends, strict=True))
        return found | {"chance": self.chance, "p": self.p}


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
    unknown = np.full_like(value, np.nan)
    return Figure(statistic, positions, Estimate(value, unknown, unknown))


def _ratio(sums: Totals, top: str, bottom: str) -> Resampled[Array]:
    """Σ top / Σ bottom, nan where the class is empty; the last row is the mean over heads."""
    return together(_with_mean, sums[top] / sums[bottom])


def _with_mean(heads: Array) -> Array:
    # Replicate by replicate, so that the mean's interval knows that the heads saw the same texts.
    return np.concatenate([heads, heads.mean(0, keepdims=True)])


def _count(sums: Totals, name: str, value: Array) -> Array:
    """How many tokens a figure is of: [head + 1, class]."""
    return np.broadcast_to(sums[name].value[0], value.shape)


def plain(sums: Totals, statistic: str, top: str, bottom: str) -> Figure:
    """Σ top / Σ bottom, without a chance."""
    found = _ratio(sums, top, bottom)
    return Figure(
        statistic, _count(sums, bottom, found.value), found.estimate, resampled=(found, None)
    )  # fmt: skip


_OWN = {"auc_own": "auc", "own_at_1": "at_1", "own_at_10": "at_10"}


def against_chance(sums: Totals, statistic: str, top: str) -> Figure:
    """Σ top over the tokens with an own rank; chance and difference are those of the paired ones."""
    chance, more = (_ratio(sums, f"{top}_{name}", "own_paired") for name in ("chance", "more"))
    return _against(sums, statistic, _ratio(sums, top, "own"), "own", chance.value, more, "own_paired")


def _in_text(sums: Totals) -> Figure:
    paired, chance = (_ratio(sums, f"in_text_{name}", "paired") for name in ("paired", "chance"))
    return _against(sums, "in_text", _ratio(sums, "in_text", "all"), "all", chance.value, paired - chance, "paired")


def _kappa(sums: Totals) -> Figure:
    """(p − p₀)/(1 − p₀) of the paired tokens: 0 by chance, 1 at most; nan where chance leaves no room for more."""

    def kappa(p: Array, p0: Array, n: Array) -> Array:
        return _with_mean((p - p0) / np.where(n - p0 > 1e-9 * n, n - p0, np.nan))

    found = together(kappa, *(sums[name] for name in ("in_text_paired", "in_text_chance", "paired")))
    return _zero_by_chance(sums, "kappa", found, "paired")


def against_zero(sums: Totals, statistic: str, top: str, count: str) -> Figure:
    """Σ top / Σ count, that chance makes 0 by its definition."""
    return _zero_by_chance(sums, statistic, _ratio(sums, top, count), count)


def _zero_by_chance(sums: Totals, statistic: str, value: Resampled[Array], count: str) -> Figure:
    return _against(sums, statistic, value, count, np.zeros_like(value.value), value, count)


def _against(
    sums: Totals,
    statistic: str,
    value: Resampled[Array],
    count: str,
    chance: Array,
    more: Resampled[Array],
    paired: str,
) -> Figure:
    n, n_paired = (_count(sums, name, value.value) for name in (count, paired))
    return Figure(statistic, n, value.estimate, n_paired, chance, more.estimate, more.p, (value, more))
