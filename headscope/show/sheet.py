"""A sheet: what an answer says, laid out once for every medium. No tensor, and no answer, is known here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from headscope.question.kinds import Kind
from headscope.show.marks import MARKS

# How a sheet is drawn where a figure is wanted: cells with all that they say, or their labels alone.
Figure = Literal["cells", "labels"]


class Cell(NamedTuple):
    """A label, a number as it is written, or both; `beside` is a further, smaller one, `before` leads the label.

    `kind` is what a token is to the text, and gives the mark; `shared`: the list beside it has the token too. `share`
    (0 to 1) says how strong the cell's ground is. `says` tells in words what the cell leaves to its sign and its place.
    `value` is its number whole; the title of a column names its numbers by their `measure`. What the cell is about, to
    link by: `id` in the vocabulary, `position` in the text, `head`, `layer`.
    """

    label: str = ""
    number: str = ""
    kind: Kind = "elsewhere"
    share: float | None = None
    beside: str = ""
    before: str = ""
    says: str = ""
    value: float | None = None
    measure: str = ""
    shared: bool = False
    id: int | None = None
    position: int | None = None
    head: int | None = None
    layer: int | None = None

    @property
    def marked(self) -> str:
        """The label behind the sign of its kind."""
        return MARKS[self.kind] + (f"{self.before} {self.label}" if self.before else self.label)

    @property
    def said(self) -> str:
        """All that the cell says, in a line."""
        return " ".join(part for part in (self.marked, self.number, self.beside) if part)


@dataclass(frozen=True)
class Row:
    """Cells under the sheet's columns, and what names them; the row before those that stand `apart` ends a section."""

    head: Cell
    cells: tuple[Cell, ...]
    apart: bool = False


@dataclass(frozen=True)
class Sheet:
    """A table: `caption`, sentences that lead to it, rows under `columns`, and what must be said below it.

    `stub` is the title over the rows' heads. Columns are broken into blocks where the medium is narrow; `together` of
    them stay side by side, under one of the titles `over` them, if there are any. `prose`: cells hold sentences, which
    are broken into lines and never cut. `figure`: how it is drawn; None: it is no figure.
    """

    name: str
    caption: str
    columns: tuple[str | Cell, ...]
    rows: tuple[Row, ...]
    stub: str = ""
    lead: tuple[str, ...] = ()
    legend: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    together: int = 1
    prose: bool = False
    figure: Figure | None = None
    over: tuple[Cell, ...] = ()

    @property
    def titles(self) -> tuple[str, ...]:
        """Of the columns, in words."""
        return tuple(title if isinstance(title, str) else title.marked for title in self.columns)

    @property
    def titles_over(self) -> tuple[str, ...]:
        """Of the columns: what stands over them, at the first of those that it stands over."""
        alone = ("",) * (self.together - 1)
        return tuple(title for over in self.over for title in (over.marked, *alone))


@dataclass(frozen=True)
class SheetCard:
    """A few cells under a title, and a sentence below them; `name`: what it is, empty cells: it is filled later."""

    name: str
    title: str
    cells: tuple[Cell, ...] = ()
    says: str = ""


def of_heads(number: int, measure: str = "") -> tuple[Cell, ...]:
    """Titles of columns that are about one head each; `measure`: what their numbers are."""
    return tuple(Cell(f"head {head}", measure=measure, head=head) for head in range(number))


def grouped(sheets: Sequence[Sheet], heads: int, kv_heads: int) -> tuple[Sheet, ...]:
    """Sheets in which heads that share keys and values have the name of their group before their own.

    >>> sheet = Sheet("s", "s", of_heads(4), ())
    >>> [column.marked for column in grouped([sheet], 4, 2)[0].columns]
    ['kv 0 head 0', 'kv 0 head 1', 'kv 1 head 2', 'kv 1 head 3']
    """
    if kv_heads in (0, heads):
        return tuple(sheets)
    size = heads // kv_heads

    def named(title: Cell) -> Cell:
        if title.head is None or title.layer is not None:
            return title
        group = title.head // size
        others = ", ".join(str(head) for head in range(group * size, (group + 1) * size) if head != title.head)
        return title._replace(before=f"kv {group}", says=f"shares keys and values with {others}")

    return tuple(
        replace(
            sheet,
            columns=tuple(named(title) if isinstance(title, Cell) else title for title in sheet.columns),
            over=tuple(map(named, sheet.over)),
        )
        for sheet in sheets
    )


def head_rows(heads: int, *columns: Sequence[Cell]) -> tuple[Row, ...]:
    """A row for each layer and head, of columns that hold the heads layer after layer; `heads` of them in each.

    >>> [row.head.label for row in head_rows(2, [Cell("a"), Cell("b"), Cell("c"), Cell("d")])]
    ['L0H0', 'L0H1', 'L1H0', 'L1H1']
    """
    return tuple(
        Row(Cell(f"L{n // heads}H{n % heads}", layer=n // heads, head=n % heads), cells)
        for n, cells in enumerate(zip(*columns, strict=True))
    )


def beside(sheets: Sequence[Sheet]) -> Sheet:
    """Sheets of the same rows as one: the first, with the columns of the others beside its own."""
    return replace(
        sheets[0],
        caption=" · ".join(sheet.caption for sheet in sheets),
        columns=tuple(column for sheet in sheets for column in sheet.columns),
        rows=tuple(
            replace(rows[0], cells=tuple(cell for row in rows for cell in row.cells))
            for rows in zip(*(sheet.rows for sheet in sheets), strict=True)
        ),
        legend=tuple(line for sheet in sheets for line in sheet.legend),
        notes=tuple(dict.fromkeys(note for sheet in sheets for note in sheet.notes)),
    )
