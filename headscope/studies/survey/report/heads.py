"""Layer × head charts: what differs from chance and how far, and how much weight goes where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from functools import partial
from math import ceil
from typing import TypeVar

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
from headscope.show.numbers import two
from headscope.studies.survey.headline import Headline, Over
from headscope.studies.survey.opened import OpenedSurvey, Stat, View
from headscope.studies.survey.report.measures import (
    MEASURES,
    PATTERN,
    SAME_GENRE,
    TOPIC_MATCHED,
    Measure,
    head_name,
    mask,
    slug,
    view_name,
)
from headscope.studies.survey.report.three_lines import TITLES

HELD = {"even": "even attention", "twins": "untrained twins", "values": "twins that attend as it does"}
T = TypeVar("T")

_NUMBERED = 16  # heads a layer, up to which a cell holds its number
_DARK = STEPS - 2  # shades from this one on take light text
_NARROWEST = 7.0  # inches
_ACROSS = 3  # panels of the measures side by side
Paint = Callable[[Axes, float, float, T | None], None]


def against_chance(name: str, survey: OpenedSurvey, view: View) -> Chart:
    """For every head the measures over chance, and whether that is above, below, at chance or undetermined."""
    return _against(
        name,
        f"Every head against chance: {view_name(view)}",
        "A number is the difference from chance: from even attention for Own and Carry, from the outputs of other "
        f"documents for the rest; {_SIGNS}",
        survey,
        view,
        MEASURES,
    )


def against_same_genre(name: str, survey: OpenedSurvey, view: View) -> Chart:
    """The same of the measures whose chance is of the same genre."""
    title = f"Every head against documents of the same genre: {view_name(view)}"
    caption = f"A number is the difference from topic-matched chance; {_SIGNS} {SAME_GENRE}"
    return _against(name, title, caption, survey, view, TOPIC_MATCHED)


_SIGNS = (
    "a sign in brackets: sure, and small. White with =: the interval includes 0 and lies "
    f"within ±{MARGIN} (of a rate also within half to double its chance). Grey and hatched: neither that nor told "
    "apart from chance. Empty: not measured."
)


def _against(
    name: str, title: str, caption: str, survey: OpenedSurvey, view: View, measures: Sequence[Measure]
) -> Chart:
    across = _ACROSS if len(measures) % _ACROSS == 0 else 2
    rows: list[tuple[Cell, ...]] = []
    with style():
        drawn, axes = _panels(survey, len(measures), across)
        for ax, measure in zip(axes, measures, strict=True):
            stats = _grid(survey, view, measure.statistic)
            most = max((abs(s.difference) for s in stats.values() if s and s.difference is not None), default=0.0)
            _cells(ax, survey, stats, partial(_paint, most=most, numbered=survey.heads <= _NUMBERED))
            ax.set_title(measure.over_chance)
            ax.set_xlabel(f"head · darkest shade: ±{most:.2f}")
            rows += [
                (
                    *(head_name(*place), measure.statistic, s.value, s.low, s.high, s.chance),
                    *(s.difference, s.difference_low, s.difference_high, s.q, s.verdict),
                    *("small" if s.small else None, s.smallest),
                )
                for place, s in stats.items()
                if s
            ]
        for ax in axes[::across]:
            ax.set_ylabel("layer")
        # Without its head: the legend says it all.
        drawn.legend(handles=_legend(), loc="outside lower center", ncols=4, handlelength=1.6, handleheight=1.3)
        svg = to_svg(drawn, slug(name))
    return Chart(
        slug(name),
        title,
        caption,
        svg,
        (
            *("head", "statistic", "value", "low", "high", "chance"),
            *("difference", "difference_low", "difference_high", "q", "verdict"),
            *("small", "smallest"),
        ),
        tuple(rows),
    )


def over_both(name: str, survey: OpenedSurvey, found: Sequence[Headline]) -> Chart:
    """For every head Own and Carry over even attention and over untrained twins; a frame where it stands out."""
    kinds = [kind for kind in HELD if any(getattr(head, kind) is not None for one in found for head in one.heads)]
    shown = [(one, kind) for one in found for kind in kinds]
    with style():
        drawn, axes = _panels(survey, len(shown), min(len(shown), 2 * len(kinds) if len(kinds) < _ACROSS else _ACROSS))
        for ax, (one, kind) in zip(axes, shown, strict=True):
            parts: dict[tuple[int, int], Over | None] = {
                (head.layer, head.head): getattr(head, kind) for head in one.heads
            }
            most = max((abs(part.difference) for part in parts.values() if part), default=0.0)
            _cells(ax, survey, parts, partial(_over, most=most, numbered=survey.heads <= _NUMBERED))
            for head in one.those("stands out"):
                _frame(ax, head.head - 0.5, head.layer - 0.5)
            ax.set_title(f"{TITLES[one.statistic]}\n− {HELD[kind]}", fontsize=8.5)
            ax.set_xlabel(f"head · darkest shade: ±{most:.2f}")
        axes[0].set_ylabel("layer")
        drawn.legend(handles=_legend_over(any(one.with_twins for one in found)), loc="outside lower center", ncols=3)
        svg = to_svg(drawn, slug(name))
    return Chart(slug(name), *_told(found), svg, _OVER_COLUMNS, tuple(row for one in found for row in _over_rows(one)))


def _told(found: Sequence[Headline]) -> tuple[str, str]:
    """Title and caption of `over_both`."""
    view, twins = view_name(found[0].view), any(one.with_twins for one in found)
    values = any(head.values is not None for one in found for head in one.heads)
    counts = ", ".join(
        f"{TITLES[one.statistic]} {len(one.those('stands out', 'more than even attention')) or 'none'} of "
        f"{len(one.heads)}"
        for one in found
    )
    return (
        f"{'Heads that stand out' if twins else 'Heads above even attention'}: {counts}; {view}",
        "Own within the text: by how much an output is nearer to its own token than other outputs of the text are. "
        "Carry: by how much it is nearer to the tokens that the head attends to. A number is what the head has over "
        "what even attention would give"
        + (", or over the mean of untrained twins; framed: above both. " if twins else "; no twins were measured. ")
        + ("Beside them, over such twins with the attention of the model. " if values else "")
        + f"A sign in brackets: sure, and less than {MARGIN}. White with =: at most {MARGIN} above. Grey and hatched: "
        "these texts cannot tell. Empty: no figure.",
    )


_OVER_COLUMNS = (
    *("head", "statistic", "conclusion", "smallest"),
    *(f"{kind}_{name}" for kind in HELD for name in ("difference", "low", "high", "q", "q_above", "smallest")),
)


def _over_rows(one: Headline) -> list[tuple[Cell, ...]]:
    return [
        (
            *(head_name(head.layer, head.head), one.statistic, head.conclusion, head.smallest),
            *(value for kind in HELD for value in _numbers(getattr(head, kind))),
        )
        for head in one.heads
    ]


def _numbers(part: Over | None) -> tuple[Cell, ...]:
    return (None,) * 6 if part is None else astuple(part)


def mixing(name: str, survey: OpenedSurvey, mask_name: str) -> Chart:
    """For every head how its attention is spread: entropy, and the weight on three kinds of position."""
    view = View(None, None, None, mask_name)
    rows: list[tuple[Cell, ...]] = []
    with style():
        drawn, axes = _panels(survey, len(PATTERN), len(PATTERN))
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


def _panels(survey: OpenedSurvey, count: int, across: int) -> tuple[Canvas, list[Axes]]:
    narrowest = max(1.9, _NARROWEST / across - 0.35)  # the legend has to find room
    width = min(max(0.3 * survey.heads, narrowest), 3.9 if across < 4 else 2.9)
    height = min(max(width / survey.heads, 0.2), 0.3) * survey.layers
    rows = ceil(count / across)
    drawn = canvas(across * (width + 0.35), rows * (height + 0.6) + 0.5)
    return drawn, list(drawn.subplots(rows, across, squeeze=False).flat)


def _grid(survey: OpenedSurvey, view: View, statistic: str) -> dict[tuple[int, int], Stat | None]:
    return {(layer, head): survey.stat(view, statistic, layer, head) for layer, head in survey.places}


def _cells(ax: Axes, survey: OpenedSurvey, stats: Mapping[tuple[int, int], T | None], paint: Paint[T]) -> None:
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
    _stand(ax, x, y, stat.verdict, stat.difference, most, _number(stat.difference, bool(stat.small), numbered))


def _stand(ax: Axes, x: float, y: float, verdict: str, difference: float, most: float, number: str) -> None:
    """A cell that says by its ground, and without it, how a difference stands to 0."""
    if verdict in ("above", "below"):
        shade = _shade(abs(difference), most)
        _box(ax, x, y, (ABOVE if verdict == "above" else BELOW)[shade])
        _write(ax, x, y, number, ON_STRONG if shade >= _DARK else TEXT)
    elif verdict == "undetermined":
        _box(ax, x, y, GREY, "////")
    else:
        _box(ax, x, y, PAPER)
        _write(ax, x, y, "=", SOFT)


def _over(ax: Axes, x: float, y: float, part: Over | None, most: float, numbered: bool) -> None:
    if part is not None:
        number = _number(part.difference, abs(part.difference) < MARGIN, numbered)
        _stand(ax, x, y, part.standing, part.difference, most, number)


def _frame(ax: Axes, x: float, y: float) -> None:
    ax.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor=TEXT.light, linewidth=1.6, zorder=3))


def _amount(ax: Axes, x: float, y: float, stat: Stat | None, most: float, numbered: bool) -> None:
    if stat is None:
        return
    shade = _shade(stat.value, most)
    _box(ax, x, y, AMOUNT[shade])
    _write(ax, x, y, two(stat.value).lstrip("+") if numbered else "", ON_STRONG if shade >= _DARK else TEXT)


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


def _number(difference: float, small: bool, numbered: bool) -> str:
    """What a cell holds of a sure difference: of a small one its sign."""
    if not numbered:
        return ""
    return f"({'−' if difference < 0 else '+'})" if small else two(difference)


def _legend() -> list[Patch]:
    return [
        Patch(facecolor=ABOVE[2].light, edgecolor=RULE.light, label="above chance (+)"),
        Patch(facecolor=BELOW[2].light, edgecolor=RULE.light, label="below chance (−)"),
        Patch(facecolor=PAPER.light, edgecolor=HATCH.light, label="at chance (=)"),
        Patch(facecolor=GREY.light, edgecolor=HATCH.light, hatch="////", label="undetermined (hatched)"),
    ]


def _legend_over(twins: bool) -> list[Patch]:
    above, below, equal, open_one = _legend()
    above.set_label("above (+)")
    below.set_label("below (−)")
    equal.set_label(f"at most {MARGIN} above (=)")
    frame = Patch(facecolor="none", edgecolor=TEXT.light, linewidth=1.6, label="stands out: above both")
    return [above, below, equal, open_one, *([frame] if twins else [])]
