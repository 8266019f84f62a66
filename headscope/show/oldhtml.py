"""Results as self-contained HTML tables, for notebooks. Text and vocabulary are data: everything is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from headscope.show.html import tables
from headscope.show.marks import KEY, MARKS, mark
from headscope.show.numbers import distance, percent, score
from headscope.show.terminal import (
    background_legend,
    chance_of_own,
    choices,
    hubs_of,
    in_text,
)

if TYPE_CHECKING:
    from headscope.reading.results import Atlas, Attention, Background, Comparison, PositionNeighbors

_STYLES = {MARKS["own"]: "font-weight:600;text-decoration:underline", MARKS["text"]: "font-weight:600"}
_CELL = "text-align:left;white-space:pre;padding:1px 8px;unicode-bidi:isolate"


def background(found: Background) -> str:
    """Raw and hub-aware neighbours side by side for each head, with chance beside what is of this text."""
    near, chance, names = found.near, found.chance, found.names
    asked, own = near.question, near.tokens[0]
    caption = (
        f"Nearest vocabulary tokens to the outputs, raw and hub-aware: {own.position} {own.label}, "
        f"layer {asked.layer}, {choices(asked)}"
    )
    raw = list(
        zip(near.ids.tolist(), near.distances.tolist(), near.kinds.tolist(), chance.listed.tolist(), strict=True)
    )
    aware = list(zip(found.ids.tolist(), found.scores.tolist(), found.kinds.tolist(), strict=True))
    heads = range(len(raw))
    rows = []
    for row in range(near.ids.shape[1]):
        cells = [str(row + 1)]
        for h in heads:
            id, apart, kind, share = (one[row] for one in raw[h])
            beside = f" {share:.0%}" if in_text(kind) else ""
            cells.append(_told(names[id].label, distance(apart) + beside, mark(kind)))
            id, scored, kind = (one[row] for one in aware[h])
            cells.append(_told(names[id].label, score(scored), mark(kind)))
        rows.append(cells)
    said: list[list[str]] = [[name] for name in ("own", "chance", "in text", "hubs")]
    for h in heads:
        said[0] += [
            _told(f"#{int(near.own_rank[h])}", distance(float(near.own_distance[h])), ""),
            _told(f"#{int(found.own_rank[h])}", score(float(found.own_score[h])), ""),
        ]
        said[1] += [chance_of_own(found, h), ""]
        said[2] += [percent(float(chance.in_text[h])), ""]
        said[3] += map(escape, hubs_of(found, h))
    rows += said
    columns = [name for h in heads for name in (f"head {h}", "hub-aware")]
    return _table(caption, columns, rows, (KEY, *background_legend(found), *near.notes, *found.notes))


def comparison(found: Comparison) -> str:
    """Both tables, and above them for each head what they share and how far the own token moved."""
    changes = zip(found.overlap.tolist(), found.moved.tolist(), strict=True)
    row = ["change", *(f"{overlap:.0%} shared, own {moved:+d}" for overlap, moved in changes)]
    columns = [f"head {head}" for head in range(len(found.overlap))]
    return _table("What changed", columns, [row], ()) + tables(found.one.sheets()) + tables(found.other.sheets())


def positions(found: PositionNeighbors) -> str:
    """One column a head, the positions of the text nearest first, the own position marked."""
    caption = (
        f"Nearest positions of the text: {found.token.position} {found.token.label}, layer {found.layer}, "
        f"{found.metric}, against {found.against}"
    )
    pairs = list(zip(found.positions.tolist(), found.distances.tolist(), strict=True))
    rows = [
        [
            str(n + 1),
            *(
                _cell(f"{order[n]} {found.tokens[order[n]].label}", d[n], _own(order[n] == found.token.position))
                for order, d in pairs
            ),
        ]
        for n in range(len(found.tokens))
    ]
    return _table(caption, [f"head {head}" for head in range(len(pairs))], rows, found.notes)


def atlas(found: Atlas) -> str:
    """Layers × heads: the nearest token of each, the own token marked."""
    asked = found.question
    caption = (
        f"Nearest vocabulary token in every layer and head: {found.token.position} {found.token.label}, "
        f"{choices(asked)}"
    )
    rows = [
        [
            f"L{layer}",
            *(_cell(found.names[id].label, d, mark(kind)) for id, d, kind in zip(*row, strict=True)),
        ]
        for layer, row in enumerate(
            zip(found.ids.tolist(), found.distances.tolist(), found.kinds.tolist(), strict=True)
        )
    ]
    return _table(caption, [f"head {head}" for head in range(found.ids.shape[1])], rows, (KEY, *found.notes))


def attention(found: Attention) -> str:
    """One row a source position, one column a head."""
    what = "weights" if found.weigh == "weights" else "lengths of what the weights let through"
    caption = f"Attention of {found.token.position} {found.token.label}, layer {found.layer}, {what}"
    shares = found.shares.tolist()
    rows = [
        [
            f"{token.position} {_own(token == found.token)}{token.label}",
            *(distance(one[token.position]) for one in shares),
        ]
        for token in found.tokens
    ]
    return _table(caption, [f"head {head}" for head in range(len(shares))], rows, found.notes)


def _own(is_own: bool) -> str:
    return MARKS["own"] if is_own else ""


def _cell(label: str, value: float, sign: str) -> str:
    return _told(label, distance(value), sign)


def _told(label: str, value: str, sign: str) -> str:
    shown = f'<span style="{_STYLES.get(sign, "")}">{sign}{escape(label)}</span>' if sign else escape(label)
    return f'{shown} <small style="opacity:.6">{value}</small>'


def _table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    head = "".join(f'<th scope="col" style="{_CELL}">{escape(column)}</th>' for column in ["", *columns])
    body = "".join(
        "<tr>"
        + f'<th scope="row" style="{_CELL}">{escape(row[0])}</th>'
        + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    shown_notes = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return (
        f'<div style="overflow-x:auto"><table><caption style="text-align:left">{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{shown_notes}</div>"
    )
