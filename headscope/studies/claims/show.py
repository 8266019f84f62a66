"""Claims in the terminal: a table of verdicts, and what each rests on."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from headscope.inference.verdicts import Ruling
from headscope.studies.claims.catalogue import CLAIMS
from headscope.studies.claims.result import Claims
from headscope.studies.claims.verdict import Finding

WIDTH = 110
MARKS: dict[Ruling, tuple[str, str]] = {
    "holds": ("● holds", "bold green"),
    "fails": ("○ fails", "bold red"),
    "undetermined": ("? undetermined", "yellow"),
    "not applicable": ("– n/a", "dim"),
}
COLUMNS = (("right", "input"), ("right", "layer"), ("published", "input"))
_HEADS = ("right: input", "right: layer", "published")


def tables(claims: Claims) -> list[RenderableType]:
    """The verdicts, then what was found, then the notes."""
    model, texts = claims.model, claims.texts
    head = Text(
        f"{model['name']}: {model['layers']} layers × {model['heads']} heads, mask {claims.mask!r}. {model['why']}"
    )
    corpus = Text(
        f"{texts['texts']:,} texts, {texts['tokens']:,} tokens in {texts['groups']:,} "
        f"{'documents' if texts['documents'] else 'texts'} that are drawn: {texts['from']}",
        "dim",
    )
    legend = Text(
        "Right: the heads' own outputs, with the vocabulary encoded by layer 0 (input) or by each layer; ″ where that "
        "makes no difference. Published: X·W as stored, without bias. n/a: not applicable, as said below.",
        "dim",
    )
    notes = [Text(f"Note: {note}") for note in claims.notes]
    return [head, corpus, Text(), _verdicts(claims), legend, Text(), _found(claims), *notes]


def text(claims: Claims) -> str:
    """Plain text."""
    written = io.StringIO()
    Console(file=written, width=WIDTH, color_system=None, markup=False, emoji=False).print(Group(*tables(claims)))
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines())


def cells(findings: Sequence[Finding]) -> tuple[Finding | None, ...]:
    """A claim's findings under COLUMNS; the same one under both references where it has none."""

    def at(arithmetic: str, reference: str) -> Finding | None:
        return next(
            (one for one in findings if one.arithmetic == arithmetic and one.reference in (reference, None)), None
        )

    return tuple(at(*column) for column in COLUMNS)


def _verdicts(claims: Claims) -> Table:
    table = Table(
        "", "claim", *_HEADS, box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False, header_style="bold"
    )
    for column in table.columns[2:]:
        column.no_wrap = True
    for claim in CLAIMS.values():
        right, layer, published = cells(claims.of(claim.id))
        shown = [_mark(right), Text("″", "dim") if layer is right else _mark(layer), _mark(published)]
        table.add_row(Text(claim.id, "bold"), claim.says, *shown)
    return table


def _found(claims: Claims) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False, show_header=False)
    for claim in CLAIMS.values():
        for number, one in enumerate(claims.of(claim.id)):
            under = one.arithmetic + (f", {one.reference}" if one.reference and one.arithmetic == "right" else "")
            table.add_row(Text(claim.id if number == 0 else "", "bold"), Text(under, "dim"), one.found)
    return table


def _mark(finding: Finding | None) -> Text:
    return Text("–", "dim") if finding is None else Text(*MARKS[finding.ruling])
