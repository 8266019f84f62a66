"""Charts of capacity: what is lost by what is kept, layer by layer; sizes; reproductions."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from statistics import median
from typing import TYPE_CHECKING

from headscope.inference.estimates import Estimate, number
from headscope.show.charts import curves as drawn
from headscope.show.charts import lines
from headscope.show.charts.chart import Chart
from headscope.show.charts.curves import Curve, Kept
from headscope.studies.capacity.figures import Outcome, Size, curve
from headscope.studies.capacity.mixed import EVERY, KINDS, Mixed
from headscope.studies.capacity.words import LOSSES, SITES
from headscope.studies.survey.report.measures import slug

if TYPE_CHECKING:
    from headscope.studies.capacity.forgetting import Forgetting

_OWN_TITLE = "1 − (own rank − 1)/(V − 1)"
RECOVERED = {"own_auc": _OWN_TITLE, "linear_at_1": "own token found first by a linear map"}
_METHODS = {
    "dimension": ("principal axes", "random axes"),
    "number": ("most alike merged", "random ones merged"),
}

_SIZES = (("95 % of the variance", "dimension_95"), ("participation ratio", "participation_ratio"))


def titles(measure: str) -> str:
    """What a measure is, in words."""
    return (RECOVERED | LOSSES)[measure]


def curves(found: Sequence[Outcome], what: str, site: str, measure: str, layers: int) -> Chart:
    """One panel a layer: a measure by what is kept, and the same by chance."""
    here = [one for one in found if one.condition.site == site and one.condition.head is None]
    panels = [
        [
            Curve(label, [_kept(one, measure) for one in curve(here, bool(by_chance), layer=layer)])
            for by_chance, label in enumerate(_METHODS[what])
        ]
        for layer in range(layers)
    ]
    whose = "dimensions kept" if what == "dimension" else "share of the encodings kept"
    title = f"{titles(measure)}, by {whose}: {SITES[site]}"
    return drawn.by_layer(
        slug("capacity", what, site, measure),
        title[0].upper() + title[1:],
        "Means over tokens; the bands are 95 % intervals, by document.",
        panels,
        whose,
    )


def by_layer(found: Sequence[Outcome], what: str, measure: str, layers: int) -> Chart:
    """What is lost across the layers, one line for every share that is kept; one panel a site."""
    panels = []
    for site in dict.fromkeys(one.condition.site for one in found if one.condition.head is None):
        here = [one for one in found if one.condition.site == site and not one.condition.control]
        shares = sorted({one.condition.share for one in here})
        series = [
            lines.Series(
                f"{share:g}",
                [_point(one.condition.layer, one.figures[measure]) for one in here if one.condition.share == share],
            )
            for share in shares
        ]
        panels.append(lines.Panel(SITES[site], series))
    whose = "dimensions" if what == "dimension" else "encodings"
    return lines.chart(
        slug("capacity", what, "by-layer"),
        f"What every layer loses: {titles(measure)}",
        f"One line for each share of the {whose} that is kept; 95 % intervals, by document.",
        panels,
        layers,
    )


def sizes(found: Sequence[Size], layers: int) -> Chart:
    """Participation ratio and 95 % dimension by layer, with intervals; of the heads the median, with their range."""
    panels = []
    for site, title in (("head", "a head"), ("z", SITES["z"]), ("residual", SITES["residual"])):
        here = [size for size in found if size.site == site]
        by: list[list[Size]] = [[size for size in here if size.layer == layer] for layer in range(layers)]
        series = [lines.Series(label, [_filled(n, some, name) for n, some in enumerate(by)]) for label, name in _SIZES]
        panels.append(lines.Panel(f"{title} (of {here[0].width})", series))
    return lines.chart(
        "capacity-sizes",
        "How many dimensions the encodings fill",
        "Of the texts that the axes are fitted on, with 95 % intervals by document. Of the heads the median, and their "
        "range as bars.",
        panels,
        layers,
    )


def mixing(found: Sequence[Mixed], layers: int) -> Chart:
    """The four ratios by layer: of texts alone, over all positions and over those that are not special, and joined."""
    panels = []
    for of in dict.fromkeys(one.of for one in found):
        series = []
        for kind, label in KINDS.items():
            here = [one for one in found if one.kind == kind and one.of == of and one.layer is not None]
            points = [_point(one.layer or 0, one.figure) for one in here if isfinite(one.figure.value)]
            series.append(lines.Series(label, points))
        panels.append(lines.Panel(EVERY[of], [one for one in series if one.points]))
    return lines.chart(
        "reproduction-mixing",
        "Mixing ratio by layer",
        "How much comes from other positions: means over tokens, with 95 % intervals by document.",
        panels,
        layers,
    )


def forgetting(found: Forgetting, layers: int) -> Chart:
    """Mutual information by level, as a share of the most there can be, and the own token's rank beside it."""
    series = [
        lines.Series(
            one.of,
            [
                lines.Point(level, *(end / one.entropy for end in (figure.value, figure.low, figure.high)))
                for level, figure in enumerate(one.levels)
            ],
        )
        for one in found.curves
    ]
    panels = [lines.Panel("information, share of the most", series)]
    if found.own_auc:
        own = [_point(level, figure) for level, figure in enumerate(found.own_auc)]
        panels.append(lines.Panel(_OWN_TITLE, [lines.Series("own token", own)]))
    return lines.chart(
        "reproduction-forgetting",
        "What the stream tells of a token, level by level",
        "Level 0 is what block 0 gets, level l what leaves layer l − 1. Left: the mean of three draws, their range as "
        "bars. Right: 95 % intervals by document.",
        panels,
        layers + 1,
    )


def _kept(one: Outcome, measure: str) -> Kept:
    figure = one.figures[measure]
    share = one.condition.share if one.condition.kept is None else one.condition.kept
    return Kept(share, figure.value, figure.low, figure.high)


def _point(layer: int, one: Estimate[float]) -> lines.Point:
    return lines.Point(layer, one.value, number(one.low), number(one.high))


def _filled(layer: int, some: Sequence[Size], name: str) -> lines.Point:
    """One size with its interval; of several the median, with their range."""
    values = [getattr(size, name) for size in some]
    if len(some) == 1:
        low, high = (getattr(some[0], name + end) for end in ("_low", "_high"))
    else:
        low, high = min(values), max(values)
    return lines.Point(layer, median(values), low, high)
