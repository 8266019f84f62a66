"""Function words and content words of a text without tags, by a list."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from headscope.model.tokens import Token

WordClass = Literal["content", "function", "punctuation", "other"]
WORD_CLASSES: tuple[WordClass, ...] = get_args(WordClass)
# The closed classes of English (articles, pronouns, auxiliaries, prepositions, conjunctions, particles), lower case.
_ENGLISH = """
    a an the this that these those each every either neither some any no all both half such another other what
    which whose whatever whichever i me my mine myself we us our ours ourselves you your yours yourself yourselves
    he him his himself she her hers herself it its itself they them their theirs themselves one oneself who whom
    whoever someone somebody something anyone anybody anything everyone everybody everything nobody nothing none
    there am is are was were be been being have has had having do does did doing will would shall should can could
    may might must ought need dare 'm 're 's 've 'd 'll n't not to aboard about above across after against along
    amid among around as at before behind below beneath beside besides between beyond but by concerning despite
    down during except for from in inside into like near of off on onto out outside over past per since through
    throughout till toward towards under underneath until unto up upon via with within without and or nor so yet
    if because although though unless whereas while whether than when where why how once
    don doesn didn isn aren wasn weren hasn haven hadn wouldn shouldn couldn mustn needn s t re ve ll d m
"""
ENGLISH_FUNCTION_WORDS = frozenset(_ENGLISH.split())
_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]+")


def word_classes(text: str, tokens: Sequence[Token]) -> tuple[WordClass, ...]:
    """The class of the word of the text that each token begins in.

    Punctuation has neither letters nor digits; function words are in ENGLISH_FUNCTION_WORDS; the rest is content, so
    in other languages everything is. A token that stands for no slice of the text is `other`.
    """
    words = [(found.start(), found.end(), found.group()) for found in _WORD.finditer(text)]
    return tuple("other" if token.span is None else _class(at(words, token.span[0]) or "") for token in tokens)


def at(slices: Sequence[tuple[int, int, str]], place: int) -> str | None:
    """What stands at a place of the text, of slices [(start, end, what)] in order; None where nothing does.

    >>> at([(0, 4, "Time"), (5, 10, "flies")], 7), at([(0, 4, "Time")], 4)
    ('flies', None)
    """
    found = bisect_right(slices, place, key=lambda one: one[0]) - 1
    if found < 0 or place >= slices[found][1]:
        return None
    return slices[found][2]


def _class(word: str) -> WordClass:
    if not any(character.isalnum() for character in word):
        return "punctuation" if word else "other"
    lowered = word.lower().replace("’", "'")
    # "don't" and "she's" are function words, "dog's" is not.
    parts = [lowered, *lowered.split("'")[:1]]
    return "function" if any(part in ENGLISH_FUNCTION_WORDS for part in parts) else "content"
