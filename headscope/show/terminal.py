"""Sheets as tables for a terminal, in blocks that fit the width."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from headscope.keep.cells import visible
from headscope.question.kinds import KINDS, Kind
from headscope.show.marks import KEY, MARKS, mark
from headscope.show.numbers import distance, percent, rank, score
from headscope.show.sheet import Cell, Row, Sheet

WIDTH = 100
STYLES: dict[Kind, str] = {"own": "bold green", "text": "cyan", "variant": "cyan", "special": "dim", "elsewhere": ""}
_LABEL, _ALONE = 9, 20  # characters of a label beside a number, and of one that stands alone
_HEAD = 7  # heads of rows that are no longer stand on the right


def text(sheets: Sequence[Sheet]) -> str:
    """Plain text, 100 columns wide."""
    return plain(Group(*tables(sheets, WIDTH)))


def tables(sheets: Sequence[Sheet], width: int) -> list[RenderableType]:
    """Each sheet with its caption, in blocks of columns that fit the width, and what must be said below."""
    parts: list[RenderableType] = []
    for sheet in sheets:
        parts += [Text(sheet.caption, "bold"), *map(Text, sheet.lead)]
        for block in _blocks(sheet, width):
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
    def of(title: str, cells: Sequence[Cell]) -> _Room:
        number = max((cell_len(cell.number) for cell in cells), default=0)
        beside = max((cell_len(cell.beside) for cell in cells), default=0)
        label = max((min(cell_len(cell.marked), _LABEL) for cell in cells if cell.number), default=0)
        alone = max((min(cell_len(cell.marked), _ALONE) for cell in cells if not cell.number), default=0)
        rest = number + bool(label) + beside + bool(beside)
        whole = max(label + rest, alone, min(cell_len(title), _ALONE), 1)
        return _Room(whole, whole - rest if label else 0, number, beside)


def _blocks(sheet: Sheet, width: int) -> list[Table]:
    head = _Room.of(sheet.stub, [row.head for row in sheet.rows])
    rooms = [_Room.of(title, [row.cells[n] for row in sheet.rows]) for n, title in enumerate(sheet.columns)]
    groups = [range(n, n + sheet.together) for n in range(0, len(rooms), sheet.together)]
    widest = max(sum(rooms[n].whole + 1 for n in group) - 1 for group in groups)
    on_right = all(cell_len(row.head.marked) <= _HEAD and not row.head.number for row in sheet.rows)
    found = []
    for block in blocks(len(groups), width, widest, head.whole):
        columns = [n for group in groups[block.start : block.stop] for n in group]
        table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False, header_style="bold")
        table.add_column(Text(sheet.stub), justify="right" if on_right else "left", width=head.whole, no_wrap=True)
        for n in columns:
            table.add_column(_fitted(sheet.columns[n], rooms[n].whole), width=rooms[n].whole, no_wrap=True)
        for row, below in zip(sheet.rows, [*sheet.rows[1:], None], strict=True):
            named = Text(row.head.marked, STYLES[row.head.kind] or "dim") if on_right else _shown(row.head, head)
            shown = (_shown(row.cells[n], rooms[n], _weight(sheet.rows, n, row.cells[n])) for n in columns)
            table.add_row(named, *shown, end_section=below is not None and below.apart and not row.apart)
        found.append(table)
    return found


def _shown(cell: Cell, room: _Room, weight: str = "") -> Text:
    if not cell.number:
        return _fitted(cell.marked, room.whole, STYLES[cell.kind])
    shown = _fitted(cell.marked, room.label, STYLES[cell.kind])
    if room.label:
        shown.append(" ")
    shown.append(f"{cell.number:>{room.number}}", "dim" if cell.label else weight)
    return shown.append(f" {cell.beside:>{room.beside}}") if cell.beside else shown


def _weight(rows: Iterable[Row], column: int, cell: Cell) -> str:
    """The largest share of a column stands out; what is hardly any steps back."""
    if cell.share is None:
        return ""
    most = max(row.cells[column].share or 0.0 for row in rows)
    return "bold" if cell.share == most else "dim" if cell.share < most / 10 else ""


def _fitted(label: str, width: int, style: str = "") -> Text:
    if cell_len(label) > width:
        label = set_cell_size(label, width - 1).rstrip() + "…"
    return Text(set_cell_size(label, width), style, no_wrap=True)


if TYPE_CHECKING:
    from headscope.reading.finding import Question
    from headscope.reading.reading import Reading
    from headscope.reading.results import Atlas, Attention, Background, Comparison, PositionNeighbors
    from headscope.scope import Card

VECTORS = {"z": "the outputs", "q": "the queries", "k": "the keys", "v": "the values"}
_SIGNS = {MARKS[kind]: style for kind, style in STYLES.items() if style}
_NUMBER = 5
_CELL = _LABEL + 1 + _NUMBER
_MARGIN = 3  # the column of ranks


def positions(rows: PositionNeighbors) -> str:
    """Plain text, 100 columns wide."""
    return plain(Group(*position_tables(rows, WIDTH)))


def atlas(found: Atlas) -> str:
    """Plain text, 100 columns wide."""
    return plain(Group(*atlas_tables(found, WIDTH)))


def attention(found: Attention) -> str:
    """Plain text, 100 columns wide."""
    return plain(Group(*attention_tables(found, WIDTH)))


def background(found: Background) -> str:
    """Plain text, 100 columns wide."""
    return plain(Group(*background_tables(found, WIDTH)))


def comparison(found: Comparison) -> str:
    """Plain text, 100 columns wide."""
    return plain(Group(*comparison_tables(found, WIDTH)))


def console(file: IO[str]) -> Console:
    """A console that takes every text as it is: neither "[b]" nor ":x:" in a token means anything to it."""
    return Console(file=file, highlight=False, markup=False, emoji=False)


def plain(shown: RenderableType) -> str:
    """What a terminal without colours would print."""
    written = io.StringIO()
    # In a notebook rich would show what it prints as an output of its own, and write nothing into the file.
    on = Console(
        file=written,
        width=WIDTH,
        no_color=True,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
        force_jupyter=False,
    )
    on.print(Disarmed(shown))
    return "\n".join(line.rstrip() for line in written.getvalue().splitlines())


@dataclass(frozen=True)
class Disarmed:
    """What is shown, with nothing in it that a terminal would obey, whatever tokens and names hold."""

    shown: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.shown, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def model_line(card: Card) -> Text:
    """Which model is open, why, and how well its capture proved itself."""
    shown = Text.assemble((card.name, "bold"), (f" · {card.why}\n", "dim"))
    shape = f"{card.layers} layers × {card.heads} heads of {card.d_head}, vocabulary {card.vocab_size:,}"
    return shown.append(f"{shape}, capture error {card.capture_error:.1e}", "dim")


def token_line(reading: Reading, selected: int, width: int) -> Text:
    """The tokens of a text with their positions, the selected one marked; never broken inside a token."""
    shown, used = Text(), 0
    for token in reading.tokens:
        style = "bold reverse" if token.position == selected else "dim" if token.special else ""
        piece = Text.assemble((f"{token.position} ", "dim"), (token.label, style))
        if used and used + piece.cell_len > width:
            shown, used = shown.append("\n"), 0
        shown.append_text(piece).append("  ")
        used += piece.cell_len + 2
    return shown


def background_tables(found: Background, width: int) -> list[RenderableType]:
    """Raw and hub-aware neighbours side by side for each head, with chance beside what is of this text."""
    near, chance = found.near, found.chance
    asked, own = near.question, near.tokens[0]
    title = (
        f"Nearest vocabulary tokens to the outputs at {own.position} {own.label}, raw and hub-aware · "
        f"layer {asked.layer} · {choices(asked)}"
    )
    listed, names = chance.listed.tolist(), found.names
    raw = list(zip(near.ids.tolist(), near.distances.tolist(), near.kinds.tolist(), listed, strict=True))
    aware = list(zip(found.ids.tolist(), found.scores.tolist(), found.kinds.tolist(), strict=True))
    share = _CELL + 5
    parts: list[RenderableType] = [Text(title, "bold")]
    for heads in blocks(len(raw), width - 4, share + 1 + _CELL):
        table = _table([name for h in heads for name in (f"head {h}", "hub-aware")], [share, _CELL] * len(heads), 7)
        for row in range(near.ids.shape[1]):
            cells = []
            for h in heads:
                ids, distances, kinds, shares = (one[row] for one in raw[h])
                beside = f" {shares:>4.0%}" if in_text(kinds) else ""
                cells.append(_cell(names[ids].label, distances, mark(kinds)).append(beside))
                ids, scores, kinds = (one[row] for one in aware[h])
                cells.append(_label(names[ids].label, mark(kinds), _LABEL).append(f" {score(scores)}", "dim"))
            table.add_row(str(row + 1), *cells, end_section=row == near.ids.shape[1] - 1)
        rows = [[name] for name in ("own", "chance", "in text", "hubs")]
        for h in heads:
            rows[0] += [
                f"{f'#{int(near.own_rank[h])}':<{_LABEL}} {distance(float(near.own_distance[h])):>{_NUMBER}}",
                f"{f'#{int(found.own_rank[h])}':<{_LABEL}} {score(float(found.own_score[h]))}",
            ]
            rows[1] += [chance_of_own(found, h), ""]
            rows[2] += [percent(float(chance.in_text[h])), ""]
            rows[3] += list(hubs_of(found, h))
        for cells_of_row in rows:
            table.add_row(*cells_of_row)
        parts += [table, Text()]
    parts += [Text(KEY, "dim"), *(Text(line, "dim") for line in background_legend(found)), Text()]
    return [*parts, *notes([*near.notes, *found.notes])]


def chance_of_own(found: Background, head: int) -> str:
    """The own token's median rank under other outputs, and how many rank it as near."""
    chance = found.chance
    return f"#{rank(float(chance.own_rank[head]))}, {percent(float(chance.as_near[head]))} as near"


def hubs_of(found: Background, head: int) -> tuple[str, str]:
    """The most frequent neighbour with its share, and the skewness."""
    hubs = found.hubs
    label = found.names[int(hubs.largest_id[head])].label
    return f"{percent(float(hubs.largest[head]))} {label}", f"skew {float(hubs.skewness[head]):.1f}"


def background_legend(found: Background) -> tuple[str, ...]:
    """What the numbers beside an answer are."""
    chance = found.chance
    where = f"position {chance.first}" if chance.first == chance.last else f"positions {chance.first} to {chance.last}"
    return (
        f"Bank: {found.outputs:,} outputs of other texts ({found.bank}). Hub-aware: by how many standard deviations "
        "over the bank the token is nearer than usual.",
        f"Chance, from the {chance.outputs:,} of them at {where}: beside a token of the text, how many list it too; "
        "chance, the own token's median rank, and how many rank it as near; in text, how many have a token of this "
        "text nearest.",
        "Hubs: the token that is most often among the 10 nearest of the bank's outputs, and how skewed that count is.",
    )


def comparison_tables(found: Comparison, width: int) -> list[RenderableType]:
    """What changed for each head, then both tables."""
    parts: list[RenderableType] = [Text("What changed: tokens shared by both, and how far the own token moved", "bold")]
    for heads in blocks(len(found.overlap), width):
        table = _table([f"head {head}" for head in heads])
        table.add_row("", *(f"{found.overlap[h]:.0%}, own {int(found.moved[h]):+d}" for h in heads))
        parts.append(table)
    return [*parts, *tables(found.one.sheets(), width), *tables(found.other.sheets(), width)]


def position_tables(rows: PositionNeighbors, width: int) -> list[RenderableType]:
    """The positions of the text by their distance, a column a head, the own position marked with ▸."""
    what = "outputs" if rows.against == "z" else "values"
    title = (
        f"Nearest positions of the text ({what}) to the outputs at {rows.token.position} {rows.token.label} · "
        f"layer {rows.layer} · {rows.metric}"
    )
    order, distances = rows.positions.tolist(), rows.distances.tolist()
    parts: list[RenderableType] = [Text(title, "bold")]
    for heads in blocks(len(order), width):
        table = _table([f"head {head}" for head in heads])
        for row in range(len(rows.tokens)):
            table.add_row(
                str(row + 1),
                *(
                    _cell(
                        f"{order[h][row]} {rows.tokens[order[h][row]].label}",
                        distances[h][row],
                        MARKS["own"] if order[h][row] == rows.token.position else "",
                    )
                    for h in heads
                ),
            )
        parts += [table, Text()]
    return [*parts, *notes(rows.notes)]


def atlas_tables(found: Atlas, width: int) -> list[RenderableType]:
    """The nearest token of every layer (rows) and head (columns), and each layer's share of the text's own."""
    asked = found.question
    title = (
        f"Nearest vocabulary token in every layer and head at {found.token.position} {found.token.label} · "
        f"{choices(asked)}"
    )
    ids, distances, kinds = found.ids.tolist(), found.distances.tolist(), found.kinds.tolist()
    parts: list[RenderableType] = [Text(title, "bold")]
    for heads in blocks(len(ids[0]), width):
        table = _table([f"head {head}" for head in heads])
        for layer, row in enumerate(ids):
            table.add_row(
                f"L{layer}",
                *(_cell(found.names[row[h]].label, distances[layer][h], mark(kinds[layer][h])) for h in heads),
            )
        parts += [table, Text()]
    return [*parts, *_rates(found), Text(KEY, "dim"), Text(), *notes(found.notes)]


def _rates(found: Atlas) -> list[RenderableType]:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, show_edge=False, header_style="bold")
    for column in ("", *KINDS):
        table.add_column(column, justify="right")
    for layer, shares in enumerate(found.rates().tolist()):
        table.add_row(f"L{layer}", *(f"{share:.0%}" for share in shares))
    return [Text("Share of each layer's heads by the kind of their nearest token", "bold"), table, Text()]


def attention_tables(found: Attention, width: int) -> list[RenderableType]:
    """How much of each source (rows) every head (columns) mixes into its output at a token."""
    what = "weights" if found.weigh == "weights" else "lengths of what the weights let through"
    title = f"Attention of {found.token.position} {found.token.label} · layer {found.layer} · {what}"
    shares = found.shares.tolist()
    parts: list[RenderableType] = [Text(title, "bold")]
    for heads in blocks(len(shares), width - _CELL):
        table = _table(["source", *(f"head {head}" for head in heads)])
        for token in found.tokens:
            own = MARKS["own"] if token == found.token else ""
            table.add_row(
                str(token.position),
                _label(token.label, own, _CELL),
                *(Text(distance(shares[h][token.position]), _old_weight(shares[h], token.position)) for h in heads),
            )
        parts += [table, Text()]
    return [*parts, *notes(found.notes)]


def _old_weight(shares: Sequence[float], position: int) -> str:
    """The head's largest source stands out; what it hardly uses steps back."""
    most = max(shares)
    return "bold" if shares[position] == most else "dim" if shares[position] < most / 10 else ""


def choices(asked: Question) -> str:
    """The choices of an answer, in one line."""
    parts: list[str] = [asked.space, asked.metric]
    if asked.reference is not None:
        where = "" if asked.at is None else f" (at {asked.at})"
        parts += [f"reference {asked.reference}", f"position {'on' if asked.use_position else 'off'}{where}"]
    return " · ".join(parts)


def in_text(kind: int) -> bool:
    """Whether a kind, by its index in KINDS, is of tokens that the text has."""
    return KINDS[kind] in ("own", "text")


def blocks(heads: int, width: int, cell: int = _CELL, margin: int = _MARGIN) -> list[range]:
    """Heads in blocks of nearly equal size that fit the width."""
    fit = max(1, (width - margin) // (cell + 1))
    size = -(-heads // -(-heads // fit))
    return [range(start, min(start + size, heads)) for start in range(0, heads, size)]


def _table(columns: Sequence[str], widths: Sequence[int] | None = None, margin: int = _MARGIN) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("", justify="right", style="dim", width=margin)
    for column, cell in zip(columns, widths or [_CELL] * len(columns), strict=True):
        table.add_column(column, width=cell, no_wrap=True)
    return table


def _cell(label: str, value: float, sign: str) -> Text:
    return _label(label, sign, _LABEL).append(f" {distance(value):>{_NUMBER}}", "dim")


def _label(label: str, sign: str, width: int) -> Text:
    label = sign + label
    if cell_len(label) > width:
        label = set_cell_size(label, width - 1).rstrip() + "…"
    return Text(set_cell_size(label, width), _SIGNS.get(sign, ""), no_wrap=True)


def notes(sentences: Sequence[str]) -> list[RenderableType]:
    """What a reader must see, a line each."""
    return [Text.assemble(("Note: ", "bold yellow"), note) for note in sentences]
