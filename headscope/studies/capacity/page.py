"""Capacity as a page in the report's manner: HTML, Markdown with figures, JSON and CSV."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

from headscope import __version__
from headscope.inference.estimates import number
from headscope.inference.studentised import FEWEST
from headscope.show.charts.chart import Cell as Number
from headscope.show.document import Block, Cell, Code, DocumentTable, Items, Report, Section
from headscope.show.files import write_document
from headscope.show.rows import csv_table
from headscope.studies.capacity import charts, words
from headscope.studies.capacity.figures import MEASURES, Outcome, Size, loss_of
from headscope.studies.capacity.mixed import EVERY, KINDS
from headscope.studies.capacity.result import Capacity, Reproductions

_COLUMNS = ("what", "site", "layer", "head", "control", "share", "kept")


def write_page(found: Capacity, output: str | Path) -> Path:
    """Write the page into a directory; returns its path. Raises InputError where it cannot be written."""
    ends = tuple(f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high"))
    sizes = (tuple(asdict(size).values()) for size in found.sizes)
    beside = {
        "capacity.json": json.dumps(found.to_dict(), ensure_ascii=False, allow_nan=False, indent=1) + "\n",
        "numbers/capacity.csv": csv_table((*_COLUMNS, *ends), map(_row, found.outcomes)),
        "numbers/sizes.csv": csv_table(tuple(field.name for field in fields(Size)), sizes),
    }
    return write_document(Path(output), "capacity", _report(found), beside)


def _row(one: Outcome) -> tuple[Number, ...]:
    figures = [one.figures[name] for name in MEASURES]
    return (*one.condition, *(number(end) for figure in figures for end in (figure.value, figure.low, figure.high)))


def _report(found: Capacity) -> Report:
    parts = [_asked(found)]
    if found.sizes:
        parts.append(_sizes(found))
    for what, title in (("dimension", "The dimension of encodings"), ("number", "The number of encodings")):
        some = [one for one in found.outcomes if one.condition.what == what]
        if some:
            parts.append(_swept(found, what, title, some))
    if found.reproductions is not None:
        parts.append(_reproductions(found, found.reproductions))
    return Report(
        f"What each layer needs: {found.card.name}",
        f"Written by headscope {__version__}. docs/capacity.md says what is measured, and how.",
        (*parts, _files()),
    )


def _asked(found: Capacity) -> Section:
    card, texts = found.card, found.texts
    left = ", ".join(f"{count:,} × {reason}" for reason, count in texts["left_out"].items()) or "nothing"
    drawn = "documents" if texts["documents"] else "texts"
    rows: tuple[tuple[Cell, ...], ...] = (
        ("Model", Code(card.name)),
        ("Shape", f"{card.layers} layers × {card.heads} heads of {card.d_head}, d_model {card.d_model}"),
        ("Revision", Code(card.revision) if card.revision else "–"),
        ("Weights (SHA-256)", Code(card.weights_sha256)),
        ("Mask", found.options.mask),
        ("Texts", Code(", ".join(texts["sources"]))),
        ("How many", f"{texts['texts']:,} texts, {texts['positions']:,} tokens; left out: {left}"),
        ("Axes", f"fitted on half of the {drawn}, {found.fitted_on:,} tokens; the other half is measured"),
        ("Intervals", f"95 %, each of the {drawn} left out in turn; none below {FEWEST} of them"),
        ("Texts (SHA-256)", Code(texts["sha256"])),
    )
    if not found.fitted_on:
        rows = tuple(row for row in rows if row[0] != "Axes")
    blocks: list[Block] = [DocumentTable("The model and the texts.", ("", "What"), rows), *found.notes]
    return Section("What was asked", "asked", blocks)


def _sizes(found: Capacity) -> Section:
    heads: list[tuple[Cell, ...]] = []
    others: list[tuple[Cell, ...]] = []
    for layer in range(found.card.layers):
        here = [size for size in found.sizes if size.layer == layer]
        heads.append((f"layer {layer}", *words.of_heads(here)))
        others.append((f"layer {layer}", *words.of_site(here, "z"), *words.of_site(here, "residual")))
    of_heads = DocumentTable(
        "Every head by itself: the median of a layer's heads, with the median of their 95 % intervals, and the range "
        "of the heads. numbers/sizes.csv has them all.",
        ("", "PR", "PR over heads", "95 %", "95 % over heads"),
        tuple(heads),
    )
    caption = (
        "PR: participation ratio, (Σλ)²/Σλ² of the covariance's eigenvalues. 95 %: how many principal axes hold as "
        "much of the variance. With 95 % intervals, by document: few texts make the figures too low, and the "
        "upper ends reach to what the documents show that no axes are fitted on."
    )
    of_others = DocumentTable(caption, ("", "Side by side: PR", "95 %", "Stream: PR", "95 %"), tuple(others))
    drawn = charts.sizes(found.sizes, found.card.layers)
    return Section("How many dimensions are filled", "sizes", [drawn, of_others, of_heads])


def _swept(found: Capacity, what: str, title: str, some: list[Outcome]) -> Section:
    loss, layers = loss_of(some), found.card.layers
    done = (
        "Encodings are projected into their first principal axes while the model runs, one layer at a time; special "
        "positions stay as they are."
        if what == "dimension"
        else "Encodings of a text that are most alike are replaced by their mean while the model runs, one layer at a "
        "time; special positions stay as they are."
    )
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (words.SITES[need.site], words.place(need), *need.told) for need in words.needs(some, loss)
    )
    table = DocumentTable(
        f"The least that keeps the loss ({words.LOSSES[loss]}) within 10 % of what it is when nothing is kept, and the "
        "loss when about half is kept, with 95 % intervals.",
        ("Encodings", "Where", "Kept", "Kept, at random", "Loss at ½", "Loss at ½, at random"),
        rows,
    )
    section = Section(title, what, [done, charts.by_layer(some, what, loss, layers), table])
    for site in dict.fromkeys(one.condition.site for one in some if one.condition.head is None):
        drawn: list[Block] = [charts.curves(some, what, site, measure, layers) for measure in (loss, *charts.RECOVERED)]
        section.sections.append(Section(_begun(words.SITES[site]), f"{what}-{site}", drawn))
    return section


def _reproductions(found: Capacity, made: Reproductions) -> Section:
    section = Section("Reproductions", "reproductions")
    section.sections.append(_mixing(found, made))
    blocks: list[Block] = [*made.notes]
    if made.forgetting is not None:
        blocks.append(charts.forgetting(made.forgetting, found.card.layers))
        rows: list[tuple[Cell, ...]] = []
        for one in made.forgetting.curves:
            of = f"{one.of}: {one.types} tokens × {one.occurrences}, {one.clusters} clusters, most {one.entropy:.2f}"
            rows.append((of, *(words.between(figure) for figure in one.levels)))
        if made.forgetting.own_rank:
            rows.append(("median own rank", *(f"{rank:,.0f}" for rank in made.forgetting.own_rank)))
            rows.append(("1 − (own rank − 1)/(V − 1)", *(words.between(figure) for figure in made.forgetting.own_auc)))
        caption = (
            "Mutual information in nats, corrected for chance: mean of three draws with their range. Own ranks are of "
            "the own input embedding."
        )
        levels = tuple(f"level {level}" for level in range(found.card.layers + 1))
        blocks.append(DocumentTable(caption, ("", *levels), tuple(rows)))
    section.sections.append(Section("Forgetting and recreating (Voita et al. 2019)", "forgetting", blocks))
    return section


def _mixing(found: Capacity, made: Reproductions) -> Section:
    rows: list[tuple[Cell, ...]] = []
    every = [one for one in made.mixed if one.layer is None]
    for of in dict.fromkeys(one.of for one in every):
        figures = {one.kind: one.figure for one in every if one.of == of}
        rows.append((EVERY[of], *(words.percent(figures[kind]) for kind in KINDS)))
    if made.published is None:
        said = "The paper gives no ratios for this model."
    else:
        said = (
            f"The published ratios are those of {made.published.names[0]}, which this model is by its name and shape; "
            "they were measured on another corpus, with 12 % of the tokens masked."
        )
        rows.append(("published", *(f"{ratio:.1%}" for ratio in made.published.ratios)))
    caption = (
        "Mean mixing ratio over all layers and tokens, with 95 % intervals by document. The paper's are joined and "
        f"masked; the longer an input, the more comes from others. {words.joined_to(made.inputs)}"
    )
    table = DocumentTable(caption, ("", *(_begun(label) for label in KINDS.values())), tuple(rows))
    chart = charts.mixing(made.mixed, found.card.layers)
    return Section("Mixing ratios (Kobayashi et al. 2021)", "mixing", [table, said, chart])


def _begun(label: str) -> str:
    """With a capital letter at the head of a line; names in it stay as they are."""
    return label[0].upper() + label[1:]


def _files() -> Section:
    items = (
        "capacity.json: everything on this page; numbers/capacity.csv: every condition, and numbers/sizes.csv: "
        "every size, with intervals.",
        "figures/NAME.svg and numbers/NAME.csv: each figure and its numbers.",
        "measured/: what was measured, text by text, from which the same command goes on; manifest.json: of what.",
    )
    return Section("Files", "files", [Items(items)])
