"""Layer × head charts: what differs from chance and how far, and how much weight goes where."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Patch, Rectangle

from headscope.inference.verdicts import MARGIN
from headscope.show.charts.chart import Cell, Chart, canvas, ticks
from headscope.show.charts.palette import (
    ABOVE,
    AMOUNT,
    BELOW,
    GREY,
    HATCH,
    ON_STRONG,
    PAPER,
    RULE,
    SOFT,
    STEPS,
    TEXT,
    Ink,
)
from headscope.show.charts.svg import style, to_svg
from headscope.studies.survey.opened import OpenedSurvey, Stat, View
from headscope.studies.survey.report.measures import MEASURES, PATTERN, head_name, mask, slug, view_name

_NUMBERED = 16  # heads a layer, up to which a cell holds its number
_DARK = STEPS - 2  # shades from this one on take light text
Paint = Callable[[Axes, float, float, Stat | None], None]


def against_chance(name: str, survey: OpenedSurvey, view: View) -> Chart:
    """For every head the three measures over chance, and whether that is above, below, at chance or undetermined."""
    rows: list[tuple[Cell, ...]] = []
    with style():
        drawn, axes = _panels(survey, len(MEASURES))
        for ax, measure in zip(axes, MEASURES, strict=True):
            stats = _grid(survey, view, measure.statistic)
            most = max((abs(s.difference) for s in stats.values() if s and s.difference is not None), default=0.0)
            _cells(ax, survey, stats, partial(_paint, most=most, numbered=survey.heads <= _NUMBERED))
            ax.set_title(measure.over_chance)
            ax.set_xlabel(f"head · darkest shade: ±{most:.2f}")
            rows += [
                (
                    *(head_name(*place), measure.statistic, s.value, s.low, s.high, s.chance),
                    *(s.difference, s.difference_low, s.difference_high, s.q, s.verdict),
                )
                for place, s in stats.items()
                if s
            ]
        axes[0].set_ylabel("layer")
        # Without its head: the legend says it all.
        drawn.legend(handles=_legend(), loc="outside lower center", ncols=4, handlelength=1.6, handleheight=1.3)
        svg = to_svg(drawn, slug(name))
    return Chart(
        slug(name),
        f"Every head against chance: {view_name(view)}",
        f"A number is the difference from chance. White with =: the whole interval lies within ±{MARGIN} of chance "
        "under every reference. Grey and hatched: neither that nor told apart from chance. Empty: not measured.",
        svg,
        (
            *("head", "statistic", "value", "low", "high", "chance"),
            *("difference", "difference_low", "difference_high", "q", "verdict"),
        ),
        tuple(rows),
    )


def mixing(name: str, survey: OpenedSurvey, mask_name: str) -> Chart:
    """For every head how its attention is spread: entropy, and the weight on three kinds of position."""
    view = View(None, None, None, mask_name)
    rows: list[tuple[Cell, ...]] = []
    with style():
        drawn, axes = _panels(survey, len(PATTERN))
        for ax, (statistic, title) in zip(axes, PATTERN.items(), strict=True):
            stats = _grid(survey, view, statistic)
            most = max((s.value for s in stats.values() if s), default=0.0) if statistic == "entropy" else 1.0
            _cells(ax, survey, stats, partial(_amount, most=most, numbered=survey.heads <= _NUMBERED))
            ax.set_title(title, fontsize=8.5)
            ax.set_xlabel(f"head · darkest shade: {most:.2f}")
            rows += [(head_name(*place), statistic, s.value, s.low, s.high) for place, s in stats.items() if s]
        axes[0].set_ylabel("layer")
        svg = to_svg(drawn, slug(name))
    return Chart(
        slug(name),
        f"Where attention goes: {mask(mask_name)}",
        "Means over all tokens that are not special.",
        svg,
        ("head", "statistic", "value", "low", "high"),
        tuple(rows),
    )


def _panels(survey: OpenedSurvey, count: int) -> tuple[Canvas, list[Axes]]:
    width = min(max(0.3 * survey.heads, 1.9), 3.9 if count < 4 else 2.9)
    height = min(max(width / survey.heads, 0.2), 0.3) * survey.layers
    drawn = canvas(count * (width + 0.35), height + 1.1)
    return drawn, list(drawn.subplots(1, count, squeeze=False)[0])


def _grid(survey: OpenedSurvey, view: View, statistic: str) -> dict[tuple[int, int], Stat | None]:
    return {(layer, head): survey.stat(view, statistic, layer, head) for layer, head in survey.places}


def _cells(ax: Axes, survey: OpenedSurvey, stats: dict[tuple[int, int], Stat | None], paint: Paint) -> None:
    for (layer, head), stat in stats.items():
        paint(ax, head - 0.5, layer - 0.5, stat)
    ax.set_xlim(-0.5, survey.heads - 0.5)
    ax.set_ylim(survey.layers - 0.5, -0.5)
    ax.set_xticks(ticks(survey.heads))
    ax.set_yticks(ticks(survey.layers))
    ax.spines[["left", "bottom"]].set_visible(False)


def _paint(ax: Axes, x: float, y: float, stat: Stat | None, most: float, numbered: bool) -> None:
    if stat is None or stat.difference is None or stat.verdict is None:
        return
    if stat.verdict in ("above", "below"):
        shade = _shade(abs(stat.difference), most)
        _box(ax, x, y, (ABOVE if stat.verdict == "above" else BELOW)[shade])
        _write(ax, x, y, _short(stat.difference) if numbered else "", ON_STRONG if shade >= _DARK else TEXT)
    elif stat.verdict == "at chance":
        _box(ax, x, y, PAPER)
        _write(ax, x, y, "=", SOFT)
    else:
        _box(ax, x, y, GREY, "////")


def _amount(ax: Axes, x: float, y: float, stat: Stat | None, most: float, numbered: bool) -> None:
    if stat is None:
        return
    shade = _shade(stat.value, most)
    _box(ax, x, y, AMOUNT[shade])
    _write(ax, x, y, _short(stat.value).lstrip("+") if numbered else "", ON_STRONG if shade >= _DARK else TEXT)


def _shade(value: float, most: float) -> int:
    return min(int(value / most * STEPS), STEPS - 1) if most > 0 else 0


def _box(ax: Axes, x: float, y: float, ground: Ink, hatch: str = "") -> None:
    edge = HATCH if hatch else RULE
    ax.add_patch(
        Rectangle(
            (x, y), 1, 1, facecolor=ground.light, hatch=hatch, edgecolor=edge.light, linewidth=0.4 if hatch else 0.6
        )
    )


def _write(ax: Axes, x: float, y: float, text: str, ink: Ink) -> None:
    if text:
        ax.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=6.3, color=ink.light)


def _short(value: float) -> str:
    """Two digits without the zero before the point."""
    shown = f"{abs(value):.2f}"
    shown = shown[1:] if shown.startswith("0") else shown[:3]
    return ("−" if value < 0 else "+") + shown


def _legend() -> list[Patch]:
    return [
        Patch(facecolor=ABOVE[2].light, edgecolor=RULE.light, label="above chance (+)"),
        Patch(facecolor=BELOW[2].light, edgecolor=RULE.light, label="below chance (−)"),
        Patch(facecolor=PAPER.light, edgecolor=HATCH.light, label="at chance (=)"),
        Patch(facecolor=GREY.light, edgecolor=HATCH.light, hatch="////", label="undetermined (hatched)"),
    ]
