"""Texts as they come: what cannot be read is left out and counted, and never ends a survey, or fills the memory."""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
import tracemalloc
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from headscope.corpus.census import take_census
from headscope.corpus.files import find_sources
from headscope.corpus.texts import Columns, Corpus, CorpusText, Unreadable
from headscope.errors import InputError
from headscope.question.choices import FORMATS
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.run import Survey

LONGEST = 2**20


def read(path: Path, format: str = "auto") -> tuple[list[str], Counter[str]]:
    """Texts, and how often which reason to leave something out."""
    items = list(Corpus(find_sources([path], format), Columns()))  # type: ignore[arg-type]
    texts = [item.content for item in items if isinstance(item, CorpusText)]
    return texts, Counter(item.reason for item in items if isinstance(item, Unreadable))


def of(tmp_path: Path, name: str, raw: bytes) -> tuple[list[str], Counter[str]]:
    (tmp_path / name).write_bytes(raw)
    return read(tmp_path / name)


def test_json_that_is_nested_without_end(tmp_path):
    lines = [b"[" * 200_000, b'{"text": ' * 100_000, b'{"text": "one"}', b'{"text": ' + b"9" * 9000 + b"}"]
    assert of(tmp_path, "a.jsonl", b"\n".join(lines)) == (["one"], {"not JSON": 3})


def test_half_of_a_pair_in_a_text_or_in_the_name_of_its_document(tmp_path):
    lines = ['{"text": "\\ud83d"}', '{"text": "one", "document": "\\ude00"}', '{"text": "\\ud83d\\ude00"}']
    assert of(tmp_path, "a.jsonl", "\n".join(lines).encode()) == (["😀"], {"not UTF-8": 2})


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.conllu", "a.parquet"])
def test_a_text_that_no_model_reads_is_left_out_before_it_is_tokenised(tmp_path, name):
    def content(length: int) -> str:
        return ("the sea " * (length // 8 + 1))[: length - 1] + "."

    texts = ["one", content(LONGEST), content(LONGEST + 1), "two"]
    path = tmp_path / name
    if name == "a.parquet":
        pq.write_table(pa.table({"text": texts}), path)
    else:
        wrap = {
            "a.txt": "{}", "a.jsonl": '{{"text": "{}"}}', "a.csv": '"{}"',
            "a.conllu": "# text = {}\n1\tx\tx\tX\t_\t_\t_\t_\t_\t_\n",
        }[name]  # fmt: skip
        path.write_text("\n".join(["text"] * (name == "a.csv") + [wrap.format(text) for text in texts]))
    found, left_out = read(path)
    assert found == [texts[0], texts[1], texts[3]]
    assert left_out == {"longer than 1,048,576 characters": 1}
    before = csv.field_size_limit()
    read(path)
    assert csv.field_size_limit() == before  # the limit is everybody's


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.conllu"])
def test_a_line_without_end_is_not_held(tmp_path, name):
    with (tmp_path / name).open("wb") as file:
        file.truncate(300 * 2**20)  # of zeros, which take no room
        file.seek(0, os.SEEK_END)
        file.write(b'\n{"text": "one"}\n' if name == "a.jsonl" else b"\n\none\n")
    tracemalloc.start()
    texts, left_out = read(tmp_path / name)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 60 * 2**20
    assert left_out["longer than 1,048,576 characters"] == 1
    assert len(texts) == (name != "a.conllu")


@pytest.mark.slow
def test_a_quotation_mark_that_stays_open_ends_one_file(tmp_path):
    (tmp_path / "a.csv").write_text('text\none\n"two\n' + "three\n" * 2_000_000)
    (tmp_path / "b.csv").write_text("text\nfour\n")
    assert read(tmp_path) == (["one", "four"], {"the rest of a table after an endless field": 1})
    with pytest.raises(InputError, match=r"a\.csv has a field of more than 8,388,608 characters[^\n]*quotation mark"):
        read(tmp_path / "a.csv")


def test_a_table_may_hold_any_field_that_is_a_text(tmp_path):
    long = "the sea " * 40_000  # Python's own limit is less
    assert of(tmp_path, "a.csv", f'text,n\n"{long}",1\none,2\nnul\0,3\n'.encode()) == (
        [long, "one"],
        {"no text: it holds NUL characters": 1},
    )


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_table_in_another_encoding_is_named(tmp_path, name):
    (tmp_path / name).write_bytes("text\nfünf\n".encode("utf-16"))
    with pytest.raises(InputError, match=f"{name} is not UTF-8: save it as UTF-8"):
        read(tmp_path / name)
    (tmp_path / "b.txt").write_text("one")
    assert read(tmp_path) == (["one"], {"not UTF-8": 1})


def test_parquet_that_is_not_utf_8(tmp_path):
    raw = pa.array([b"one", b"f\xfcnf", b"two"]).view(pa.string())
    documents = pa.array([b"a", b"a", b"\xff"]).view(pa.string())
    pq.write_table(pa.table({"text": raw, "document": documents}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == (["one"], {"not UTF-8": 2})


def test_parquet_with_two_columns_of_a_name(tmp_path):
    pq.write_table(pa.table([pa.array(["one"]), pa.array([2])], names=["text", "text"]), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")[0] in (["one"], [])


@pytest.mark.parametrize("damage", [b"", b"PAR1 but damaged", None])
def test_a_damaged_parquet_file_of_a_directory_is_left_out(tmp_path, damage):
    pq.write_table(pa.table({"text": ["one"] * 5000}), tmp_path / "a.parquet", compression="none", use_dictionary=False)
    whole = bytearray((tmp_path / "a.parquet").read_bytes())
    whole[4:400] = bytes(396)
    (tmp_path / "a.parquet").write_bytes(bytes(whole) if damage is None else damage)
    (tmp_path / "b.txt").write_text("two")
    assert read(tmp_path) == (["two"], {"a damaged Parquet file, or its rest": 1})


def test_another_encoding_of_plain_text_is_left_out_line_by_line(tmp_path):
    assert of(tmp_path, "latin.txt", "one\nfünf\n".encode("latin-1")) == (["one"], {"not UTF-8": 1})
    texts, left_out = of(tmp_path, "wide.txt", "one\ntwo\n".encode("utf-16"))
    assert texts == []
    assert set(left_out) <= {"not UTF-8", "no text: it holds NUL characters"}


@pytest.mark.parametrize("number", ["1-", "²", "1-²", "9" * 5000, "-", "1-2-3", "٣"])
def test_conllu_whose_numbers_are_none(tmp_path, number):
    raw = f"{number}\tx\tx\tX\t_\t_\t_\t_\t_\t_\n\n1\tone\tone\tX\t_\t_\t_\t_\t_\t_\n"
    assert of(tmp_path, "a.conllu", raw.encode()) == (["one"], {"no CoNLL-U: a word needs a number": 1})


def test_a_sentence_of_conllu_without_end(tmp_path):
    line = "1\tone\tone\tX\t_\t_\t_\t_\t_\t_\n"
    assert of(tmp_path, "a.conllu", (line * 10_001 + "\n" + line).encode()) == (
        ["one"],
        {"no CoNLL-U: a sentence of more than 10,000 lines": 1},
    )


@pytest.fixture
def nobody():
    """A directory, and nobody's rights: root may read everything."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def without_rights(function, *arguments):
    if os.geteuid() != 0:
        return function(*arguments)
    os.seteuid(65534)
    try:
        return function(*arguments)
    finally:
        os.seteuid(0)


def test_what_of_a_directory_may_not_be_read_is_left_out_and_counted(nobody):
    for name in ("a.txt", "b.txt", "closed/c.txt"):
        (nobody / name).parent.mkdir(exist_ok=True)
        (nobody / name).write_text(name)
    (nobody / "a.txt").chmod(0)
    (nobody / "closed").chmod(0)
    assert without_rights(read, nobody) == (
        ["b.txt"],
        {"a file that cannot be read (Permission denied)": 1, "a directory that cannot be read (Permission denied)": 1},
    )
    with pytest.raises(InputError, match=r"a\.txt cannot be read: Permission denied"):
        without_rights(read, nobody / "a.txt")
    with pytest.raises(InputError, match=r"c\.txt' cannot be read: Permission denied"):
        without_rights(read, nobody / "closed" / "c.txt")
    (nobody / "closed").chmod(0o700)


def test_pipes_devices_and_links_to_nothing_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "zero.jsonl").symlink_to("/dev/zero")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.txt").symlink_to(tmp_path / "loop.txt")
    (tmp_path / "a.txt").write_text("one")
    texts, left_out = read(tmp_path)
    assert texts == ["one"]
    assert left_out.pop("no regular file") == 2
    assert sum(left_out.values()) == 2
    for path in (tmp_path / "pipe.txt", "/dev/zero"):
        with pytest.raises(InputError, match=r"is no regular file[^\n]*standard input"):
            read(path)  # type: ignore[arg-type]


def test_a_packed_file_is_named(tmp_path):
    import gzip

    with pytest.raises(InputError, match=r"a\.txt\.gz is packed \(gzip\): unpack it first"):
        of(tmp_path, "a.txt.gz", gzip.compress(b"one\n"))


def test_a_directory_that_changes_while_it_is_read(scope_of, tmp_path):
    (tmp_path / "in").mkdir()
    for name in "abc":
        (tmp_path / "in" / f"{name}.txt").write_text("time flies like an arrow.")
    corpus = Corpus(find_sources([tmp_path / "in"]), Columns())
    (tmp_path / "in" / "b.txt").unlink()
    assert [getattr(item, "reason", None) for item in corpus] == [
        None, "a file that cannot be read (No such file or directory)", None,
    ]  # fmt: skip
    survey = Survey.prepare(scope_of("bert"), [tmp_path / "in"], tmp_path / "s", SurveyOptions())
    (tmp_path / "in" / "c.txt").unlink()
    with pytest.raises(InputError, match="changed while they were being surveyed"):
        survey.run()


def test_names_of_files_that_are_no_text_can_be_written(scope_of, tmp_path):
    (tmp_path / "in").mkdir()
    with open(os.fsencode(tmp_path / "in") + b"/f\xfcnf.txt", "w") as file:
        file.write("time flies like an arrow.")
    Survey.prepare(scope_of("bert"), [tmp_path / "in"], tmp_path / "s", SurveyOptions()).run()
    (source,) = json.loads((tmp_path / "s" / "manifest.json").read_text("utf-8"))["texts"]["sources"]
    assert source.endswith("f\\xfcnf.txt")


def test_reasons_are_in_the_manifest_with_their_counts(scope_of, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text('{"text": "the sea."}\n{"text": "\\ud83d"}\n[\n[\n')
    (tmp_path / "in" / "b.parquet").write_bytes(b"")
    Survey.prepare(scope_of("bert"), [tmp_path / "in"], tmp_path / "s", SurveyOptions())
    left_out = json.loads((tmp_path / "s" / "manifest.json").read_text())["texts"]["left_out"]
    assert left_out == {"not UTF-8": 1, "not JSON": 2, "a damaged Parquet file, or its rest": 1}


PIECES = [b"text", b"\n", b"\r", b",", b'"', b"\0", b"\xff", b"\t", b"1-2", b"# text = ", b"{", b"}"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(PIECES)).map(b"".join)),
    format=st.sampled_from(FORMATS),
)
@example(raw=b"", format="csv")
@example(raw=b"\n\n", format="csv")
@example(raw=b'"', format="csv")
@example(raw=b'"\n', format="csv")
def test_no_bytes_whatever_end_the_reading_of_a_directory(tmp_path, raw, format):
    folder = tmp_path / "in"
    folder.mkdir(exist_ok=True)
    (folder / "a.txt").write_bytes(raw)
    (folder / "b.txt").write_bytes(b'{"text": "last"}\n')
    try:
        census = take_census(Corpus(find_sources([folder], format), Columns()), lambda text: [], SurveyOptions(), 5)
    except InputError as error:
        told = str(error)
    else:
        raise AssertionError(census)
    assert told.startswith(("there is no text to read", f"{folder}"))
    assert len(told.splitlines()) == 1
