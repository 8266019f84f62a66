"""Results as self-contained HTML tables, for notebooks. Text and vocabulary are data: everything is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from headscope.show.marks import KEY, MARKS, mark
from headscope.show.terminal import (
    VECTORS,
    background_legend,
    chance_of_own,
    choices,
    distance,
    hubs_of,
    in_text,
    percent,
    score,
)

if TYPE_CHECKING:
    from headscope.reading.results import Atlas, Attention, Background, Comparison, Neighbors, PositionNeighbors, Why

_STYLES = {MARKS["own"]: "font-weight:600;text-decoration:underline", MARKS["text"]: "font-weight:600"}
_CELL = "text-align:left;white-space:pre;padding:1px 8px;unicode-bidi:isolate"


def neighbors(near: Neighbors) -> str:
    """A table for each selected token: one column a head, the own token marked."""
    parts = []
    for one in near.each():
        asked, own = one.question, one.tokens[0]
        caption = (
            f"Nearest vocabulary tokens to {VECTORS[asked.vector]}: {own.position} {own.label}, layer {asked.layer}, "
            f"{choices(asked)}"
        )
        ids, distances, kinds = one.ids.tolist(), one.distances.tolist(), one.kinds.tolist()
        rows = [
            [str(rank + 1), *(_cell(one.names[h[rank]].label, d[rank], mark(kind[rank])) for h, d, kind in all_three)]
            for all_three in [list(zip(ids, distances, kinds, strict=True))]
            for rank in range(one.ids.shape[-1])
        ]
        owns = zip(one.own_rank.tolist(), one.own_distance.tolist(), strict=True)
        rows.append(["own", *(_cell(f"#{rank}", d, "") for rank, d in owns)])
        if one.suppressed is not None:
            ends = list(zip(one.suppressed.ids.tolist(), one.suppressed.distances.tolist(), strict=True))
            rows += [
                [f"−{rank + 1}", *(_cell(one.names[h[rank]].label, d[rank], _own(h[rank] == own.id)) for h, d in ends)]
                for rank in range(one.ids.shape[-1])
            ]
        parts.append(_table(caption, [f"head {head}" for head in range(len(ids))], rows, (KEY, *one.notes)))
    return "".join(parts)


def why(found: Why) -> str:
    """One row a source position: its weight, and its share of the score."""
    asked = found.question
    caption = (
        f"Why {found.neighbor.label}: {found.token.position} {found.token.label}, layer {asked.layer}, "
        f"head {found.head}, {choices(asked)}; score {found.score:+.4f}"
    )
    shares = zip(found.tokens, found.weights.tolist(), found.shares.tolist(), strict=True)
    rows = [[str(t.position), escape(t.label), f"{weight:.3f}", f"{share:+.4f}"] for t, weight, share in shares]
    if found.rest:
        rows.append(["", "no position", "", f"{found.rest:+.4f}"])
    return _table(caption, ["source", "weight", "share"], rows, ())


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
    return _table("What changed", columns, [row], ()) + neighbors(found.one) + neighbors(found.other)


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
