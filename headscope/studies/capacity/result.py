"""What each layer needs, and what others measured: what `headscope capacity` answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from headscope.inference.estimates import Estimate, number
from headscope.question.shown import Summarised
from headscope.reading.answer import Answer, Record
from headscope.show.sheet import Cell, Row, Sheet
from headscope.studies.capacity.figures import ENOUGH, MEASURES, Outcome, Size, loss_of
from headscope.studies.capacity.joined import InputSize
from headscope.studies.capacity.mixed import EVERY, KINDS, Mixed, PublishedRatios
from headscope.studies.capacity.options import CapacityOptions
from headscope.studies.capacity.words import LOSSES, SITES, between, joined_to, needs, of_heads, of_site, percent

if TYPE_CHECKING:
    from headscope.model.card import Card
    from headscope.studies.capacity.forgetting import Forgetting

SCHEMA = 1
_SWEPT = (("dimension", "dimensions"), ("number", "encodings of a text"))
_PLACE: Record = dict.fromkeys(("site", "of", "layer", "level", "head", "control", "share", "kept"))


@dataclass(frozen=True, repr=False)
class Reproductions(Summarised):
    """Mixing ratios (with those that were published for this model, if any), and forgetting and recreating.

    `inputs`: what texts were joined to, as the paper does.
    """

    mixed: list[Mixed]
    inputs: InputSize
    published: PublishedRatios | None
    forgetting: Forgetting | None
    notes: tuple[str, ...]


@dataclass(frozen=True, repr=False, eq=False)
class Capacity(Answer):
    """What was found: `sizes` of the encodings, `outcomes` of every condition, and what a reader must know.

    `reproductions`: None where they were not asked for.
    """

    card: Card
    options: CapacityOptions
    texts: dict[str, Any]  # as the manifest has it
    fitted_on: int  # positions
    sizes: list[Size]
    outcomes: list[Outcome]
    reproductions: Reproductions | None
    notes: tuple[str, ...]

    def rows(self) -> list[Record]:
        """One row for each figure with its interval: `what` it is of, at which place, which `measure`."""
        rows = [row for size in self.sizes for row in _of_size(size)]
        for one in self.outcomes:
            asked = one.condition._asdict()
            what = asked.pop("what")
            rows += [_row(what, name, one.figures[name], **asked) for name in MEASURES]
        return rows if self.reproductions is None else rows + _of_reproductions(self.reproductions)

    def to_dict(self) -> Record:
        """One object, ready for JSON; null where there is no number."""
        card = self.card
        return {
            "schema": SCHEMA,
            "model": {"name": card.name, "revision": card.revision, "weights_sha256": card.weights_sha256}
            | {"capture_error": card.capture_error, "why": card.why},
            "texts": self.texts,
            "options": self.options.to_dict(),
            "fitted_on": self.fitted_on,
            "notes": list(self.notes),
            "sizes": [asdict(size) for size in self.sizes],
            "curves": [
                one.condition._asdict() | {name: _figure(one.figures[name]) for name in MEASURES}
                for one in self.outcomes
            ],
            "reproductions": None if self.reproductions is None else _reproduced(self.reproductions),
        }

    def sheets(self) -> tuple[Sheet, ...]:
        """How many dimensions are filled, what each layer needs, and what was reproduced: what was asked for of it."""
        sheets = [*_sizes(self.sizes, self.notes)] if self.sizes else []
        for what, title in _SWEPT:
            sheets += _needs([one for one in self.outcomes if one.condition.what == what], what, title)
        return (*sheets, *(() if self.reproductions is None else _reproductions(self.reproductions)))


# ---- rows and records ----


def _row(what: str, measure: str, figure: Estimate[float], /, **place: Any) -> Record:
    figures = {name: number(getattr(figure, name)) for name in ("value", "low", "high")}
    return {"what": what, **_PLACE, **place, "measure": measure, **figures}


def _of_size(size: Size) -> Iterator[Record]:
    for name in ("participation_ratio", "dimension_95"):
        value, low, high = (getattr(size, name + end) for end in ("", "_low", "_high"))
        place = {"site": size.site, "layer": size.layer, "head": size.head}
        yield {"what": "size", **_PLACE, **place, "measure": name, "value": value, "low": low, "high": high}


def _of_reproductions(made: Reproductions) -> list[Record]:
    rows = [_row("mixing", one.kind, one.figure, of=one.of, layer=one.layer) for one in made.mixed]
    if made.forgetting is None:
        return rows
    for one in made.forgetting.curves:
        rows += [_row("information", "nats", figure, of=one.of, level=n) for n, figure in enumerate(one.levels)]
    for n, rank in enumerate(made.forgetting.own_rank):
        # A median of ranks comes without an interval.
        rows.append(_row("own token", "median_rank", Estimate(rank, float("nan"), float("nan")), level=n))
    rows += [_row("own token", "auc", figure, level=n) for n, figure in enumerate(made.forgetting.own_auc)]
    return rows


def _reproduced(made: Reproductions) -> Record:
    of_paper = None if made.published is None else dict(zip(KINDS, made.published.ratios, strict=True))
    told: Record = {
        "mixing": [
            {"layer": one.layer, "kind": one.kind, "of": one.of, "ratio": _figure(one.figure)} for one in made.mixed
        ],
        "inputs": asdict(made.inputs),
        "published": of_paper,
        "information": [],
        "own_rank": None,
        "own_auc": None,
        "notes": list(made.notes),
    }
    if made.forgetting is not None:
        told["information"] = [
            {"of": one.of, "types": one.types, "occurrences": one.occurrences, "clusters": one.clusters}
            | {"entropy": one.entropy, "levels": [_figure(level) for level in one.levels]}
            for one in made.forgetting.curves
        ]
        told["own_rank"] = list(made.forgetting.own_rank)
        told["own_auc"] = [_figure(level) for level in made.forgetting.own_auc]
    return told


def _figure(one: Estimate[float]) -> Record | None:
    """A figure with its interval; None where it was not measured."""
    if not isfinite(one.value):
        return None
    return {"value": one.value, "low": number(one.low), "high": number(one.high)}


# ---- sheets ----


def _sheet(
    name: str, caption: str, columns: Sequence[str], rows: Iterator[tuple[str, Sequence[str]]], stub: str, **around: Any
) -> Sheet:
    numbers = tuple(Row(Cell(head), tuple(Cell(number=one) for one in cells)) for head, cells in rows)
    return Sheet(name, caption, tuple(columns), numbers, stub=stub, figure="cells", **around)


def _sizes(sizes: Sequence[Size], notes: tuple[str, ...]) -> Iterator[Sheet]:
    """The heads of every layer, and then what they write together and the stream."""
    widths = {size.site: size.width for size in sizes}
    layers = sorted({size.layer for size in sizes})
    by_layer = {layer: [size for size in sizes if size.layer == layer] for layer in layers}
    yield _sheet(
        "sizes-heads",
        "How many dimensions are filled: participation ratio (PR) and 95 % dimension, with 95 % intervals",
        (f"a head ({widths['head']}): PR", "PR over heads", "95 %", "95 % over heads"),
        ((str(layer), of_heads(here)) for layer, here in by_layer.items()),
        "layer",
    )
    yield _sheet(
        "sizes",
        "How many dimensions are filled by the heads side by side (z) and by the residual stream",
        (f"z ({widths['z']}): PR", "z: 95 %", f"stream ({widths['residual']}): PR", "stream: 95 %"),
        ((str(layer), (*of_site(here, "z"), *of_site(here, "residual"))) for layer, here in by_layer.items()),
        "layer",
        notes=notes,
    )


def _needs(found: Sequence[Outcome], what: str, title: str) -> Iterator[Sheet]:
    """A sheet for every site; a head at a time is for the page."""
    loss = loss_of(found)
    rows = [need for need in needs(found, loss) if need.head is None]
    for site in dict.fromkeys(need.site for need in rows):
        yield _sheet(
            f"{what}-{site}",
            f"What a layer needs: {title}, {SITES[site]} (loss: {LOSSES[loss]})",
            (f"kept for {1 - ENOUGH:.0%}", "at random", "loss at ½", "loss at ½, at random"),
            ((str(need.layer), need.told) for need in rows if need.site == site),
            "layer",
        )


def _reproductions(made: Reproductions) -> Iterator[Sheet]:
    known, told = made.published, made.forgetting
    every = [one for one in made.mixed if one.layer is None]

    def ratios() -> Iterator[tuple[str, Sequence[str]]]:
        for of in dict.fromkeys(one.of for one in every):
            figures = {one.kind: one.figure for one in every if one.of == of}
            yield EVERY[of], [percent(figures[kind]) for kind in KINDS]
        if known:
            yield f"published ({known.names[0]})", [f"{ratio:.1%}" for ratio in known.ratios]

    yield _sheet(
        "mixing",
        "Mixing (Kobayashi et al. 2021)",
        tuple(KINDS.values()),
        ratios(),
        "mean ratio",
        legend=(joined_to(made.inputs),),
        notes=made.notes if told is None else (),
    )
    if told is None:
        return
    ranks = [f"{rank:,.0f}" for rank in told.own_rank] or ["–"] * len(told.curves[0].levels)
    yield _sheet(
        "forgetting",
        "Forgetting and recreating (Voita et al. 2019): nats, range of three draws",
        (*(one.of for one in told.curves), "median own rank"),
        (
            (str(level), [*(between(one.levels[level]) for one in told.curves), rank])
            for level, rank in enumerate(ranks)
        ),
        "level",
        legend=(f"The most there can be: {', '.join(f'{one.of} {one.entropy:.2f}' for one in told.curves)}.",),
        notes=made.notes,
    )
