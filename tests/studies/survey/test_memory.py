"""What a survey holds does not grow with the corpus, but for a few bytes a text."""

from __future__ import annotations

import gc
import json
import shutil
import tracemalloc
from collections import Counter
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from headscope.corpus.census import take_census
from headscope.corpus.files import find_sources
from headscope.corpus.texts import Columns, Corpus, CorpusText
from headscope.inference import left_out
from headscope.keep.checksums import CHECKSUMS, seal
from headscope.keep.record import sealed
from headscope.model.tokens import Token
from headscope.studies.survey import statistics, store
from headscope.studies.survey.frame import ShardFrame
from headscope.studies.survey.heads import Heads
from headscope.studies.survey.manifest import MANIFEST
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.run import Survey
from tests.studies.survey.corpora import sentences, surveyed, written

A_TEXT, A_SHARD = 200, 4000  # bytes that may be held for each: far less than what is in it


@contextmanager
def peak():
    """The most that Python and NumPy, and Arrow, held at a time: a list of both, filled at the end."""
    found, before = [], pa.default_memory_pool()
    pool = pa.proxy_memory_pool(before)
    pa.set_memory_pool(pool)
    gc.collect()
    tracemalloc.start()
    try:
        yield found
        found += [tracemalloc.get_traced_memory()[1], pool.max_memory()]
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)


@pytest.mark.long
def test_the_census_holds_a_few_bytes_a_text(tmp_path):
    read = [Token(n, n, str(n), str(n), special=False, span=None) for n in range(5)]
    peaks = []
    for count in (2000, 22000):
        path = tmp_path / f"{count}.txt"
        path.write_text("\n".join(f"text number {n} of a corpus that nobody keeps in memory" for n in range(count)))
        with peak() as found:
            census = take_census(Corpus(find_sources([path]), Columns()), lambda text: read, SurveyOptions(), 10)
        assert census.total == 5 * count
        peaks.append(found[0])
    assert peaks[1] - peaks[0] < A_TEXT * 20000


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """A survey of five small shards, with streams."""
    from tests.conftest import _scope

    directory = tmp_path_factory.mktemp("survey")
    path = written(directory / "t.txt", sentences(50, seed=1))
    return surveyed(_scope("bert"), path, directory / "s", shard_positions=60, stream=True)


def repeated(survey, directory, times):
    """The same survey of so many times the shards: all texts anew, and each a group of its own."""
    shutil.copytree(survey, directory)
    manifest = json.loads((directory / MANIFEST).read_text())
    shards, groups = manifest["shards"], manifest["texts"]["groups"]
    for n in range(1, times):
        for index in range(len(shards)):
            folder = directory / "shards" / f"{n * len(shards) + index:05d}"
            shutil.copytree(directory / "shards" / f"{index:05d}", folder)
            texts = pq.read_table(folder / "texts.parquet")
            at = texts.schema.get_field_index("group")
            moved = texts["group"].to_numpy() + n * groups
            pq.write_table(texts.set_column(at, "group", pa.array(moved, pa.int32())), folder / "texts.parquet")
    manifest["shards"] = shards * times
    for name in ("groups", "texts", "positions"):
        manifest["texts"][name] *= times
    del manifest["checksum"]
    (directory / MANIFEST).write_text(json.dumps(sealed(manifest)))
    made = store.Store(directory)
    for index in range(len(shards) * times):
        seal(made.shard(index), made._tables, made.about(index), made.shard(index) / CHECKSUMS)
    return directory, groups * times


@pytest.mark.long
def test_the_statistics_of_more_shards_take_no_more_memory(survey, tmp_path, monkeypatch):
    monkeypatch.setattr(left_out, "MOST", 64)  # groups, fewer than there are documents
    peaks, groups = [], []
    for times in (4, 10):  # above the number of shards whose memberships are kept
        directory, count = repeated(survey, tmp_path / str(times), times)
        groups.append(count)
        with peak() as found:
            statistics.compute(directory)
        peaks.append(found)
    more = groups[1] - groups[0]
    for fewer_shards, more_shards in zip(*peaks, strict=True):
        assert more_shards - fewer_shards < A_TEXT * more + A_SHARD * 30 + fewer_shards // 50


@pytest.mark.long
def test_one_shard_is_held_at_a_time(scope_of, tmp_path, monkeypatch):
    path = written(tmp_path / "t.txt", sentences(160, seed=2, least=6, most=6))
    survey = Survey.prepare(scope_of("bert"), [path], tmp_path / "s", SurveyOptions(shard_positions=60, stream=True))
    assert len(survey.census.shards) > 15
    held, writing = [], store.Store._writing

    def counted(self, index, beginning):
        gc.collect()
        objects = gc.get_objects()
        types = Counter(map(type, objects))
        kinds = [
            sum(count for one, count in types.items() if issubclass(one, kind))
            for kind in (ShardFrame, Heads, CorpusText)
        ]
        tensors = {one for one in types if issubclass(one, torch.Tensor)}
        held.append([*kinds, sum(one.nbytes for one in objects if type(one) in tensors)])
        return writing(self, index, beginning)

    monkeypatch.setattr(store.Store, "_writing", counted)
    survey.run()
    later = np.array(held[2:])  # by then the vocabulary is encoded at every position
    assert later[:, 0].max() <= later[0, 0] <= 1
    assert later[:, 1].max() <= later[0, 1] <= 1
    of_bank = len(survey.census.bank.digests)
    assert later[:, 2].max() <= of_bank + 4 * max(shard.stop - shard.first for shard in survey.census.shards)
    assert later[-1, 3] <= 1.02 * later[0, 3]
