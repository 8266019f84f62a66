"""The claims as a page in the report's manner: HTML, Markdown with figures, JSON and CSV."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headscope import __version__
from headscope.errors import InputError
from headscope.keep.files import directory_to_write
from headscope.show.charts import lines
from headscope.show.charts.chart import Chart
from headscope.show.document import Block, Cell, Code, DocumentTable, Items, Report, Section
from headscope.show.files import FOLDERS, foreign, write_document
from headscope.show.numbers import between, rate
from headscope.show.rows import csv_of, csv_table
from headscope.studies.claims.catalogue import CLAIMS, Claim
from headscope.studies.claims.linear import OWN, RECOVERY
from headscope.studies.claims.result import COLUMNS, MARKS, Claims
from headscope.studies.claims.store import PARTS
from headscope.studies.claims.stream import CLASSES
from headscope.studies.claims.verdict import Finding

PAGE = "claims.html"
_HOLDS = {PAGE, "claims.md", "claims.json", "claims.csv", *FOLDERS, PARTS}
_UNDER = {
    ("right", "input"): "right arithmetic, reference input",
    ("right", "layer"): "right arithmetic, reference layer",
    ("published", "input"): "published arithmetic",
}


def refuse_foreign(output: str | Path) -> None:
    """Raise InputError for a directory that holds something else than an earlier page and its work, or is none."""
    out = directory_to_write(output)
    others = foreign(out, _HOLDS, {PAGE, PARTS})
    if others:
        raise InputError(
            f"{str(out)!r} holds something else ({', '.join(others[:3])}): name a new directory, or one of claims."
        )


def write_page(claims: Claims, output: str | Path) -> Path:
    """Write the page into a directory; returns its path. Raises InputError where it cannot be written."""
    beside = {
        "claims.json": json.dumps(claims.to_dict(), ensure_ascii=False, allow_nan=False, indent=1) + "\n",
        "claims.csv": csv_table(_COLUMNS, map(_row, claims.findings)),
        "numbers/claims.csv": _figures(claims),
    }
    return write_document(Path(output), Path(PAGE).stem, _report(claims), beside)


def _report(claims: Claims) -> Report:
    sections = [_verdicts(claims), _asked(claims), *(_charts(claims))]
    sections.append(
        Section("Claim by claim", "claims", [_claim(claim, claims.of(claim.id)) for claim in CLAIMS.values()])
    )
    sections.append(
        Section(
            "Files",
            "files",
            [
                Items(
                    (
                        "claims.json: everything on this page; claims.csv: a row for each verdict.",
                        "numbers/claims.csv: every number that a verdict was made from.",
                        "figures/NAME.svg and numbers/NAME.csv: each figure and its numbers.",
                        f"{PARTS}/: the surveys and other work, from which the same command goes on.",
                    )
                )
            ],
        )
    )
    name = claims.model["name"]
    return Report(
        f"The experiment's claims, asked of {Path(name).name if name[0] in '/.~' else name}",
        f"Written by headscope {__version__}. docs/claims.md says how each verdict is computed.",
        tuple(sections),
    )


def _verdicts(claims: Claims) -> Section:
    rows: list[tuple[Cell, ...]] = []
    for claim in CLAIMS.values():
        found = claims.under(claim.id)
        rows.append((claim.id, claim.says, *("–" if one is None else MARKS[one.ruling] for one in found)))
    columns = ("Claim", "What was said", *(_UNDER[column].capitalize() for column in COLUMNS))
    caption = (
        "Verdicts. The published arithmetic multiplies the hidden states by the value weights as they are stored, "
        "without transpose and bias: what it shows is no head's output. Claims B1 to B9 are of the residual stream, "
        "where no value projection enters."
    )
    return Section("Verdicts", "verdicts", [DocumentTable(caption, columns, tuple(rows)), *claims.notes])


def _asked(claims: Claims) -> Section:
    model, texts = claims.model, claims.texts
    left = ", ".join(f"{count:,} × {reason}" for reason, count in texts["left_out"].items()) or "nothing"
    drawn = "documents" if texts["documents"] else "texts"
    rows: tuple[tuple[Cell, ...], ...] = (
        ("Model", Code(model["name"])),
        ("Architecture", f"{model['architecture']}, {model['layers']} layers × {model['heads']} heads"),
        ("Revision", Code(model["revision"]) if model["revision"] else "–"),
        ("Weights (SHA-256)", Code(model["weights_sha256"])),
        ("Mask", claims.mask),
        ("Texts", texts["from"]),
        ("How many", f"{texts['texts']:,} texts, {texts['tokens']:,} tokens; left out: {left}"),
        ("Intervals", f"95 %, by {texts['groups']:,} {drawn}"),
        ("Texts (SHA-256)", Code(texts["sha256"])),
    )
    return Section("What was asked", "asked", [DocumentTable("The model and the texts.", ("", "What"), rows)])


def _claim(claim: Claim, found: Sequence[Finding]) -> DocumentTable:
    rows: list[tuple[Cell, ...]] = []
    for one in found:
        under = _UNDER[one.arithmetic, one.reference or "input"] if one.reference else f"{one.arithmetic} arithmetic"
        value = "–" if one.value is None else _number(one.value)
        interval = between(one.low, one.high) if _small(one.low, one.high) else _wide(one)
        chance = "–" if one.chance is None else rate(one.chance)
        rows.append(
            (
                "no arithmetic of heads" if claim.stream else under,
                MARKS[one.ruling],
                one.found,
                value,
                interval,
                chance,
            )
        )
    columns = ("Under", "Verdict", "What was found", "Value", "95 %", "Chance")
    return DocumentTable(f"{claim.id}: {claim.says}. It holds when: {claim.holds_when}.", columns, tuple(rows))


# ---- charts ----


def _charts(claims: Claims) -> list[Section]:
    layers = claims.model["layers"]
    own = _series(claims, "S8", {"statistic": OWN})
    maps = _series(claims, "S8", {"statistic": RECOVERY})
    agreement = _series(claims, "S10", {"rate": "agreement − chance"})
    of_genre = _series(claims, "S10", {"rate": "agreement − chance, same genre"})
    words = tuple(CLASSES)
    # Ranks span orders of magnitude: they are drawn by their log10, as B3 and B4 take it.
    ranks = _series(claims, "B2", {}, words, lambda x: math.log10(max(x, 1.0)))
    mixed = _series(claims, "B9", {}, words)
    of_heads = [
        lines.Panel("Own over even attention", own, zero=True),
        lines.Panel("Linear map from a head: top-1 over shuffled", maps[:1], zero=True),
        lines.Panel("Part of speech over chance", agreement, zero=True),
    ]
    if of_genre:
        of_heads.append(lines.Panel("Part of speech over chance, same genre", of_genre, zero=True))
    of_streams = [
        lines.Panel("log10 of the median rank", ranks),
        lines.Panel("Mixing ratio", mixed),
    ]
    blocks: list[Block] = []
    for name, title, caption, panels in (
        ("heads", "The heads by layer", "S8 and S10.", of_heads),
        ("streams", "The residual stream by layer", "B2 and B9, by class of tokens.", of_streams),
    ):
        shown = [panel for panel in panels if any(series.points for series in panel.series)]
        if shown:
            chart: Chart = lines.chart(name, title, f"{caption} 95 % intervals.", shown, layers)
            blocks.append(chart)
    return [Section("By layer", "layers", blocks)] if blocks else []


def _series(
    claims: Claims,
    id: str,
    wanted: dict[str, str],
    words: Sequence[str] = (),
    change: Any = lambda x: x,
) -> list[lines.Series]:
    """A line for every finding of a claim (or every class of words), of those of its figures that are `wanted`."""
    found = []
    for one in claims.of(id):
        rows = [row for row in one.figures if all(row.get(key) == value for key, value in wanted.items())]
        rows = [row for row in rows if "layer" in row and row["value"] is not None]
        name = _UNDER.get((one.arithmetic, one.reference or "input"), one.arithmetic)
        for label, kept in [(w, [r for r in rows if r["words"] == w]) for w in words] or [(name, rows)]:
            points = [_point(row, change) for row in kept]
            found.append(lines.Series(label, points))
    return [series for series in found if series.points]


def _point(row: dict[str, Any], change: Any) -> lines.Point:
    low, high = (None if row[end] is None else change(row[end]) for end in ("low", "high"))
    return lines.Point(row["layer"], change(row["value"]), low, high, None)


# ---- numbers ----

_COLUMNS = ("claim", "arithmetic", "reference", "verdict", "value", "low", "high", "chance", "found")


def _row(one: Finding) -> tuple[Any, ...]:
    return (one.claim, one.arithmetic, one.reference, one.ruling, one.value, one.low, one.high, one.chance, one.found)


def _figures(claims: Claims) -> str:
    """Every number that a verdict was made from, one a row; the columns are all that any row has."""
    rows = [
        {"claim": one.claim, "arithmetic": one.arithmetic, "reference": one.reference} | row
        for one in claims.findings
        for row in one.figures
    ]
    return csv_of(rows)


def _small(*values: float | None) -> bool:
    return all(value is None or abs(value) < 10 for value in values)


def _number(value: float) -> str:
    return rate(value) if abs(value) < 10 and value != round(value) else f"{value:,.0f}"


def _wide(one: Finding) -> str:
    return "–" if one.low is None or one.high is None else f"[{one.low:,.0f}, {one.high:,.0f}]"
