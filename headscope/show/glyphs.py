"""Fonts for what a drawing writes, and code points in the place of what none of them has: never an empty box."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache

DRAWN_IN = "DejaVu Sans"  # which comes with matplotlib
# Families of wide reach on the systems that have them, the likelier first.
_WIDER = (
    *("Noto Sans", "Noto Naskh", "Source Han Sans", "WenQuanYi", "Droid Sans Fallback", "FreeSans"),
    *("Arial Unicode MS", "Hiragino Sans", "PingFang", "Apple SD Gothic", "Microsoft YaHei", "Malgun Gothic"),
    *("Meiryo", "Segoe UI", "Unifont"),
)


def families(words: Iterable[str]) -> tuple[str, ...]:
    """The font that drawings are made with, and as few of those installed as it takes for what it lacks."""
    chosen = [DRAWN_IN]
    lacking = {character for word in words for character in word if not _has(DRAWN_IN, character)}
    had = {family: {one for one in lacking if _has(family, one)} for family in (_installed() if lacking else ())}
    while any(had.values()):
        most = max(had, key=lambda family: len(had[family]))  # of those with as many, the first
        chosen.append(most)
        found = had.pop(most)
        had = {family: characters - found for family, characters in had.items()}
    return tuple(chosen)


def spelled_out(text: str, drawn_in: Iterable[str] = (DRAWN_IN,)) -> str:
    """The text, with the code point of every character in its place that none of the families has.

    >>> spelled_out("flies"), spelled_out("a\\U0010fffd")
    ('flies', 'a⟨U+10FFFD⟩')
    """
    if text.isascii() and text.isprintable():
        return text
    fonts = tuple(drawn_in)
    return "".join(one if any(_has(font, one) for font in fonts) else f"⟨U+{ord(one):04X}⟩" for one in text)


@contextmanager
def readers_own() -> Iterator[None]:
    """For SVG, whose words the reader's own fonts write: matplotlib does not tell what those here lack."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        yield


@cache
def _installed() -> tuple[str, ...]:
    from matplotlib.font_manager import fontManager

    names = sorted(set(fontManager.get_font_names()) - {DRAWN_IN})
    return tuple(name for of in _WIDER for name in names if name.startswith(of))


@cache
def _has(family: str, character: str) -> bool:
    """Whether a family has a glyph for a character; the end of a line needs none."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    if character == "\n":
        return True
    path = findfont(FontProperties(family=[family]), fallback_to_default=False)
    return bool(get_font(path).get_char_index(ord(character)))
