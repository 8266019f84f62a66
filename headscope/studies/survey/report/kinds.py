"""What the nearest token is to the text, by layer: bars that add up to 1, told apart by colour and by pattern."""

from __future__ import annotations

from collections.abc import Sequence

from headscope.show.charts.chart import Cell, Chart, canvas, ticks
from headscope.show.charts.palette import HATCH, PAPER
from headscope.show.charts.palette import KINDS as LOOKS
from headscope.show.charts.svg import style, to_svg
from headscope.studies.survey.opened import OpenedSurvey, View
from headscope.studies.survey.report.measures import KINDS, group, reference, slug


def kinds(name: str, survey: OpenedSurvey, views: Sequence[View]) -> Chart:
    """One panel a reference: how often the nearest token is of each kind, mean over the layer's heads."""
    rows: list[tuple[Cell, ...]] = []
    with style():
        drawn = canvas(10.6, 2.7)
        axes = drawn.subplots(1, len(views), squeeze=False, sharey=True)[0]
        for ax, view in zip(axes, views, strict=True):
            floor = [0.0] * survey.layers
            for kind, title in KINDS.items():
                stats = [survey.stat(view, f"kind_{kind}", layer) for layer in range(survey.layers)]
                shares = [stat.value if stat else 0.0 for stat in stats]
                ground, hatch = LOOKS[kind]
                ax.bar(
                    range(survey.layers),
                    shares,
                    width=0.8,
                    bottom=floor,
                    label=title,
                    color=ground.light,
                    hatch=hatch,
                    edgecolor=(HATCH if hatch else PAPER).light,
                    linewidth=0.5,
                )
                floor = [low + share for low, share in zip(floor, shares, strict=True)]
                rows += [
                    (reference(view), kind, layer, stat.value, stat.low, stat.high)
                    for layer, stat in enumerate(stats)
                    if stat
                ]
            ax.set_title(reference(view))
            ax.set_xticks(ticks(survey.layers))
            ax.set_xlabel("layer")
            ax.set_ylim(0, 1)
        axes[0].set_ylabel("share of tokens")
        handles, labels = axes[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=len(KINDS))
        svg = to_svg(drawn, slug(name))
    return Chart(
        slug(name),
        f"What the nearest token is: {group(views[0])}",
        "Of all tokens that are not special, mean over the layer's heads.",
        svg,
        ("reference", "kind", "layer", "value", "low", "high"),
        tuple(rows),
    )
