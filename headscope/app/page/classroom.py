"""The words that a class need not see: what the page's switch hides, and what a guided visit keeps away from."""

from __future__ import annotations

import re
from pathlib import Path

_LETTER = r"[^\W\d_]"  # as Python names it; \p{L} in JavaScript
_LINES = (Path(__file__).parent / "classroom.txt").read_text("utf-8").splitlines()
_STEMS = [line for line in _LINES if not line.startswith("#")]


def _pattern(letter: str) -> str:
    words = (f"{stem[:-1]}(?!{letter})" if stem.endswith("$") else f"{stem}{letter}*" for stem in _STEMS)
    return f"(?<!{letter})(?:{'|'.join(words)})"


PATTERN = _pattern(r"\p{L}")  # for the page, without regard to case
_HIDDEN = re.compile(_pattern(_LETTER), re.IGNORECASE)


def hides(label: str) -> bool:
    """Whether the switch hides a token, or a part of it.

    >>> hides("##dick"), hides("Class"), hides("cocktail")
    (True, False, False)
    """
    return _HIDDEN.search(label) is not None
