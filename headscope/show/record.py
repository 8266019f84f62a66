"""Results as plain lists and numbers, for JSON and for data frames."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from headscope.question.kinds import KINDS

if TYPE_CHECKING:
    from headscope.model.tokens import Token
    from headscope.reading.finding import Question
    from headscope.reading.reading import Reading
    from headscope.reading.results import Atlas, Attention, Background, Comparison, Neighbors, PositionNeighbors
    from headscope.scope import Card

SCHEMA = 1
Record = dict[str, Any]


def token(token: Token) -> Record:
    """One token of a text."""
    return {
        "position": token.position,
        "id": token.id,
        "text": token.text,
        "label": token.label,
        "special": token.special,
        "span": list(token.span) if token.span else None,
    }


def model(card: Card) -> Record:
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


def look(card: Card, reading: Reading, near: Neighbors, rows: PositionNeighbors) -> Record:
    """One selected token, one layer, every head: the object that `headscope look --json` prints."""
    asked, selected = near.question, near.tokens[0]
    return {
        "schema": SCHEMA,
        **read(card, reading),
        "selected": selected.position,
        **question(asked),
        "notes": list(near.notes),
        "heads": [
            neighbors | {"positions": positions}
            for neighbors, positions in zip(near.heads(), _positions(rows), strict=True)
        ],
    }


def question(asked: Question) -> Record:
    """The choices of an answer; `layer` null for all, `reference` null where the space has none."""
    return {
        "layer": asked.layer,
        "space": asked.space,
        "reference": asked.reference,
        "metric": asked.metric,
        "use_position": asked.use_position,
        "candidates": asked.candidates,
        "vector": asked.vector,
        "at": asked.at,
    }


def background(found: Background) -> Record:
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
        for row, chance in zip(found.near.rows(), found.chance.listed.flatten().tolist(), strict=True)
    ]
    return raw + [
        {"head": head["head"], "list": "hub-aware", "rank": row["rank"], "id": row["id"], "token": row["token"]}
        | {"distance": None, "score": row["score"], "kind": row["kind"], "chance": None}
        for head in background(found)["heads"]
        for row in head["neighbors"]
    ]


def comparison(found: Comparison) -> Record:
    """Two answers and how they differ."""
    return {"one": found.one.to_dict(), "other": found.other.to_dict(), "heads": comparison_rows(found)}


def comparison_rows(found: Comparison) -> list[Record]:
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


def positions(rows: PositionNeighbors) -> Record:
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


def atlas(found: Atlas) -> Record:
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


def atlas_rows(found: Atlas) -> list[Record]:
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


def rate_rows(found: Atlas) -> list[Record]:
    """For each layer the share of its heads whose nearest token is of each kind."""
    return [
        {"layer": layer} | dict(zip(KINDS, shares, strict=True)) for layer, shares in enumerate(found.rates().tolist())
    ]


def attention(found: Attention) -> Record:
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


def read(card: Card, reading: Reading) -> Record:
    """Which model read which text: its tokens."""
    return {
        "model": model(card),
        "text": reading.text,
        "mask": reading.mask,
        "tokens": [token(one) for one in reading.tokens],
    }


def _number(value: float) -> float | None:
    """A number that JSON has: a distance beyond float32's range is told as null."""
    return value if isfinite(value) else None


def _positions(rows: PositionNeighbors) -> list[list[Record]]:
    return [
        [
            {"position": p, "token": rows.tokens[p].text, "label": rows.tokens[p].label, "distance": _number(distance)}
            for p, distance in zip(order, distances, strict=True)
        ]
        for order, distances in zip(rows.positions.tolist(), rows.distances.tolist(), strict=True)
    ]
