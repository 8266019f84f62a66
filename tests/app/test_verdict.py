"""The verdict as the server words it: its tokens keep their direction, and its room is that of its longest answer."""

from __future__ import annotations

import re
from html import unescape

import pytest

from headscope import Scope
from headscope.app.page.verdict import verdict


def parts(html: str) -> tuple[str, str, str]:
    """The room, the words as HTML, and the words."""
    found = re.search(r'data-room="([^"]*)"><div><p class="verdict-says">(.*?)</p>', html)
    assert found
    return unescape(found[1]), found[2], unescape(re.sub("<[^>]+>", "", found[2]))


@pytest.mark.slow
def test_both_answers_take_the_same_room_and_the_second_fits_into_it(demo: Scope) -> None:
    reading = demo.read("Time flies like an arrow. Fruit flies like a banana.")
    first, second = reading.standing(1, 4), reading.standing(1, 4, bank=demo.bank())
    for head in (None, *range(12)):
        alone, beside = parts(verdict(first, head)), parts(verdict(second, head))
        assert alone[0] == beside[0]
        assert len(alone[2]) < len(beside[2]) <= len(beside[0])


@pytest.mark.parametrize("word", ["שלום", "a<b"])
def test_quoted_tokens_keep_their_direction_and_are_escaped(demo: Scope, word: str) -> None:
    found = demo.read(word).standing(1, 0)
    _, html, words = parts(verdict(found, 0))
    assert words == found.says_of(0)
    quoted = re.findall("“(.*?)”", html)
    assert quoted
    assert all(re.fullmatch("<bdi>[^<]+</bdi>", one) for one in quoted)
