"""Capacity as plain data, and as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from math import isfinite
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from headscope.inference.estimates import Estimate, number
from headscope.studies.capacity.figures import ENOUGH, MEASURES, Outcome, Size, curve, loss_of, needed
from headscope.studies.capacity.mixed import KINDS

if TYPE_CHECKING:
    from headscope.studies.capacity.run import Capacity, Reproductions

Record = dict[str, Any]
SITES = {
    "heads": "heads, each in a subspace of its own",
    "head": "one head alone",
    "z": "heads side by side (z)",
    "residual": "residual stream",
}
LOSSES = {"kl": "KL of the next or masked token, nats", "moved": "movement of the last block's output"}


def record(found: Capacity) -> Record:
    """One object; null where there is no number."""
    card = found.card
    return {
        "schema": 1,
        "model": {"name": card.name, "revision": card.revision, "weights_sha256": card.weights_sha256}
        | {"capture_error": card.capture_error, "why": card.why},
        "texts": found.texts,
        "options": found.options.to_dict(),
        "fitted_on": found.fitted_on,
        "notes": list(found.notes),
        "sizes": [asdict(size) for size in found.sizes],
        "curves": [
            one.condition._asdict() | {name: figure(one.figures[name]) for name in MEASURES} for one in found.outcomes
        ],
        "reproductions": None if found.reproductions is None else _reproduced(found.reproductions),
    }


def _reproduced(made: Reproductions) -> Record:
    of_paper = None if made.published is None else dict(zip(KINDS, made.published.ratios, strict=True))
    told: Record = {
        "mixing": [
            {"layer": one.layer, "kind": one.kind, "of": one.of, "ratio": figure(one.figure)} for one in made.mixed
        ],
        "published": of_paper,
        "information": [],
        "own_rank": None,
        "own_auc": None,
        "notes": list(made.notes),
    }
    if made.forgetting is not None:
        told["information"] = [
            {"of": one.of, "types": one.types, "occurrences": one.occurrences, "clusters": one.clusters}
            | {"entropy": one.entropy, "levels": [figure(level) for level in one.levels]}
            for one in made.forgetting.curves
        ]
        told["own_rank"] = list(made.forgetting.own_rank)
        told["own_auc"] = [figure(level) for level in made.forgetting.own_auc]
    return told


def figure(one: Estimate[float]) -> Record | None:
    """A figure with its interval; None where it was not measured."""
    if not isfinite(one.value):
        return None
    return {"value": one.value, "low": number(one.low), "high": number(one.high)}


def tables(found: Capacity) -> list[RenderableType]:
    """How many dimensions are filled, and what each layer needs."""
    parts: list[RenderableType] = []
    if found.sizes:
        title = "How many dimensions are filled: participation ratio (PR) and 95 % dimension, [95 % interval]"
        heads, others = _sizes(found.sizes)
        parts += [Text(title, "bold"), heads, Text(), others]
    for what, title in (("dimension", "dimensions"), ("number", "encodings of a text")):
        some = [one for one in found.outcomes if one.condition.what == what]
        if some:
            loss = loss_of(some)
            parts += [Text(), Text(f"What a layer needs: {title} (loss: {LOSSES[loss]})", "bold"), *_needs(some, loss)]
    if found.reproductions is not None:
        parts += [*([Text()] if parts else []), *_reproductions(found.reproductions)]
    return [*parts, *(Text(note) for note in found.notes)]


def _sizes(sizes: Sequence[Size]) -> Iterator[Table]:
    """The heads of every layer, and then what they write together and the stream."""
    widths = {size.site: size.width for size in sizes}
    heads = _table(["layer", f"a head ({widths['head']}): PR", "over heads", "95 %", "over heads"])
    others = _table(["layer", f"z ({widths['z']}): PR", "95 %", f"stream ({widths['residual']}): PR", "95 %"])
    for layer in sorted({size.layer for size in sizes}):
        here = [size for size in sizes if size.layer == layer]
        heads.add_row(str(layer), *of_heads(here))
        others.add_row(str(layer), *of_site(here, "z"), *of_site(here, "residual"))
    yield heads
    yield others


def of_heads(here: Sequence[Size]) -> tuple[str, str, str, str]:
    """A layer's heads: participation ratio and 95 % dimension, of each the median with its interval, and the range.

    An interval is the median of the heads' intervals, end by end.
    """
    heads = [size for size in here if size.site == "head"]

    def told(name: str, style: str) -> tuple[str, str]:
        values, lows, highs = ([getattr(head, name + end) for head in heads] for end in ("", "_low", "_high"))
        low, high = (None if None in ends else median(ends) for ends in (lows, highs))
        least, most = (_number(value, style) for value in (min(values), max(values)))
        return _size(median(values), low, high, style), f"{least} to {most}"

    return (*told("participation_ratio", ".1f"), *told("dimension_95", ".0f"))


def of_site(here: Sequence[Size], site: str) -> tuple[str, str]:
    """A layer's participation ratio and 95 % dimension of "z" or "residual", with intervals."""
    (one,) = (size for size in here if size.site == site)
    return (
        _size(one.participation_ratio, one.participation_ratio_low, one.participation_ratio_high, ".1f"),
        _size(one.dimension_95, one.dimension_95_low, one.dimension_95_high, ".0f"),
    )


def _size(value: float, low: float | None, high: float | None, style: str) -> str:
    ends = "" if low is None or high is None else f" [{_number(low, style)}, {_number(high, style)}]"
    return f"{_number(value, style)}{ends}"


def _number(value: float, style: str) -> str:
    return f"{value:{style if value < 100 else '.0f'}}"


class Need(NamedTuple):
    """By place: what 90 % of the loss is avoided with, and the loss at about one half; and the same at random."""

    site: str
    layer: int
    head: int | None
    kept: str
    kept_at_random: str
    half: str
    half_at_random: str


def needs(found: Sequence[Outcome], loss: str) -> list[Need]:
    """What every place needs, in words."""
    rows = []
    places = {(one.condition.site, one.condition.layer, one.condition.head) for one in found}
    order = list(SITES)
    for site, layer, head in sorted(places, key=lambda place: (order.index(place[0]), place[1], place[2] or 0)):
        here = [curve(found, control, site=site, layer=layer, head=head) for control in (False, True)]
        enough, at_random = (_amount(needed(one, loss)) for one in here)
        half, half_at_random = (
            between(min(one, key=lambda point: abs(point.condition.share - 0.5)).figures[loss]) for one in here
        )
        rows.append(Need(site, layer, head, enough, at_random, half, half_at_random))
    return rows


def place(need: Need) -> str:
    """Layer and head."""
    return f"layer {need.layer}" if need.head is None else f"L{need.layer}H{need.head}"


def percent(one: Estimate[float]) -> str:
    """A share with its interval, in per cent."""
    if not isfinite(one.value):
        return "–"
    ends = f" [{one.low:.1%}, {one.high:.1%}]" if isfinite(one.low) else ""
    return f"{one.value:.1%}{ends}"


def _reproductions(made: Reproductions) -> list[RenderableType]:
    known = made.published
    ratios = _table(["mean ratio", "all positions", "without special ones", *(["published"] if known else [])])
    for n, (kind, label) in enumerate(KINDS.items()):
        of_all = (one for one in made.mixed if one.kind == kind and one.layer is None)
        ratios.add_row(label, *(percent(one.figure) for one in of_all), *([f"{known.ratios[n]:.1%}"] if known else []))
    parts: list[RenderableType] = [Text("Mixing (Kobayashi et al. 2021)", "bold"), ratios]
    if made.forgetting is not None:
        told = made.forgetting
        levels = range(len(told.curves[0].levels))
        shown = _table(["level", *(f"{one.of} (most {one.entropy:.2f})" for one in told.curves), "median own rank"])
        for level in levels:
            rank = f"{told.own_rank[level]:,.0f}" if told.own_rank else "–"
            shown.add_row(str(level), *(between(one.levels[level]) for one in told.curves), rank)
        title = "Forgetting and recreating (Voita et al. 2019): nats, range of three draws"
        parts += [Text(), Text(title, "bold"), shown]
    return [*parts, *(Text(note) for note in made.notes)]


def _needs(found: Sequence[Outcome], loss: str) -> Iterator[RenderableType]:
    """A table for every site; a head at a time is for the page."""
    rows = [need for need in needs(found, loss) if need.head is None]
    for site in dict.fromkeys(need.site for need in rows):
        shown = _table(["layer", f"kept for {1 - ENOUGH:.0%}", "at random", "loss at ½", "loss at ½, at random"])
        for need in rows:
            if need.site == site:
                shown.add_row(str(need.layer), *need[3:])
        yield Text(SITES[site], "italic")
        yield shown


def _amount(one: Outcome | None) -> str:
    """What is kept, in dimensions or as a share."""
    if one is None:
        return "–"
    share = f"{one.condition.share:.3g}"
    return share if one.condition.kept is None else f"{one.condition.kept} ({share})"


def between(one: Estimate[float]) -> str:
    """A figure with its interval."""
    if not isfinite(one.value):
        return "–"
    ends = f" [{one.low:.3f}, {one.high:.3f}]" if isfinite(one.low) else ""
    return f"{one.value:.3f}{ends}"


def _table(columns: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False, header_style="bold")
    for n, column in enumerate(columns):
        table.add_column(column, justify="left" if n == 0 else "right", no_wrap=True)
    return table
