"""A sample of Parquet files: the texts that a sample of all of them is, and no row group is read that has none."""

from __future__ import annotations

import os
import random
import resource

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headscope.corpus.asked import CorpusOptions
from headscope.corpus.counted import corpus_of
from headscope.corpus.files import find_sources
from headscope.corpus.texts import CorpusText, Unreadable
from headscope.errors import InputError

ROWS, FILES = 500, 6


@pytest.fixture
def folder(tmp_path):
    """Files of 500 rows in groups of 50; a text says where it stands."""
    for n in range(FILES):
        texts = [f"file {n} row {row}" for row in range(ROWS)]
        table = pa.table({"text": texts, "document": [f"{n}-{row // 7}" for row in range(ROWS)]})
        pq.write_table(table, tmp_path / f"{n}.parquet", row_group_size=50)
    return tmp_path


def texts(folder, sample=None, seed=0):
    return list(corpus_of(find_sources([folder]), CorpusOptions(sample=sample, seed=seed)))


def test_a_sample_is_some_of_the_texts_with_their_numbers_the_same_every_time(folder):
    whole, few = texts(folder), texts(folder, 20, 3)
    assert len(few) == 20
    chosen = sorted(random.Random(3).sample(range(ROWS * FILES), 20))
    assert few == [whole[number] for number in chosen] == texts(folder, 20, 3)
    assert few != texts(folder, 20, 4)


def test_a_sample_of_more_than_there_are_is_all(folder):
    assert texts(folder, ROWS * FILES + 1) == texts(folder)


@pytest.mark.slow
def test_a_thousand_files_are_read_with_few_open_at_a_time(tmp_path):
    for n in range(1000):
        pq.write_table(pa.table({"text": [f"file {n} row {row}" for row in range(3)]}), tmp_path / f"{n:04}.parquet")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 64, limits[1]))
    try:
        whole, few = texts(tmp_path), texts(tmp_path, 30)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert [text.content for text in whole] == [f"file {n} row {row}" for n in range(1000) for row in range(3)]
    assert few == [whole[number] for number in sorted(random.Random(0).sample(range(3000), 30))]


def test_row_groups_without_a_chosen_row_are_not_read(folder):
    # All pages of the others are overwritten: whoever reads them fails.
    few = texts(folder, 4)
    read = {(text.source, (text.line - 1) // 50) for text in few}
    for path in sorted(folder.iterdir()):
        spoiled, groups = bytearray(path.read_bytes()), pq.ParquetFile(path).metadata
        for group in range(groups.num_row_groups):
            if (str(path), group) not in read:
                for column in range(2):
                    at = groups.row_group(group).column(column)
                    start = at.dictionary_page_offset or at.data_page_offset
                    spoiled[start : start + at.total_compressed_size] = b"\xff" * at.total_compressed_size
        path.write_bytes(spoiled)
    assert texts(folder, 4) == few
    assert any(isinstance(item, Unreadable) for item in texts(folder))


def test_a_chosen_row_that_is_no_text_is_told_and_none_takes_its_place(tmp_path):
    pq.write_table(pa.table({"text": ["one", None, "three", " "]}), tmp_path / "a.parquet")
    found = texts(tmp_path, 4)
    assert [item.line for item in found if isinstance(item, CorpusText)] == [1, 3]
    assert [item.reason for item in found if isinstance(item, Unreadable)] == ["no text under 'text'", "empty"]


def test_a_file_that_cannot_be_read_is_told(folder):
    (folder / "3.parquet").write_bytes(b"PAR1 but damaged")
    found = texts(folder, 20)
    assert [item.reason for item in found if isinstance(item, Unreadable)] == ["a damaged Parquet file, or its rest"]
    assert sum(isinstance(item, CorpusText) for item in found) == 20
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        list(corpus_of(find_sources([folder / "3.parquet"]), CorpusOptions(sample=2)))


def test_beside_other_formats_all_texts_are_counted_first(folder):
    (folder / "more.txt").write_text("a text\n" * 3)
    corpus = corpus_of(find_sources([folder]), CorpusOptions(sample=2))
    assert not corpus.drawn
    assert len(list(corpus)) == ROWS * FILES + 3
