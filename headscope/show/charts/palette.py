"""The colours of every chart, for light and dark, and the patterns that say the same without colour."""

from __future__ import annotations

from typing import NamedTuple

_PARTS = (0.16, 0.32, 0.48, 0.84, 1.0)  # how far each shade on either side of chance is from the paper
STEPS = len(_PARTS)


class Ink(NamedTuple):
    """One colour as it is on light and on dark paper; no two have the same `light`, so that one can stand for both."""

    light: str
    dark: str


PAPER = Ink("#ffffff", "#17191c")
TEXT = Ink("#1a1c1e", "#e8e9ea")
SOFT = Ink("#5a6066", "#a4abb1")
RULE = Ink("#d9dbdd", "#363b40")
GREY = Ink("#e4e4e2", "#2b2f33")  # undetermined
HATCH = Ink("#8d9194", "#71787e")
CHANCE = Ink("#6f757b", "#9aa1a8")
ON_STRONG = Ink("#fefefe", "#0b0d0f")  # text on the strongest shades

# Okabe and Ito's colours (told apart with every kind of colour blindness), darkened on light paper for thin lines.
LINES = (
    Ink("#0072b2", "#5bb4e5"),
    Ink("#c44f00", "#ff9d5c"),
    Ink("#00795a", "#3fc79a"),
    Ink("#a8467f", "#e59ac6"),
    Ink("#8a6d00", "#e3c84f"),
    Ink("#3d4a9e", "#9aa6ff"),
    Ink("#4d4d4d", "#c2c2c2"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STROKES = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (3, 1)), (0, (1, 1)), (0, (7, 2)))


def _shades(strong: Ink) -> tuple[Ink, ...]:
    """From just off the paper to `strong`, with a gap in the middle: text can be read on each, dark or light."""
    return tuple(Ink(_mixed(PAPER.light, strong.light, part), _mixed(PAPER.dark, strong.dark, part)) for part in _PARTS)


def _mixed(paper: str, strong: str, part: float) -> str:
    pairs = [(int(paper[at : at + 2], 16), int(strong[at : at + 2], 16)) for at in (1, 3, 5)]
    return "#" + "".join(f"{round(low + (high - low) * part):02x}" for low, high in pairs)


ABOVE = _shades(Ink("#0a5f92", "#6cc0ee"))
BELOW = _shades(Ink("#a54200", "#ff9f5e"))
AMOUNT = _shades(Ink("#3b4554", "#aeb9c9"))

KINDS: dict[str, tuple[Ink, str]] = {  # kind of the nearest token → ground and hatch
    "own": (Ink("#0b72b3", "#5cb4e6"), ""),
    "text": (Ink("#7fb9dc", "#2f6f97"), "//"),
    "variant": (Ink("#e0b93f", "#c9a43a"), ".."),
    "special": (Ink("#c3c6c8", "#5e656b"), "xx"),
    "elsewhere": (Ink("#f3f3f1", "#23272a"), ""),
}

INKS: dict[str, Ink] = {
    ink.light: ink
    for ink in (
        *(PAPER, TEXT, SOFT, RULE, GREY, HATCH, CHANCE, ON_STRONG),
        *LINES,
        *ABOVE,
        *BELOW,
        *AMOUNT,
        *(ground for ground, _ in KINDS.values()),
    )
}
