"""Texts on an object store are the texts of the same files here; what keeps them from being read is one sentence."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import stores

from headscope.corpus.asked import CorpusOptions
from headscope.corpus.counted import corpus_of
from headscope.corpus.files import find_sources
from headscope.corpus.kept_census import KeptCensus
from headscope.corpus.texts import Unreadable
from headscope.errors import InputError


@pytest.fixture
def folder(tmp_path):
    """Files of every format, of which some hold what cannot be read."""
    here = tmp_path / "a corpus"
    (here / "b").mkdir(parents=True)
    (here / "B-ä.txt").write_text("one\ntwo\n\nthree\n", encoding="utf-8")
    (here / "b" / "more.jsonl").write_text('{"text": "four", "document": "d"}\nno JSON\n', encoding="utf-8")
    (here / "b" / "more.csv").write_text("text,genre\nfive,news\n", encoding="utf-8")
    (here / "b.conllu").write_text("# text = six\n1\tsix\tsix\tNUM\t_\t_\t0\troot\t_\t_\n\n", encoding="utf-8")
    for n in range(3):
        table = pa.table({"text": [f"file {n} row {row}" for row in range(60)]})
        pq.write_table(table, here / "b" / f"{n}.parquet", row_group_size=20)
    (here / "damaged.parquet").write_bytes(b"PAR1 and nothing else")
    (here / "picture.png").write_bytes(b"\x89PNG")
    return here


def texts(path, **options):
    asked = CorpusOptions(**options)
    found = list(corpus_of(find_sources([path], asked.format), asked))
    base = str(path)
    return [replace(one, source=one.source.removeprefix(base).lstrip("/")) for one in found]


def without_names(items, base):
    """Documents of plain files are called after their file."""
    return [
        one if getattr(one, "document", None) is None else replace(one, document=one.document.removeprefix(str(base)))
        for one in items
    ]


@pytest.mark.slow
def test_a_directory_on_a_store_holds_the_texts_of_the_one_here(bucket, folder):
    bucket(folder, "s3://texts/all of it")
    here = without_names(texts(folder), folder)
    assert without_names(texts("s3://texts/all of it/"), "s3://texts/all of it") == here
    reasons = {one.reason for one in here if isinstance(one, Unreadable)}
    assert reasons == {"not JSON", "a damaged Parquet file, or its rest"}
    assert len(here) == 3 + 1 + 1 + 1 + 180 + 2


@pytest.mark.slow
def test_one_file_is_read_by_its_address(bucket, folder):
    bucket(folder, "s3://texts/one")
    assert [one.content for one in texts("s3://texts/one/b/more.csv")] == ["five"]
    assert [one.content for one in texts("s3://texts/one/B-ä.txt")] == ["one", "two", "three"]


@pytest.mark.slow
def test_a_sample_reads_the_row_groups_that_it_needs(bucket, folder, tmp_path):
    bucket(folder / "b", "s3://texts/rows")
    few = texts(folder / "b", format="parquet", sample=4)  # all files are read as Parquet: those that are none are told
    assert texts("s3://texts/rows", format="parquet", sample=4) == few


@pytest.mark.slow
def test_a_kept_census_is_that_of_the_files_as_they_are(bucket, tmp_path):
    path = tmp_path / "texts" / "a.txt"
    path.parent.mkdir()

    def about(text):
        path.write_text(text, encoding="utf-8")
        bucket(path.parent, "s3://texts/census")
        return KeptCensus.of(tmp_path / "c", find_sources(["s3://texts/census"]), CorpusOptions(), 64).about

    first = about("one\n")
    assert first == KeptCensus.of(tmp_path / "c", find_sources(["s3://texts/census"]), CorpusOptions(), 64).about
    assert json.loads(first)[0][0][:2] == ["s3://texts/census/a.txt", "text"]
    assert about("longer\n") != first


@pytest.mark.slow
def test_what_is_not_there_is_told(bucket, folder):
    bucket(folder, "s3://texts/there")
    with pytest.raises(InputError, match=r"^there is no file or directory 's3://texts/elsewhere'\.$"):
        find_sources(["s3://texts/elsewhere"])
    with pytest.raises(InputError, match=r"^s3://nobodys/texts cannot be read: there is no bucket 'nobodys'"):
        find_sources(["s3://nobodys/texts"])
    (folder / "packed.txt").write_bytes(b"\x1f\x8b\x08")
    bucket(folder, "s3://texts/there")
    with pytest.raises(InputError, match=r"is packed \(gzip\)"):
        find_sources(["s3://texts/there/packed.txt"])


@pytest.mark.long
def test_a_store_that_is_gone_leaves_no_text_out(bucket, folder, monkeypatch):
    # Of a directory's files one that cannot be read is counted, and the others are read: not so where it is the store.
    bucket(folder, "s3://texts/gone")
    for format in ("auto", "parquet"):
        sources = find_sources(["s3://texts/gone/b"], format)
        with monkeypatch.context() as elsewhere:
            elsewhere.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{stores.free_port()}")
            with pytest.raises(InputError, match="the store cannot be reached"):
                list(corpus_of(sources, CorpusOptions()))
            with pytest.raises(InputError, match="the store cannot be reached"):
                list(corpus_of([one for one in sources if one.format == "parquet"], CorpusOptions(sample=3)))


@pytest.mark.slow
def test_access_with_wrong_credentials_is_denied_in_a_sentence(credentials, monkeypatch):
    with stores.serving_s3(INITIAL_NO_AUTH_ACTION_COUNT="1") as address:
        stores.make_bucket(address, "texts")
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        with pytest.raises(InputError, match="cannot be read: access is denied; credentials are looked for in"):
            find_sources(["s3://texts/there"])


@pytest.mark.slow
@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "http://no-such-host.invalid"])
def test_a_store_that_does_not_answer_is_told(credentials, monkeypatch, endpoint):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(InputError, match=r"^s3://texts/x cannot be read: the store cannot be reached\.$"):
        find_sources(["s3://texts/x"])


@pytest.mark.skipif(os.environ.get("HF_HUB_OFFLINE") != "1", reason="the Hub may be asked")
def test_where_the_hub_may_not_be_asked_its_texts_are_refused():
    with pytest.raises(InputError, match="the Hub may not be asked, because HF_HUB_OFFLINE is set"):
        find_sources(["hf://datasets/somebody/something/data"])
