"""Draw docs/images/findings-*.svg, the figures of docs/findings.md, from what was measured.

    python docs/figures.py DIR…

Each DIR is a finished survey, or what `headscope claims … -o DIR` wrote; findings.md has the commands. Of surveys what
is written where is drawn, over even attention and untrained twins, and of the first of them the figure of index.md; of
claims what linear maps find, and the residual stream. Needs the extra `survey`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from math import isfinite, nan
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import matplotlib as mpl
import pyarrow.parquet as pq
from matplotlib.axes import Axes

from headscope.show.charts.chart import canvas
from headscope.show.charts.palette import LINES, MARKERS, PAPER, STROKES
from headscope.show.charts.svg import CHANCE_LINE, in_page, style, to_svg, variables
from headscope.studies.claims.store import PARTS

ACROSS = 3  # panels side by side
IMAGES = Path(__file__).parent / "images"
SIZES: dict[Any, Any] = {
    "font.size": 11,
    "axes.titlesize": 11,
    "legend.fontsize": 11,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}
WRITTEN = {"own": "Own within the text", "carry": "Carry"}
NULLS = {"even": "over even attention", "random": "over untrained twins"}
PLACES = {"z": "a layer's heads", "residual": "residual stream"}
CLASSES = {"content": "content words", "function": "function words", "punctuation": "punctuation"}
UNMIXED, CHANCE = "embeddings alone", "another text's stream"
Row = dict[str, Any]


class Line(NamedTuple):
    """Points from left to right: value, and the ends of its 95 % interval, nan where there is none."""

    label: str
    x: Sequence[float]
    rows: Sequence[Sequence[float]]


class Panel(NamedTuple):
    """What stands in one pair of axes."""

    title: str
    lines: Sequence[Line]
    dotted: Sequence[tuple[float, float]] = ()  # x and y of what it is held against; else 0
    against: str = ""


def main(directories: Sequence[Path]) -> None:
    """Draw what there is of each figure."""
    surveys = [one for one in directories if (one / "contrasts.parquet").is_file()]
    asked = [one for one in directories if (one / "claims.json").is_file()]
    left = [str(one) for one in directories if one not in surveys and one not in asked]
    if left or not directories:
        sys.exit(f"usage: python docs/figures.py DIR…; {', '.join(left) or 'nothing'} is neither a survey nor claims.")
    written = [panels for survey in surveys for panels in of_survey(survey)]
    if written:
        figures = {name: [panels[n] for panels in written] for n, name in enumerate(WRITTEN.values())}
        save("findings-written", "What heads write, by layer", figures, "layer")
        save_row("findings-first", "Signal or noise? Three figures by layer", list(first(surveys[0])), "layer")
    claims = [(one, json.loads((one / "claims.json").read_text("utf-8"))) for one in asked]
    if claims:
        maps = {"top-1 over shuffled": [spread(found) for _, found in claims]}
        save("findings-spread", "What a linear map finds of a token at other positions", maps, "positions away")
        streams = {"cosine to the own token": [stream(one / PARTS / "right", found) for one, found in claims]}
        save("findings-stream", "The residual stream, by layer", streams, "after so many layers")


# ---- what is drawn ----


def of_survey(directory: Path) -> Iterator[list[Panel]]:
    """Of each mask: Own within the text and Carry, mean over a layer's heads, less each null."""
    model = json.loads((directory / "manifest.json").read_text("utf-8"))["model"]
    whole = {"null": None, "head": None, "reference": "layer", "space": "value", "metric": "cosine"}
    rows = [row for row in pq.read_table(directory / "contrasts.parquet").to_pylist() if fits(row, whole)]
    for mask in dict.fromkeys(row["mask"] for row in rows if row["between"] in NULLS):
        yield [
            Panel(
                named(model, mask),
                [
                    line(label, "layer", rows, {"mask": mask, "statistic": statistic, "between": null}, "difference")
                    for null, label in NULLS.items()
                ],
            )
            for statistic in WRITTEN
        ]


def first(survey: Path) -> Iterator[Panel]:
    """How often the nearest token is one of the text, and its chance; Own and Carry over even attention."""
    wanted = {"null": None, "statistic": "in_text", "reference": "layer", "head": None, "by": "all"}
    rows = [row for row in pq.read_table(survey / "statistics.parquet").to_pylist() if fits(row, wanted)]
    chance = sorted((row["layer"], row["chance"]) for row in rows)
    yield Panel("nearest token in the text", [line("the model", "layer", rows, {}, "value")], chance, "chance")
    for title, panel in zip(WRITTEN.values(), next(of_survey(survey)), strict=True):
        yield panel._replace(title=title)


def spread(claims: Mapping[str, Any]) -> Panel:
    """Recovery at each distance, mean over layers and both directions; dotted: before anything is mixed."""
    (found,) = next(one["findings"] for one in claims["claims"] if one["id"] == "S9")[:1]
    rows = [row for row in found["figures"] if row["offset"] and row["difference"] is not None]
    distances = sorted({abs(row["offset"]) for row in rows})
    # At layer 0 the stream is the embeddings: what a word says of its neighbours by itself.
    unmixed = [row for row in rows if row["place"] == "residual" and row["layer"] == 0]
    mixed = [row for row in rows if row not in unmixed]

    def means(of: Sequence[Row]) -> list[float]:
        return [fmean(row["difference"] for row in of if abs(row["offset"]) == one) for one in distances]

    lines = [
        Line(label, distances, [(mean, nan, nan) for mean in means([row for row in mixed if row["place"] == place])])
        for place, label in PLACES.items()
    ]
    over: dict[int, list[float]] = {}  # twins are asked at some distances alone
    for row in mixed:
        if row["place"] == "z" and row.get("over_twins") is not None:
            over.setdefault(abs(row["offset"]), []).append(row["over_twins"])
    lines.append(Line("heads less untrained twins", sorted(over), [(fmean(over[n]), nan, nan) for n in sorted(over)]))
    return Panel(
        named(claims["model"], claims["mask"]), lines, list(zip(distances, means(unmixed), strict=True)), UNMIXED
    )


def stream(survey: Path, claims: Mapping[str, Any]) -> Panel:
    """Cosine of the stream to the own token's embedding, before all layers and after each, by class of tokens."""
    rows = pq.read_table(survey / "stream.parquet").to_pylist()
    wanted = {"null": None, "statistic": "cosine", "mask": claims["mask"]}
    rows = [row | {"after_layer": row["stage"] // 2} for row in rows if fits(row, wanted) and row["stage"] % 2 == 0]
    lines = [line(label, "after_layer", rows, {"class": name}, "value") for name, label in CLASSES.items()]
    chance = [(row["after_layer"], row["chance"]) for row in rows if row["by"] == "all"]
    return Panel(named(claims["model"], claims["mask"]), lines, chance, CHANCE)


def line(label: str, across: str, rows: Sequence[Row], wanted: Row, value: str) -> Line:
    """The rows that are wanted, from left to right."""
    here = sorted((row for row in rows if fits(row, wanted)), key=lambda row: row[across])
    values = [[nan if row[name] is None else row[name] for name in (value, "low", "high")] for row in here]
    return Line(label, [row[across] for row in here], values)


def fits(row: Row, wanted: Row) -> bool:
    """Whether a row has all values that are wanted."""
    return all(row[name] == value for name, value in wanted.items())


def named(model: Mapping[str, Any], mask: str) -> str:
    """A model, and what its tokens see where that is not the whole text."""
    sees = "own mask" if mask == "model" and model["causal"] else "all visible" if model["causal"] else ""
    return f"{Path(model['name']).name}\n{sees}"


# ---- how ----


def save(name: str, title: str, figures: Mapping[str, Sequence[Panel]], across: str) -> None:
    """Draw panels side by side under what their height says, a few in a row, and write them, in light and dark."""
    count = max(map(len, figures.values()))
    blocks = [range(start, min(start + ACROSS, count)) for start in range(0, count, ACROSS)]
    with style(), mpl.rc_context(SIZES):
        drawn = canvas(2.9 * min(ACROSS, count) + 0.6, 2.1 * len(blocks) * len(figures) + 0.9)
        axes = drawn.subplots(len(blocks) * len(figures), min(ACROSS, count), squeeze=False)
        for n, (up, panels) in enumerate(figures.items()):
            ends = [end for panel in panels for one in panel.lines for row in one.rows for end in row if isfinite(end)]
            ends += [y for panel in panels for _, y in panel.dotted]
            room = 0.05 * (max(ends) - min(ends, default=0))
            for b, block in enumerate(blocks):
                row = axes[b * len(figures) + n]
                for ax, at in zip_longest(row, block):
                    if at is None:
                        ax.set_visible(False)
                        continue
                    draw(ax, panels[at])
                    ax.set_ylim(min(0, min(ends)) - room, max(ends) + room)  # one scale for all that can be compared
                    ax.set_title(panels[at].title if n == 0 else "")
                    ax.set_xlabel(across if n == len(figures) - 1 else "")
                row[0].set_ylabel(up)
        handles, labels = axes[0][0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        write(name, in_page(to_svg(drawn, name), title, name))


def save_row(name: str, title: str, panels: Sequence[Panel], across: str) -> None:
    """Panels side by side, each with a scale of its own, since no two of them are of one kind."""
    with style(), mpl.rc_context(SIZES):
        drawn = canvas(2.9 * len(panels) + 0.6, 3.2)
        row = drawn.subplots(1, len(panels))
        for ax, panel in zip(row, panels, strict=True):
            draw(ax, panel)
            ax.set_title(panel.title)
            ax.set_xlabel(across)
        known = {label: handle for ax in row for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        drawn.legend(known.values(), known, loc="outside upper center", ncols=len(known))
        write(name, in_page(to_svg(drawn, name), title, name))


def write(name: str, page: str) -> None:
    """A figure in light and dark, as the reader's system asks."""
    light, dark = (f"svg {{ {variables(dark)} }}" for dark in (False, True))
    head, rest = page.split(">", 1)
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / f"{name}.svg").write_text(
        f'{head} xmlns="http://www.w3.org/2000/svg"><style>{light} @media (prefers-color-scheme: dark) {{ {dark} }}'
        f"</style>{rest}\n",
        "utf-8",
    )


def draw(ax: Axes, panel: Panel) -> None:
    """One panel: lines with their intervals as bands."""
    ax.grid(axis="y")
    if panel.dotted:
        ax.plot(*zip(*panel.dotted, strict=True), label=panel.against, **CHANCE_LINE)
    else:
        ax.axhline(0, **CHANCE_LINE)
    for n, one in enumerate(panel.lines):
        middle, low, high = zip(*one.rows, strict=True) if one.rows else ((), (), ())
        few = len(one.x) <= 13
        ax.plot(
            one.x, middle, label=one.label, color=LINES[n].light, linestyle=STROKES[n],
            marker=MARKERS[n] if few else None, markeredgecolor=PAPER.light, markeredgewidth=0.6,
        )  # fmt: skip
        ax.fill_between(one.x, low, high, color=LINES[n].light, alpha=0.22, linewidth=0)
    at = sorted({x for one in panel.lines for x in one.x})
    ax.set_xticks(at if len(at) < 9 else at[:: -(-len(at) // 8)])


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
