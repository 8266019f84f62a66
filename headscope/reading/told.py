"""What is said with an answer: which model read which text."""

from __future__ import annotations

from headscope.model.card import Card
from headscope.reading.answer import SCHEMA, choices_record, token_record
from headscope.reading.captured import Captured
from headscope.reading.nearest import Neighbors
from headscope.reading.positions import PositionNeighbors
from headscope.reading.records import LookRecord, ModelRecord, ReadRecord


def model_record(card: Card) -> ModelRecord:
    """Which model answered, how it was chosen, and how well its capture proved itself."""
    return {
        "name": card.name,
        "revision": card.revision,
        "weights_sha256": card.weights_sha256,
        "capture_error": card.capture_error,
        "arithmetic": card.arithmetic,
        "why": card.why,
        "layers": card.layers,
        "heads": card.heads,
        "position_embeddings": card.position_embeddings,
        "positions": card.positions,
    }


def read_record(card: Card, reading: Captured) -> ReadRecord:
    """Which model read which text: its tokens."""
    given = {} if reading.passage.plain else {"given": reading.passage.given}
    return {
        "model": model_record(card),
        "text": reading.text,
        **given,  # type: ignore[typeddict-item]
        "mask": reading.mask,
        "tokens": [token_record(token) for token in reading.tokens],
    }


def look_record(card: Card, reading: Captured, near: Neighbors, rows: PositionNeighbors) -> LookRecord:
    """One selected token, one layer, every head: the object that `headscope look --json` prints."""
    assert near.question.layer is not None  # an answer about one layer
    return {
        "schema": SCHEMA,
        **read_record(card, reading),
        "selected": near.tokens[0].position,
        "layer": near.question.layer,
        **choices_record(near.question),
        "notes": list(near.notes),
        "heads": [
            {**neighbors, "positions": positions}
            for neighbors, positions in zip(near.heads(), rows.heads(), strict=True)
        ],
    }
