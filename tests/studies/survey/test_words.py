"""Which class of word a token belongs to."""

from __future__ import annotations

import zoo

from headscope.corpus.tags import tagged
from headscope.corpus.texts import CorpusText, Word


def classes(scope, text: CorpusText):
    tokens = zoo.tokenize(text.content, scope.bench.opened.names)
    found = tagged(text, tokens)
    return {token.label: one for token, one in zip(tokens, found, strict=True) if not token.special}


def test_tags_decide_where_there_are_any(scope_of):
    words = (Word(0, 4, "NOUN"), Word(5, 10, "VERB"), Word(11, 15, "ADP"), Word(24, 25, "PUNCT"))
    found = classes(scope_of("bert"), CorpusText(0, "time flies like an arrow.", None, "", 1, words))
    assert found["time"] == ("NOUN", "content")
    assert found["like"] == ("ADP", "function")
    assert found["."] == ("PUNCT", "punctuation")
    assert found["an"] == (None, "function")  # untagged: by the rule
    assert found["arrow"] == (None, "content")


def test_every_piece_of_a_word_has_its_class(demo):
    found = classes(demo, CorpusText(0, "The unbelievability doesn't matter — she's 3!", None, "", 1))
    assert {found[piece][1] for piece in ("un", "##bel", "##ie", "##va", "##bility")} == {"content"}
    assert {found[piece][1] for piece in ("the", "doesn", "t", "she", "s")} == {"function"}
    assert {found[piece][1] for piece in ("—", "!")} == {"punctuation"}
    assert found["3"][1] == "content"
