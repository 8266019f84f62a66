"""Genres as corpora mark them, and the banks that are drawn of each."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headscope.corpus.asked import CorpusOptions
from headscope.corpus.bank import strata
from headscope.corpus.files import find_sources
from headscope.corpus.genres import FEWEST, MOST, OUTPUTS, GenreDraw, TextTypes, told
from headscope.corpus.texts import Columns, Corpus, CorpusText
from headscope.errors import InputError
from tests.conftest import SHARED

WORD = "1\tdog\tdog\tNOUN\t_\t_\t0\troot\t_\t_\n\n"


def genres(path, columns=None):
    found = Corpus(find_sources([path]), columns or Columns())
    return [one.genre for one in found if isinstance(one, CorpusText)]


def conllu(tmp_path, *heads):
    path = tmp_path / "t.conllu"
    path.write_text("".join(f"{head}{WORD}" for head in heads), encoding="utf-8")
    return path


def test_a_comment_marks_the_genre_of_its_document(tmp_path):
    path = conllu(
        tmp_path,
        "# newdoc id = GUM_vlog_london\n# meta::genre = vlog\n",
        "# sent_id = 2\n",
        "# newdoc id = other\n",
        "# newdoc id = third\n# genre = news\n",
    )
    assert genres(path) == ["vlog", "vlog", None, "news"]


def test_the_names_of_documents_mark_those_of_the_english_web_treebank(tmp_path):
    names = ["weblog-a_1", "newsgroup-b", "email-c", "reviews-1", "answers-2", "blog-3", "reviewsome"]
    path = conllu(tmp_path, *(f"# newdoc id = {name}\n" for name in names))
    assert genres(path) == ["weblog", "newsgroup", "email", "reviews", "answers", None, None]


def test_a_field_or_column_of_that_name_marks_a_genre(tmp_path):
    rows = [{"text": "a dog", "genre": " news "}, {"text": "a cat", "genre": ""}, {"text": "a cow", "genre": None}]
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps(row) for row in [*rows, {"text": "x", "genre": 7}]))
    assert genres(tmp_path / "t.jsonl") == ["news", None, None, None]
    (tmp_path / "t.csv").write_text("genre,text\nnews,a dog\n,a cat\n")
    assert genres(tmp_path / "t.csv") == ["news", None]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    assert genres(tmp_path / "t.parquet") == ["news", None, None]
    assert genres(tmp_path / "t.csv", Columns(text="genre")) == [None]  # what is read as the text


def test_columns_are_named_and_a_language_is_part_of_the_genre(tmp_path):
    rows = [
        {"text": "a dog", "topic": "news", "lang": "en"},
        {"text": "ein Hund", "topic": "news", "lang": " de"},
        {"text": "un chien", "topic": None, "lang": "fr"},
        {"text": "?", "topic": "news", "lang": None},
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "t.csv").write_text(
        "\n".join(["text,topic,lang", *(",".join(v or "" for v in r.values()) for r in rows)])
    )
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    for suffix in ("jsonl", "csv", "parquet"):
        path = tmp_path / f"t.{suffix}"
        assert genres(path, Columns(genre="topic")) == ["news", "news", None, "news"]
        assert genres(path, Columns(language="lang")) == ["en", "de", "fr", None]
        assert genres(path, Columns(genre="topic", language="lang")) == ["news, en", "news, de", "fr", "news"]
        assert genres(path) == [None] * 4


@pytest.mark.parametrize("named", [{"genre": "topic"}, {"language": "lang"}, {"document": "doc"}])
def test_a_table_without_a_column_that_is_named_is_refused(tmp_path, named):
    (tmp_path / "t.csv").write_text("text,genre\na dog,news\n")
    ((option, name),) = named.items()
    with pytest.raises(
        InputError, match=rf"has no column '{name}' \(its columns: text, genre\); name it with --{option}-c"
    ):
        genres(tmp_path / "t.csv", Columns(**named))


def test_a_survey_says_what_columns_it_was_told_and_nothing_of_the_usual_ones():
    assert not {"genre_column", "language_column"} & set(CorpusOptions().to_dict())
    assert CorpusOptions(language_column="lang").to_dict()["language_column"] == "lang"


def test_a_real_treebank_has_five():
    path = SHARED / "corpora" / "ud-ewt" / "en_ewt-ud-dev.conllu"
    if not path.is_file():
        pytest.skip(f"no corpus at {path}")
    found = genres(path)
    assert set(found) == {"weblog", "newsgroup", "email", "reviews", "answers"}


def drawn(texts, seed=0):
    """Of (genre, document, length) in order."""
    draw = GenreDraw(seed)
    for number, (genre, document, length) in enumerate(texts):
        draw.take(genre, TextTypes(number, document, np.arange(3)), np.arange(length), bytes([number % 256]))
    return draw.genres()


def test_each_token_is_held_against_other_documents_of_its_genre():
    texts = [(f"genre {n % 3}", n // 2, 5 + n % 7) for n in range(300)]
    found = drawn(texts)
    for number, (genre, document, length) in enumerate(texts[:40]):
        asked = found.asked(number, document, genre, np.arange(length), 0)
        assert (asked >= 0).any()
        rows, slots = np.nonzero(asked >= 0)
        outputs = asked[rows, slots]
        assert set(found.of[outputs]) == {genre}
        assert document not in found.bank.document[outputs]
        assert (found.bank.stratum[outputs] == strata(np.arange(length))[rows]).all()
    held = np.unique_counts([f"{genre} {stratum}" for genre, stratum in zip(found.of, found.bank.stratum, strict=True)])
    assert held.counts.max() == OUTPUTS


def test_a_text_without_a_genre_is_held_against_nothing():
    found = drawn([("a", n, 5) for n in range(10)])
    assert (found.asked(99, 99, None, np.arange(5), 0) < 0).all()


def test_a_genre_of_too_few_documents_has_no_bank_and_is_said():
    found = drawn([*(("a", n, 5) for n in range(10)), *(("b", 20 + n // 3, 5) for n in range(3 * (FEWEST - 1)))])
    assert found.documents == {"a": 10, "b": FEWEST - 1}
    assert set(found.of) == set(found.distractors) == {"a"}
    assert told(found.documents) == "no topic-matched chance for b (2 documents): it takes 3 documents of a genre."


def test_what_is_marked_as_ever_another_genre_is_none():
    found = drawn([(f"about {n}", n, 5) for n in range(MOST + 1)])
    assert (found.documents, found.bank) == ({}, None)
    assert "more than 64 genres" in told(found.documents)
    assert drawn([]) is None
