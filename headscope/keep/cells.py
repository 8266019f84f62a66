"""Texts that are shown or written for another program: nothing in them is obeyed by a terminal or a spreadsheet."""

from __future__ import annotations

import re

# Tab and line feed are no more than themselves in a CSV's quotes; in a terminal's cell they, and what turns the
# direction of writing, move what stands beside them.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_MOVES = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
# Letters of scripts that run from right to left, and what stands between two of them.
_RIGHT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe\U00010800-\U00010fff\U0001e800-\U0001efff"
_LEFTWARD = re.compile(f"[{_RIGHT}](?:[^a-zA-Z0-9\n]*[{_RIGHT}])*")
_FORMULA = re.compile("'*[=+\\-@\t]")


def visible(text: str) -> str:
    """Text for a terminal: control characters as escapes, lines kept.

    >>> visible("a\x1b[31mb\\tc\\nd")
    'a\\\\x1b[31mb\\\\tc\\nd'
    """
    return _MOVES.sub(_escaped, text)


def isolated(text: str) -> str:
    """Text for a terminal, in which what is written from right to left turns nothing beside it.

    >>> isolated("\u05e9\u05dc \u05e2 0.12") == "\u2068\u05e9\u05dc \u05e2\u2069 0.12"
    True
    """
    return text if text.isascii() else _LEFTWARD.sub("\u2068\\g<0>\u2069", text)


def cell(value: object) -> object:
    """A value as a CSV has it: a number is itself, and a text is never a formula.

    A text that begins with = + - @ or a tab gets an apostrophe in front, and so does one that begins with apostrophes
    and then one of these: who takes one apostrophe from such a cell has the text again. Control characters, a carriage
    return among them, are escapes.

    >>> [cell(value) for value in ("=1+1", "'-", "a-b", -0.5, None)]
    ["'=1+1", "''-", 'a-b', -0.5, None]
    """
    if not isinstance(value, str):
        return value
    shown = _CONTROLS.sub(_escaped, value)
    return f"'{shown}" if _FORMULA.match(shown) else shown


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
