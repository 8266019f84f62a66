"""What `headscope.studies.probes` answers, as plain lists and as text."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from headscope.show.terminal import plain

if TYPE_CHECKING:
    from headscope.reading.lens import LinearLens
    from headscope.reading.scores import Controlled, Scores
    from headscope.studies.probes.recovery import Recovery

Record = dict[str, Any]
FIGURES = ("top1", "top10", "r2")


def recovery(found: Recovery) -> Record:
    """What it was made of, and a row for every place, layer and offset."""
    return {
        "schema": 1,
        "model": {"name": found.model, "weights_sha256": found.weights_sha256},
        "mask": found.mask,
        "texts": found.texts,
        "positions": found.positions,
        "candidates": found.candidates,
        "folds": found.folds,
        "seed": found.seed,
        "offsets": list(found.offsets),
        "rows": [_nested(row) for row in recovery_rows(found)],
    }


def recovery_rows(found: Recovery) -> list[Record]:
    """A flat row for every place (z, head, residual), layer, head and offset."""
    rows = []
    for place, scores in (("z", found.z), ("residual", found.residual)):
        for layer in range(len(scores.samples)):
            for n, offset in enumerate(found.offsets):
                where = {"place": place, "layer": layer, "head": None, "offset": offset}
                rows.append(where | score_row(scores, layer, n))
    if found.heads is not None:
        layers, heads, _ = found.heads.samples.shape
        rows += [
            {"place": "head", "layer": layer, "head": head, "offset": offset} | score_row(found.heads, layer, head, n)
            for layer in range(layers)
            for head in range(heads)
            for n, offset in enumerate(found.offsets)
        ]
    return rows


def lens(found: LinearLens) -> Record:
    """What a lens was fitted on, and a row for every layer and head."""
    made = found.origin
    return {
        "schema": 1,
        "model": {"name": made.model, "weights_sha256": made.weights_sha256},
        "texts": {"source": made.texts, "sha256": made.texts_sha256, "count": made.count, "positions": made.positions},
        "target": made.target,
        "mask": made.mask,
        "folds": made.folds,
        "seed": made.seed,
        "versions": made.versions,
        "heads": [_nested(row) for row in lens_rows(found)],
    }


def lens_rows(found: LinearLens) -> list[Record]:
    """A flat row for every layer and head."""
    layers, heads = found.alpha.shape
    return [
        {"layer": layer, "head": head, "alpha": float(found.alpha[layer, head])} | score_row(found.scores, layer, head)
        for layer in range(layers)
        for head in range(heads)
    ]


def score_row(scores: Scores, *at: int) -> Record:
    """The figures of one map: `top1`, `top1_low`, …, `top1_control`, …; None where there is no number."""
    row: Record = {"samples": int(scores.samples[at])}
    for name in FIGURES:
        for part, values in getattr(scores, name).__dict__.items():
            value = float(values[at])
            row[name if part == "value" else f"{name}_{part}"] = value if isfinite(value) else None
    return row


def recovery_tables(found: Recovery) -> list[RenderableType]:
    """Top-1, a row a layer and a column an offset, bold where surely above the control, whose mean stands last."""
    parts: list[RenderableType] = []
    for title, scores in (("z, all heads", found.z), ("the residual stream", found.residual)):
        table = _table(["layer", *(f"{offset:+d}" if offset else "own" for offset in found.offsets), "shuffled"])
        for layer in range(len(scores.samples)):
            cells = (_cell(scores.top1, layer, n) for n in range(len(found.offsets)))
            table.add_row(str(layer), *cells, Text(f"{float(scores.top1.control[layer].mean()):.2f}", "dim"))
        parts += [Text(f"Token i read off {title} at j, by i − j: top-1", "bold"), table]
        parts.append(Text())
    return [*parts, Text(_recovery_legend(found), "dim")]


def recovery_text(found: Recovery) -> str:
    """Plain text, 100 columns wide."""
    return plain(Group(*recovery_tables(found)))


def lens_tables(found: LinearLens) -> list[RenderableType]:
    """Every head's scores on what was held out, each with its interval and the control's beside it."""
    made = found.origin
    what = "own token" if made.target == "own" else "strongest source"
    table = _table(["head", *(title for name in ("top-1", "top-10", "R²") for title in (name, "95 %", "shuf."))])
    layers, heads = found.alpha.shape
    for layer in range(layers):
        for head in range(heads):
            cells = (cell for name in FIGURES for cell in _cells(getattr(found.scores, name), name, layer, head))
            table.add_row(f"L{layer}H{head}", *cells, end_section=head == heads - 1)
    return [
        Text(f"Linear lens: the {what} read off each head's z, on held-out texts and token types", "bold"),
        table,
        Text(),
        Text(_lens_legend(found), "dim"),
    ]


def lens_text(found: LinearLens) -> str:
    """Plain text, 100 columns wide."""
    return plain(Group(*lens_tables(found)))


def _cells(figure: Controlled, name: str, *at: int) -> tuple[Text, Text, Text]:
    """A value, its interval, and the control's value."""
    value, low, high, control = (float(part[at]) for part in (figure.value, figure.low, figure.high, figure.control))
    ends = f"{_r2(low)}–{_r2(high)}" if name == "r2" else f"{low:.0%}–{high:.0%}".replace("%–", "–")
    shown = (_r2(value), _r2(control)) if name == "r2" else (f"{value:.1%}", f"{control:.1%}")
    return Text(shown[0], "bold" if bool(figure.above[at]) else ""), Text(ends, "dim"), Text(shown[1], "dim")


def _r2(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}"  # no −0


def _lens_legend(found: LinearLens) -> str:
    made = found.origin
    held = found.scores.samples
    return (
        f"{made.model}, {made.count:,} texts ({made.texts}), {made.positions:,} ordinary tokens, mask {made.mask}; "
        f"{made.folds} folds that share neither texts nor token types with the fit, judged at {int(held.min()):,}"
        + (f" to {int(held.max()):,}" if int(held.max()) > int(held.min()) else "")
        + " positions; nearest of the whole vocabulary by cosine. Shuf.: the same with permuted token labels. Bold: "
        "the 95 % interval of the difference from it lies above 0."
    )


def _cell(figure: Controlled, *at: int) -> Text:
    return Text(f"{float(figure.value[at]):.2f}", "bold" if bool(figure.above[at]) else "")


def _recovery_legend(found: Recovery) -> str:
    return (
        f"{found.texts:,} texts, {found.positions:,} ordinary tokens, {found.folds} folds that share neither texts nor "
        f"token types with the fit; nearest by cosine of about {found.candidates:,.0f} types that a fold holds out. "
        "Bold: the 95 % interval of the difference from the control lies above 0. Shuffled: the control's mean."
    )


def _nested(row: Record) -> Record:
    """A figure's parts under its name."""
    flat = {key: value for key, value in row.items() if key.partition("_")[0] not in FIGURES}
    for name in FIGURES:
        flat[name] = {"value": row[name]} | {
            key.removeprefix(f"{name}_"): value for key, value in row.items() if key.startswith(f"{name}_")
        }
    return flat


def _table(columns: Sequence[str]) -> Table:
    table = Table(
        *columns, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold"
    )
    for column in table.columns:
        column.justify, column.no_wrap = "right", True
    return table
