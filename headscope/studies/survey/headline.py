"""What may be concluded: which heads are above even attention, and above the model's untrained twins. Knows rows alone.

A claim about a head needs both: an untrained network's mixing is more than even attention by itself. Without twins the
rows describe, and nothing is claimed. What is claimed is that it is above these two, and no more: twins attend about
evenly, and a sharp attention over values as random as theirs is above both (docs/survey.md). Whether it is that alone,
twins tell that attend as the model does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from headscope.errors import InputError, cut
from headscope.inference.verdicts import MARGIN, RATE
from headscope.question.shown import Summarised
from headscope.studies.survey.contrasts import EVEN, TWINS, VALUES
from headscope.studies.survey.opened import View

Standing = Literal["above", "below", "not above", "undetermined"]
Conclusion = Literal["stands out", "more than even attention", "does not stand out", "undetermined"]
STATISTICS = ("own", "carry")
AS_SHARP = "Attention as sharp over random values may be above both as well: that is not measured."
_OVER = ("difference", "low", "high", "q", "q_above", "smallest")


@dataclass(frozen=True)
class Over:
    """What a head has over even attention, or over twins of some kind; the names are those of contrasts.parquet."""

    difference: float
    low: float | None
    high: float | None
    q: float | None
    q_above: float | None
    smallest: float | None

    @property
    def standing(self) -> Standing:
        """`above`: that much is sure, whatever its size. `not above`: its whole interval is no more than MARGIN above.

        >>> Over(0.10, 0.05, 0.15, 0.01, 0.005, 0.07).standing, Over(-0.10, -0.15, -0.05, 0.01, 1.0, 0.07).standing
        ('above', 'below')
        >>> Over(0.00, -0.05, 0.01, 0.90, 0.5, 0.04).standing, Over(0.10, -0.05, 0.25, 0.20, 0.1, 0.21).standing
        ('not above', 'undetermined')
        """
        if self.q_above is not None and self.q_above <= RATE:
            return "above"
        if self.q is not None and self.q <= RATE and self.difference < 0:
            return "below"
        return "not above" if self.high is not None and self.high <= MARGIN else "undetermined"


@dataclass(frozen=True)
class OverBoth:
    """A head, or the mean of a layer's, over even attention and over untrained twins (None: none were measured).

    `values`: over such twins with the model's attention, where these were measured.
    """

    even: Over
    twins: Over | None
    values: Over | None = field(default=None, kw_only=True)

    @property
    def parts(self) -> tuple[Over, ...]:
        """What it has to be above to stand out, as far as it was measured."""
        return (self.even,) if self.twins is None else (self.even, self.twins)

    @property
    def conclusion(self) -> Conclusion:
        """What may be said of it; of two that must both be above, one that is not is enough to deny it."""
        standings = [part.standing for part in self.parts]
        if all(one == "above" for one in standings):
            return "more than even attention" if self.twins is None else "stands out"
        return "does not stand out" if {"below", "not above"} & set(standings) else "undetermined"

    @property
    def least(self) -> float:
        """The smaller of its differences."""
        return min(part.difference for part in self.parts)

    @property
    def smallest(self) -> float | None:
        """The smallest effect that could have been shown where it is undetermined; None where nothing could be."""
        open_ones = [part.smallest for part in self.parts if part.standing == "undetermined"]
        known = [one for one in open_ones if one is not None]
        return max(known) if known and len(known) == len(open_ones) else None


@dataclass(frozen=True)
class HeadOver(OverBoth):
    """The same of one head, and which it is."""

    layer: int
    head: int


@dataclass(frozen=True, repr=False)
class Headline(Summarised):
    """One statistic, `own` or `carry`, of every head in one view."""

    view: View
    statistic: str
    heads: tuple[HeadOver, ...]

    @property
    def with_twins(self) -> bool:
        """Whether untrained twins were measured, so that something may be claimed."""
        return any(head.twins is not None for head in self.heads)

    def those(self, *conclusions: Conclusion) -> list[HeadOver]:
        """The heads of which one of these may be said, the largest difference first."""
        return sorted((one for one in self.heads if one.conclusion in conclusions), key=lambda one: -one.least)


def headlines(rows: Iterable[Mapping[str, Any]]) -> list[Headline]:
    """The headlines of a survey's model, from rows of contrasts.parquet; views in their order there.

    >>> from headscope.studies.tested.figures import open_figures
    >>> from headscope.studies.tested.there import there
    >>> survey = open_figures(there(scope))
    >>> own, carry = headlines(survey.contrasts)
    >>> own.statistic, carry.statistic, carry.with_twins, len(carry.heads)
    ('own', 'carry', True, 72)
    >>> best = carry.those("stands out")[0]
    >>> best.even.standing, best.twins.standing
    ('above', 'above')
    """
    found: dict[tuple[View, str], dict[tuple[int, int], dict[str, Over]]] = {}
    for (view, statistic, layer, head), over in _overs(rows).items():
        places = found.setdefault((view, statistic), {})
        if head is not None:
            places[layer, head] = over
    return [
        Headline(
            *key,
            tuple(
                HeadOver(over[EVEN], over.get(TWINS), *at, values=over.get(VALUES))
                for at, over in sorted(places.items())
                if EVEN in over
            ),
        )
        for key, places in found.items()
        if places
    ]


def of_each(rows: Iterable[Mapping[str, Any]], view: View) -> dict[tuple[str, int, int | None], OverBoth]:
    """Every head of a view, and every layer's mean (head None), by statistic, layer and head."""
    return {
        (statistic, layer, head): OverBoth(over[EVEN], over.get(TWINS), values=over.get(VALUES))
        for (of, statistic, layer, head), over in _overs(rows).items()
        if of == view and EVEN in over
    }


def _overs(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[View, str, int, int | None], dict[str, Over]]:
    """The contrasts of each head and of each layer's mean, as far as they are there."""
    found: dict[tuple[View, str, int, int | None], dict[str, Over]] = {}
    for row in _each(rows, Mapping, "rows is a list of rows, open_survey(DIR).contrasts"):
        known = row["null"] is None and row["difference"] is not None
        if known and row["between"] in (EVEN, TWINS, VALUES) and row["statistic"] in STATISTICS:
            view = View(*(row[name] for name in View._fields))
            over = found.setdefault((view, row["statistic"], row["layer"], row["head"]), {})
            over[row["between"]] = Over(*(row[name] for name in _OVER))
    return found


def principal(found: Sequence[Headline]) -> list[Headline]:
    """The headlines of the view that is told of first: the layer's own encoding where it is among them, else the first.

    It is chosen by what was asked, whatever came out.
    """
    found = list(_each(found, Headline, "found is a list of headlines, as headlines(rows) gives it"))
    views = list(dict.fromkeys(one.view for one in found))
    first = next((view for view in views if view.reference == "layer"), views[0] if views else None)
    return sorted((one for one in found if one.view == first), key=lambda one: STATISTICS.index(one.statistic))


def _each(given: Any, kind: type[Any], usual: str) -> Iterator[Any]:
    """What is in a list, where that is of one kind; InputError, with what is usual, for anything else."""
    many = isinstance(given, Iterable) and not isinstance(given, (str, bytes, Mapping))
    for one in given if many else [given]:
        if not many or not isinstance(one, kind):
            raise InputError(f"{usual}, not {cut(repr(given))}.")
        yield one
