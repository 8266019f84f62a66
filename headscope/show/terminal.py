"""Sheets as tables for a terminal, in blocks that fit the width."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from headscope.keep.cells import isolated, visible
from headscope.question.kinds import Kind
from headscope.show.sheet import Cell, Sheet

WIDTH = 100
STYLES: dict[Kind, str] = {"own": "bold green", "text": "cyan", "variant": "cyan", "special": "dim", "elsewhere": ""}
_LABEL, _NAME, _ALONE = 13, 14, 20  # characters of a label beside a number, of a row's, and of one that stands alone
_LONGER = range(20, _LABEL, -1)  # of a label where the width has room for it
_RANK = 7  # heads of rows that are no longer, as ranks are, stand on the right


def text(sheets: Sequence[Sheet]) -> str:
    """Plain text, 100 columns wide."""
    return plain(Group(*tables(sheets, WIDTH)))


def tables(sheets: Sequence[Sheet], width: int) -> list[RenderableType]:
    """Each sheet with its caption, in blocks of columns that fit the width, and what must be said below."""
    parts: list[RenderableType] = []
    for sheet in sheets:
        parts += [Text(sheet.caption, "bold"), *map(Text, sheet.lead)]
        for block in [_prose(sheet)] if sheet.prose else _blocks(sheet, width):
            parts += [block, Text()]
        if sheet.legend:
            parts += [*(Text(line, "dim") for line in sheet.legend), Text()]
        parts += notes(sheet.notes)
        if sheet.notes and sheet is not sheets[-1]:
            parts.append(Text())
    return parts


@dataclass(frozen=True)
class _Room:
    """Characters of a column: its whole width, and those of its labels, numbers, and what stands beside them."""

    whole: int
    label: int
    number: int
    beside: int

    @staticmethod
    def of(title: str, cells: Sequence[Cell], longest: int = _LABEL) -> _Room:
        number = max((cell_len(cell.number) for cell in cells), default=0)
        beside = max((cell_len(cell.beside) for cell in cells), default=0)
        label = max((min(cell_len(cell.marked), longest) for cell in cells if not _is_alone(cell)), default=0)
        alone = max((min(cell_len(cell.marked), _ALONE) for cell in cells if _is_alone(cell)), default=0)
        rest = sum(part + 1 for part in (number, beside) if part)
        whole = max(label + rest, alone, min(max(map(cell_len, title.split("\n"))), _ALONE), 1)
        return _Room(whole, whole - rest if label else 0, number, beside)


def _blocks(sheet: Sheet, width: int) -> list[Table]:
    head = _Room.of(sheet.stub, [row.head for row in sheet.rows], _NAME)
    found, rooms = _laid_out(sheet, width, head, _LABEL)
    for longest in _LONGER:  # words stay whole where that takes no further block
        wider, with_room = _laid_out(sheet, width, head, longest)
        if len(wider) == len(found):
            found, rooms = wider, with_room
            break
    return [_table(sheet, head, {n: rooms[n] for n in columns}) for columns in found]


def _laid_out(sheet: Sheet, width: int, head: _Room, longest: int) -> tuple[list[list[int]], list[_Room]]:
    """The columns of each block, and the room of every column, with labels of so many characters."""
    rooms = [_Room.of(title, [row.cells[n] for row in sheet.rows], longest) for n, title in enumerate(_titles(sheet))]
    groups = [range(n, n + sheet.together) for n in range(0, len(rooms), sheet.together)]
    widest = max(sum(rooms[n].whole + 1 for n in group) - 1 for group in groups)
    found = blocks(len(groups), width, widest, head.whole)
    return [[n for group in groups[block.start : block.stop] for n in group] for block in found], rooms


def _titles(sheet: Sheet) -> tuple[str, ...]:
    """Of the columns, each below what stands over it."""
    if not sheet.over:
        return sheet.titles
    return tuple(f"{over}\n{title}" for over, title in zip(sheet.titles_over, sheet.titles, strict=True))


def _table(sheet: Sheet, head: _Room, rooms: Mapping[int, _Room]) -> Table:
    """The rows of a sheet under those columns that have `rooms`."""
    titles = _titles(sheet)
    ranks = not sheet.stub and not head.number and head.whole <= _RANK
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column(Text(sheet.stub), justify="right" if ranks else "left", width=head.whole, no_wrap=True)
    for n, room in rooms.items():
        title = "\n".join(_cut(line, room.whole) for line in titles[n].split("\n"))
        table.add_column(Text(title), justify="left" if room.label else "right", width=room.whole, no_wrap=True)
    most = {n: max((row.cells[n].share or 0.0 for row in sheet.rows), default=0.0) for n in rooms}
    for row, below in zip(sheet.rows, [*sheet.rows[1:], None], strict=True):
        named = Text(row.head.marked, STYLES[row.head.kind] or "dim") if ranks else _shown(row.head, head, 0)
        shown = (_shown(row.cells[n], room, most[n]) for n, room in rooms.items())
        table.add_row(named, *shown, end_section=below is not None and below.apart and not row.apart)
    return table


def _prose(sheet: Sheet) -> Table:
    """The rows of a sheet whose sentences share the width that its other columns leave."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    columns = zip(*((row.head, *row.cells) for row in sheet.rows), strict=True)
    for title, cells in zip((sheet.stub, *sheet.titles), columns, strict=True):
        table.add_column(Text(title), no_wrap=all(cell_len(cell.said) <= _ALONE for cell in cells))
    for row in sheet.rows:
        table.add_row(*(Text(cell.said, STYLES[cell.kind]) for cell in (row.head, *row.cells)))
    return table


def _shown(cell: Cell, room: _Room, most: float) -> Text:
    """A cell; `most`: the largest share of its column, which stands out, and what is hardly any of it steps back."""
    style = STYLES[cell.kind]
    if _is_alone(cell):
        return Text(set_cell_size(_cut(cell.marked, room.whole), room.whole), style)
    if not room.label:
        weak = cell.share is not None and cell.share < most / 10
        shown = Text(cell.number, "dim" if weak else "bold" if cell.share and cell.share == most else "")
        return shown.append(f" {cell.beside:>{room.beside}}", "dim") if cell.beside else shown
    shown = Text(set_cell_size(_cut(cell.marked, room.label), room.label), style)
    if cell.number:
        shown.append(f" {cell.number:>{room.number}}", "dim")
    return shown.append(f" {cell.beside:>{room.beside}}") if cell.beside else shown


def _is_alone(cell: Cell) -> bool:
    return not (cell.number or cell.beside)


def _cut(label: str, width: int) -> str:
    return label if cell_len(label) <= width else set_cell_size(label, width - 1).rstrip() + "…"


def console(file: IO[str]) -> Console:
    """A console that takes every text as it is: neither "[b]" nor ":x:" in a token means anything to it."""
    return Console(file=file, highlight=False, markup=False, emoji=False)


def plain(shown: RenderableType) -> str:
    """What a terminal without colours would print."""
    written = io.StringIO()
    # In a notebook rich would show what it prints as an output of its own, and write nothing into the file; and where
    # FORCE_COLOR is set, as in a notebook's kernel, it would write bold and dim into it.
    on = Console(
        file=written,
        width=WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
        force_jupyter=False,
        force_terminal=False,
        color_system=None,
    )
    on.print(Disarmed(shown))
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines())


@dataclass(frozen=True)
class Disarmed:
    """What is shown, with nothing in it that a terminal would obey, whatever tokens and names hold."""

    shown: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.shown, options):
            yield segment if segment.control else Segment(isolated(visible(segment.text)), segment.style)


def blocks(columns: int, width: int, cell: int, margin: int = 3) -> list[range]:
    """Columns in blocks of nearly equal size that fit the width, beside a margin."""
    fit = max(1, (width - margin) // (cell + 1))
    size = -(-columns // -(-columns // fit))
    return [range(start, min(start + size, columns)) for start in range(0, columns, size)]


def notes(sentences: Sequence[str]) -> list[RenderableType]:
    """What a reader must see, a line each."""
    return [Text.assemble(("Note: ", "bold yellow"), note) for note in sentences]
