"""What the four figures of a head are called and mean, wherever a page shows them: one word, one meaning."""

from __future__ import annotations

from typing import Literal, NamedTuple

Figure = Literal["in_text", "own", "carry", "signal"]


class FigureWords(NamedTuple):
    """A figure's title, what it is, and what it is held against."""

    title: str
    says: str
    against: str


CHANCE = "chance"
EVEN = "even attention"
GLOSSARY: dict[Figure, FigureWords] = {
    "in_text": FigureWords("In text", "how often the vocabulary’s nearest token is one of the text", CHANCE),
    "own": FigureWords("Own", "how much nearer an output is to its own token than the text’s other outputs are", EVEN),
    "carry": FigureWords(
        "Carry", "how much nearer an output is to what the head attends to than to the rest of the text", EVEN
    ),
    "signal": FigureWords("Signal", "how well outputs tell this text’s tokens from another text’s", CHANCE),
}
CHANCE_SAYS = "Chance is the same figure for outputs of other documents, at about the same positions."
EVEN_SAYS = "Even attention is the same head, had it attended alike to all that it may see."
SIGNS = "= none: the interval holds 0 and is narrow; ? these texts cannot tell. Shaded: sure, at one in twenty wrong."
