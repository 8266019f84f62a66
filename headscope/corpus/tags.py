"""Which class of word a token belongs to: by the tags of the text, else by a list."""

from __future__ import annotations

from collections.abc import Sequence

from headscope.corpus.texts import CorpusText
from headscope.model.tokens import Token
from headscope.reading.words import WordClass, at, word_classes

BY_TAG: dict[str, WordClass] = {
    **dict.fromkeys(["ADJ", "ADV", "INTJ", "NOUN", "NUM", "PROPN", "VERB"], "content"),
    **dict.fromkeys(["ADP", "AUX", "CCONJ", "DET", "PART", "PRON", "SCONJ"], "function"),
    "PUNCT": "punctuation",
    **dict.fromkeys(["SYM", "X"], "other"),
}


def tagged(text: CorpusText, tokens: Sequence[Token]) -> list[tuple[str | None, WordClass]]:
    """The UPOS tag (None: untagged) and the class of the word that each token begins in.

    Without a tag, the class is that of `headscope.reading.words`.
    """
    words = [(word.start, word.end, word.tag) for word in text.words]
    untagged = word_classes(text.content, tokens)
    classes: list[tuple[str | None, WordClass]] = []
    for token, otherwise in zip(tokens, untagged, strict=True):
        tag = None if token.span is None else at(words, token.span[0])
        classes.append((tag, BY_TAG.get(tag, "other")) if tag else (None, otherwise))
    return classes
