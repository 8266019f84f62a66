"""A sign for each kind of token, the same in every view, so that colour is never alone."""

from __future__ import annotations

from headscope.question.kinds import KINDS, Kind

MARKS: dict[Kind, str] = {"own": "▸", "text": "•", "variant": "≈", "special": "◦", "elsewhere": ""}
KEY = "▸ own token · • another token of the text · ≈ another form of one · ◦ special"


def mark(kind: int) -> str:
    """The sign of a kind by its index in KINDS."""
    return MARKS[KINDS[kind]]
