"""Texts that are there several times: one group each, in little memory, and what is said of them."""

from __future__ import annotations

import json
import random

import pytest

from headscope.corpus.asked import CorpusOptions
from headscope.corpus.census import take_census
from headscope.corpus.files import find_sources
from headscope.corpus.same import GroupOf, told
from headscope.corpus.texts import Columns, Corpus
from headscope.model.tokens import Token

READ = [Token(n, n, str(n), str(n), special=False, span=None) for n in range(5)]


def census(path):
    return take_census(Corpus(find_sources([path]), Columns()), lambda text: READ, CorpusOptions(), 10)


@pytest.mark.parametrize("least", [1, 7, 10**6])
def test_contents_are_known_again_however_few_are_held_unsorted(least):
    found, expected = GroupOf(least), dict[str, int]()
    for n, content in enumerate(random.Random(0).choices([f"text {n}" for n in range(300)], k=2000)):
        assert found.find(content, n) == expected.setdefault(content, n)


def test_texts_that_are_the_same_are_one_group(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("\n".join(["one", "two", "One", "three"] * 8))
    found = census(path)
    assert found.groups.tolist() == [0, 1, 2, 3] * 8
    assert (found.group_count, found.same, found.documents) == (4, 28, None)
    # Nobody is held against the same text, nor is a group in a stratum of the bank twice.
    for text, group in zip(found.numbers.tolist(), found.groups.tolist(), strict=True):
        asked = found.bank.asked(text, group, found.bank.position[:1], 0)
        assert set(found.bank.document[asked[asked >= 0]]) == {0, 1, 2, 3} - {group}


def test_documents_stay_apart_though_their_texts_are_the_same(tmp_path):
    path = tmp_path / "t.jsonl"
    lines = [{"text": "one", "document": "a"}, {"text": "one", "document": "b"}, {"text": "two", "document": "a"}]
    lines += [{"text": "one"}, {"text": "two"}, {"text": "one"}]
    path.write_text("\n".join(map(json.dumps, lines)))
    found = census(path)
    assert found.groups.tolist() == [0, 1, 0, 2, 3, 2]
    assert (found.group_count, found.same, found.documents) == (4, 1, 2)


def test_of_none_nothing_is_said():
    assert told(0, 12) is None
