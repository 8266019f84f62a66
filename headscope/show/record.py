"""Results as plain lists and numbers, for JSON and for data frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from headscope.keep.cells import cell
from headscope.question.kinds import KINDS

if TYPE_CHECKING:
    from headscope.model.tokens import Token
    from headscope.reading import records
    from headscope.reading.finding import Question
    from headscope.reading.reading import Reading
    from headscope.reading.results import (
        Atlas,
        Attention,
        Background,
        Comparison,
        Ends,
        Neighbors,
        PositionNeighbors,
        Why,
    )
    from headscope.scope import Card

SCHEMA = 1
Record = dict[str, Any]


def token(token: Token) -> records.TokenRecord:
    """One token of a text."""
    return {
        "position": token.position,
        "id": token.id,
        "text": token.text,
        "label": token.label,
        "special": token.special,
        "span": list(token.span) if token.span else None,
    }


def model(card: Card) -> records.ModelRecord:
    """Which model answered, how it was chosen, and how well its capture proved itself."""
    return {
        "name": card.name,
        "revision": card.revision,
        "weights_sha256": card.weights_sha256,
        "capture_error": card.capture_error,
        "why": card.why,
        "layers": card.layers,
        "heads": card.heads,
        "position_embeddings": card.position_embeddings,
        "positions": card.positions,
    }


def look(card: Card, reading: Reading, near: Neighbors, rows: PositionNeighbors) -> records.LookRecord:
    """One selected token, one layer, every head: the object that `headscope look --json` prints."""
    asked, selected = near.question, near.tokens[0]
    assert asked.layer is not None  # an answer about one layer
    return {
        "schema": SCHEMA,
        **read(card, reading),
        "selected": selected.position,
        "layer": asked.layer,
        **_choices(asked),
        "notes": list(near.notes),
        "heads": [
            {**neighbors, "positions": positions}
            for neighbors, positions in zip(_heads(near), _positions(rows), strict=True)
        ],
    }


def question(asked: Question) -> records.QuestionRecord:
    """The choices of an answer; `layer` null for all, `reference` null where the space has none."""
    return {"layer": asked.layer, **_choices(asked)}


def _choices(asked: Question) -> records.ChoicesRecord:
    return {
        "space": asked.space,
        "reference": asked.reference,
        "metric": asked.metric,
        "use_position": asked.use_position,
        "candidates": asked.candidates,
        "vector": asked.vector,
        "at": asked.at,
    }


def why(found: Why) -> records.WhyRecord:
    """One token's score, split over the source positions."""
    return {
        **question(found.question),
        "selected": found.token.position,
        "head": found.head,
        "id": found.neighbor.id,
        "token": found.neighbor.text,
        "label": found.neighbor.label,
        "score": found.score,
        "rest": found.rest,
        "sources": why_rows(found),
    }


def why_rows(found: Why) -> list[records.WhySourceRecord]:
    """One row for each source position."""
    return [
        {"position": token.position, "token": token.text, "label": token.label, "weight": weight, "share": share}
        for token, weight, share in zip(found.tokens, found.weights.tolist(), found.shares.tolist(), strict=True)
    ]


def neighbors(near: Neighbors) -> records.NeighborsRecord:
    """The answer for each selected token."""
    asked = near.question
    return {
        **question(asked),
        "notes": list(near.notes),
        "selected": [{"token": token(one.tokens[0]), "heads": _heads(one)} for one in near.each()],
    }


def neighbor_rows(near: Neighbors) -> list[Record]:
    """One row for each neighbour."""
    return [
        {"position": one.tokens[0].position, "head": head["head"], **neighbor}
        for one in near.each()
        for head in _heads(one)
        for neighbor in head["neighbors"]
    ]


def background(found: Background) -> records.BackgroundRecord:
    """An answer's hub-aware neighbours and chance, head by head; the answer itself is not repeated."""
    near, chance, hubs = found.near, found.chance, found.hubs
    return {
        **question(near.question),
        "selected": near.tokens[0].position,
        "bank": {"name": found.bank, "outputs": found.outputs},
        "window": {"first": chance.first, "last": chance.last, "outputs": chance.outputs},
        "notes": list(found.notes),
        "heads": [
            {
                "head": head,
                "neighbors": [
                    {
                        "rank": rank,
                        "id": id,
                        "token": found.names[id].text,
                        "label": found.names[id].label,
                        "score": score,
                        "kind": KINDS[kind],
                        "positions": list(found.places.get(id, ())),
                    }
                    for rank, id, score, kind in zip(
                        found.ranks[head].tolist(),
                        found.ids[head].tolist(),
                        found.scores[head].tolist(),
                        found.kinds[head].tolist(),
                        strict=True,
                    )
                ],
                "own": {"rank": int(found.own_rank[head]), "score": _number(float(found.own_score[head]))},
                "hubs": {
                    "skewness": float(hubs.skewness[head]),
                    "largest": float(hubs.largest[head]),
                    "id": int(hubs.largest_id[head]),
                    "token": found.names[int(hubs.largest_id[head])].text,
                    "label": found.names[int(hubs.largest_id[head])].label,
                },
                "chance": {
                    "own_rank": _number(float(chance.own_rank[head])),
                    "as_near": _number(float(chance.as_near[head])),
                    "in_text": float(chance.in_text[head]),
                    "listed": chance.listed[head].tolist(),
                },
            }
            for head in range(len(found.ids))
        ],
    }


def background_rows(found: Background) -> list[Record]:
    """One row for each neighbour: the answer's, with their chance, and the hub-aware ones, with their score."""
    raw = [
        {"head": row["head"], "list": "raw", "rank": row["rank"], "id": row["id"], "token": row["token"]}
        | {"distance": row["distance"], "score": None, "kind": row["kind"], "chance": chance}
        for row, chance in zip(neighbor_rows(found.near), found.chance.listed.flatten().tolist(), strict=True)
    ]
    return raw + [
        {"head": head["head"], "list": "hub-aware", "rank": row["rank"], "id": row["id"], "token": row["token"]}
        | {"distance": None, "score": row["score"], "kind": row["kind"], "chance": None}
        for head in background(found)["heads"]
        for row in head["neighbors"]
    ]


def comparison(found: Comparison) -> records.ComparisonRecord:
    """Two answers and how they differ."""
    return {"one": neighbors(found.one), "other": neighbors(found.other), "heads": comparison_rows(found)}


def comparison_rows(found: Comparison) -> list[records.ChangeRecord]:
    """One row for each head."""
    return [
        {"head": head, "overlap": overlap, "own_rank": one, "other_own_rank": other, "moved": moved}
        for head, (overlap, one, other, moved) in enumerate(
            zip(
                found.overlap.tolist(),
                found.one.own_rank.tolist(),
                found.other.own_rank.tolist(),
                found.moved.tolist(),
                strict=True,
            )
        )
    ]


def positions(rows: PositionNeighbors) -> records.PositionsRecord:
    """The positions of the text by their distance, for each head."""
    return {
        "layer": rows.layer,
        "metric": rows.metric,
        "against": rows.against,
        "selected": rows.token.position,
        "notes": list(rows.notes),
        "heads": [{"head": head, "positions": one} for head, one in enumerate(_positions(rows))],
    }


def position_rows(rows: PositionNeighbors) -> list[Record]:
    """One row for each head and position."""
    return [
        {"head": head, "place": place, **entry}
        for head, one in enumerate(_positions(rows))
        for place, entry in enumerate(one, start=1)
    ]


def atlas(found: Atlas) -> records.AtlasRecord:
    """The nearest token of every layer and head."""
    asked = found.question
    return {
        "schema": SCHEMA,
        "selected": found.token.position,
        **question(asked),
        "notes": list(found.notes),
        "cells": atlas_rows(found),
        "layers": rate_rows(found),
    }


def atlas_rows(found: Atlas) -> list[records.CellRecord]:
    """One row for each layer and head."""
    return [
        {
            "layer": layer,
            "head": head,
            "id": id,
            "token": found.names[id].text,
            "label": found.names[id].label,
            "distance": _number(distance),
            "own_rank": own_rank,
            "kind": KINDS[kind],
            "positions": list(found.places.get(id, ())),
        }
        for layer, (ids, distances, ranks, kinds) in enumerate(
            zip(
                found.ids.tolist(),
                found.distances.tolist(),
                found.own_rank.tolist(),
                found.kinds.tolist(),
                strict=True,
            )
        )
        for head, (id, distance, own_rank, kind) in enumerate(zip(ids, distances, ranks, kinds, strict=True))
    ]


def rate_rows(found: Atlas) -> list[records.RatesRecord]:
    """For each layer the share of its heads whose nearest token is of each kind."""
    return [
        {"layer": layer, "own": own, "text": text, "variant": variant, "special": special, "elsewhere": elsewhere}
        for layer, (own, text, variant, special, elsewhere) in enumerate(found.rates().tolist())
    ]


def attention(found: Attention) -> records.AttentionRecord:
    """How much of each position every head mixes into its output at a token."""
    return {
        "schema": SCHEMA,
        "selected": found.token.position,
        "layer": found.layer,
        "weigh": found.weigh,
        "notes": list(found.notes),
        "heads": [{"head": head, "shares": shares} for head, shares in enumerate(found.shares.tolist())],
    }


def attention_rows(found: Attention) -> list[Record]:
    """One row for each head and source."""
    return [
        {"head": head, "position": token.position, "token": token.text, "label": token.label, "share": share}
        for head, shares in enumerate(found.shares.tolist())
        for token, share in zip(found.tokens, shares, strict=True)
    ]


def read(card: Card, reading: Reading) -> records.ReadRecord:
    """Which model read which text: its tokens."""
    return {
        "model": model(card),
        "text": reading.text,
        "mask": reading.mask,
        "tokens": [token(one) for one in reading.tokens],
    }


def csv_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV under their names; a list's entries stand apart by spaces, and what there is none of is empty.

    >>> print(csv_of([{"head": 0, "token": "a,b", "label": "=b", "positions": [1, 5], "score": None}]), end="")
    head,token,label,positions,score
    0,"a,b",'=b,1 5,
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: " ".join(map(str, v)) if isinstance(v, list) else cell(v) for name, v in row.items()})
    return out.getvalue()


def _number(value: float) -> float | None:
    """A number that JSON has: a distance beyond float32's range is told as null."""
    return value if isfinite(value) else None


def _heads(near: Neighbors) -> list[records.HeadRecord]:
    """For each head its neighbours and the own token's place; `near` is for one token."""
    heads: list[records.HeadRecord] = [
        {
            "head": head,
            "neighbors": [
                {
                    "rank": rank,
                    "id": id,
                    "token": near.names[id].text,
                    "label": near.names[id].label,
                    "distance": _number(d),
                    "kind": KINDS[kind],
                    "positions": list(near.places.get(id, ())),
                }
                for rank, id, d, kind in zip(ranks, ids, distances, kinds, strict=True)
            ],
            "own": {"rank": own_rank, "distance": _number(own_distance)},
        }
        for head, (ranks, ids, distances, kinds, own_rank, own_distance) in enumerate(
            zip(
                near.ranks.tolist(),
                near.ids.tolist(),
                near.distances.tolist(),
                near.kinds.tolist(),
                near.own_rank.tolist(),
                near.own_distance.tolist(),
                strict=True,
            )
        )
    ]
    if near.suppressed is not None:  # in the spaces that know it
        for head, told in enumerate(heads):
            told["suppressed"] = _suppressed(near, near.suppressed, head)
    return heads


def _suppressed(near: Neighbors, ends: Ends, head: int) -> list[records.EndRecord]:
    """What a head writes against, the farthest first."""
    return [
        {"id": id, "token": near.names[id].text, "label": near.names[id].label, "distance": _number(distance)}
        for id, distance in zip(ends.ids[head].tolist(), ends.distances[head].tolist(), strict=True)
    ]


def _positions(rows: PositionNeighbors) -> list[list[records.PositionRecord]]:
    return [
        [
            {"position": p, "token": rows.tokens[p].text, "label": rows.tokens[p].label, "distance": _number(distance)}
            for p, distance in zip(order, distances, strict=True)
        ]
        for order, distances in zip(rows.positions.tolist(), rows.distances.tolist(), strict=True)
    ]
