"""A sign for each kind of token, the same in every view, so that colour is never alone."""

from __future__ import annotations

from collections.abc import Sequence

from headscope.question.kinds import KINDS, Kind

MARKS: dict[Kind, str] = {"own": "▸", "text": "•", "variant": "≈", "special": "◦", "elsewhere": ""}
KEY = "▸ own token · • another token of the text · ≈ another form of one · ◦ special"
_SAYS: dict[Kind, str] = {
    "own": "own token",
    "text": "in the text",
    "variant": "another form of a token of the text",
    "special": "special, no word",
    "elsewhere": "not in the text",
}


def says(kind: Kind, places: Sequence[int]) -> str:
    """What a token is to the text, in words: its kind, and the positions that it or another form of it has there.

    >>> says("text", (4, 9)), says("variant", (2,)), says("own", (1,)), says("elsewhere", ())
    ('in the text at positions 4, 9', 'another form of position 2', 'own token', 'not in the text')
    """
    where = f"position{'s' if len(places) > 1 else ''} {', '.join(map(str, places))}"
    told: dict[Kind, str] = {"text": f"in the text at {where}", "variant": f"another form of {where}"}
    return told.get(kind, _SAYS[kind]) if places else _SAYS[kind]


def mark(kind: int) -> str:
    """The sign of a kind by its index in KINDS."""
    return MARKS[KINDS[kind]]
