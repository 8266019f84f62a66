"""Texts of every format, their documents and tags, and what cannot be read."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headscope.corpus.asked import CorpusOptions
from headscope.corpus.counted import corpus_of
from headscope.corpus.files import find_sources
from headscope.corpus.texts import Columns, Corpus, CorpusText, Unreadable
from headscope.errors import InputError


def read(path, columns=None, format="auto"):
    items = list(Corpus(find_sources([path], format), columns or Columns()))
    texts = [item for item in items if isinstance(item, CorpusText)]
    assert [text.number for text in texts] == list(range(len(texts)))
    return texts, [(item.reason, item.line) for item in items if isinstance(item, Unreadable)]


def test_plain_text_has_one_text_a_line_and_blank_lines_between_documents(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("﻿one two\r\nthree\n\n \nfour\nf\xfcnf\n".encode() + b"\xff\xfe six\n\n")
    texts, bad = read(path)
    assert [text.content for text in texts] == ["one two", "three", "four", "fünf"]
    assert [text.document for text in texts] == [f"{path}#{n}" for n in (1, 1, 2, 2)]
    assert [text.line for text in texts] == [1, 2, 5, 6]
    assert bad == [("not UTF-8", 7)]


def test_plain_text_without_blank_lines_between_texts_marks_no_documents(tmp_path):
    path = tmp_path / "a.unknown"
    path.write_text("\n\none\ntwo\n\n")
    assert [text.document for text in read(path)[0]] == [None, None]


def test_jsonl_keeps_documents_and_reports_what_is_no_text(tmp_path):
    path = tmp_path / "a.jsonl"
    lines = ['{"text": "one", "document": 7}', "{", "[1]", '{"other": 1}', '{"text": 3}', '{"text": " "}', ""]
    path.write_text("\n".join([*lines, '{"text": "two"}', '{"text": "\\ud800"}']))
    texts, bad = read(path)
    assert [(text.content, text.document, text.line) for text in texts] == [("one", "7", 1), ("two", None, 8)]
    assert bad == [
        ("not JSON", 2), ("no JSON object", 3), ("no text under 'text'", 4), ("no text under 'text'", 5), ("empty", 6),
        ("not UTF-8", 9),
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "comma"), [("a.csv", ","), ("a.tsv", "\t")])
def test_csv_reads_the_named_columns(tmp_path, name, comma):
    path = tmp_path / name
    rows = [["id", "body", "doc"], ["1", '"one, ""two"""', "x"], ["2", '"three\nlines"', ""], ["3"]]
    path.write_bytes("\n".join(comma.join(row) for row in rows).encode() + b"\n4" + comma.encode() + b"\xff\n")
    texts, bad = read(path, Columns("body", "doc"))
    assert [(text.content, text.document) for text in texts] == [('one, "two"', "x"), ("three\nlines", None)]
    assert [reason for reason, _ in bad] == ["no text under 'body'", "not UTF-8"]
    with pytest.raises(InputError, match=r"no column 'text' \(its columns: id, body, doc\)"):
        read(path)


def test_parquet_reads_the_named_columns(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["one", None, "two"], "document": ["x", "x", None], "n": [1, 2, 3]}), path)
    texts, bad = read(path)
    assert [(text.content, text.document, text.line) for text in texts] == [("one", "x", 1), ("two", None, 3)]
    assert bad == [("no text under 'text'", 2)]
    with pytest.raises(InputError, match="no column 'body'"):
        read(path, Columns("body"))
    path.write_bytes(b"PAR1 but damaged")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read(path)


CONLLU = """# newdoc id = first
# text = Don't stop (them).
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\t_\t_\t_\t_\t_\t_
2\tn't\tnot\tPART\t_\t_\t_\t_\t_\t_
3\tstop\tstop\tVERB\t_\t_\t_\t_\t_\t_
3.1\tempty\t_\tX\t_\t_\t_\t_\t_\t_
4\t(\t(\tPUNCT\t_\t_\t_\t_\t_\tSpaceAfter=No
5\tthem\tthey\tPRON\t_\t_\t_\t_\t_\tSpaceAfter=No
6\t)\t)\tPUNCT\t_\t_\t_\t_\t_\tSpaceAfter=No
7\t.\t.\tPUNCT\t_\t_\t_\t_\t_\t_

# newpar
1\tGo\tgo\tVERB\t_\t_\t_\t_\t_\t_
2\ton\ton\tADP\t_\t_\t_\t_\t_\tSpaceAfter=No
3\t!\t!\tPUNCT\t_\t_\t_\t_\t_\t_

1\tbroken

# newdoc
# text = It is other.
1-2\tIts\t_\t_\t_\t_\t_\t_\t_\t_
1\tIt\tit\tPRON\t_\t_\t_\t_\t_\t_
2\tis\tbe\tAUX\t_\t_\t_\t_\t_\t_
"""


def test_conllu_keeps_tags_by_the_slice_of_the_text_and_document_marks(tmp_path):
    path = tmp_path / "a.conllu"
    path.write_text(CONLLU)
    texts, bad = read(path)
    assert [text.content for text in texts] == ["Don't stop (them).", "Go on!", "It is other."]
    assert [text.document for text in texts] == [f"{path}#first", f"{path}#first", f"{path}#document 2"]
    assert [text.line for text in texts] == [1, 13, 20]
    assert bad == [("no CoNLL-U: a word needs ten columns", 18)]
    words = [[(text.content[word.start : word.end], word.tag) for word in text.words] for text in texts]
    assert words[0] == [
        ("Do", "AUX"), ("n't", "PART"), ("stop", "VERB"), ("(", "PUNCT"), ("them", "PRON"), (")", "PUNCT"),
        (".", "PUNCT"),
    ]  # fmt: skip
    assert words[1] == [("Go", "VERB"), ("on", "ADP"), ("!", "PUNCT")]
    assert words[2] == []  # its words do not stand in its text


def test_directories_are_read_in_order_and_formats_can_be_named(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "b.txt").write_text("two")
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "one"}))
    (tmp_path / "inner" / "c.txt").write_text("three")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert [text.content for text in read(tmp_path)[0]] == ["one", "two", "three"]
    (tmp_path / "data").write_text(json.dumps({"text": "named"}))
    assert [text.content for text in read(tmp_path / "data", format="jsonl")[0]] == ["named"]


def test_paths_that_hold_no_texts_are_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no file or directory"):
        find_sources([tmp_path / "absent"])
    with pytest.raises(InputError, match="holds no file of a known kind"):
        find_sources([tmp_path / "empty"])
    with pytest.raises(InputError, match="there is no format 'xml'"):
        find_sources([tmp_path], "xml")  # type: ignore[arg-type]


def test_a_file_of_json_is_not_read_as_plain_text(tmp_path):
    file = tmp_path / "texts.json"
    file.write_text('{"text": "a bird"}\n{"text": "a bush"}\n')
    with pytest.raises(InputError, match=r"each line is an object, name it \.jsonl"):
        find_sources([file])
    assert [text.content for text in read(file, format="jsonl")[0]] == ["a bird", "a bush"]


@pytest.mark.parametrize(("name", "said"), [("a.txt", "plain text"), ("a.conllu", "CoNLL-U")])
@pytest.mark.parametrize("option", ["column", "document_column", "genre_column", "language_column"])
def test_a_column_of_what_has_none_is_refused(tmp_path, name, said, option):
    (tmp_path / name).write_text("one\n")
    asked = CorpusOptions(**{option: "body"})
    with pytest.raises(InputError, match=rf"read as {said}, .* --{option.replace('_', '-')} body goes with --format j"):
        corpus_of(find_sources([tmp_path / name]), asked)
    (tmp_path / "b.jsonl").write_text('{"body": "two"}\n')
    assert corpus_of(find_sources([tmp_path]), asked).columns == asked.columns, "a directory may have both"


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.conllu"])
def test_a_file_whose_lines_end_with_carriage_returns_alone_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"one\rtwo\rthree\r")
    with pytest.raises(InputError, match=r"ends its lines with \\r alone: have them end with \\n"):
        read(tmp_path / name)
    assert read(tmp_path)[1] == [("lines that end with \\r alone", 0)]
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\rthree\n")
    assert [text.content for text in read(tmp_path / "a.txt")[0]] == ["one", "two\rthree"]
