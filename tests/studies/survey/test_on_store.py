"""A survey on an object store is the survey of a directory here, whoever makes it, and whatever ends them."""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import contextmanager

import pytest
import zoo
from aside import HEADSCOPE, Program

from headscope.corpus import counted as counting
from headscope.corpus.run import Part
from headscope.errors import InputError
from headscope.keep.checksums import CHECKSUMS
from headscope.keep.published import PublishedDirectory
from headscope.keep.remote import RemoteFile, RemotePath
from headscope.studies.survey.away import brought
from headscope.studies.survey.on_store import SurveyOnStore, finish, survey_in
from headscope.studies.survey.opened import open_survey
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.run import Survey
from tests.studies.survey.corpora import sentences, surveyed, table, written
from tests.studies.survey.damage import of_before

pytestmark = pytest.mark.slow

SHARDS = {"shard_positions": 30}
TABLES = ("texts", "tokens", "patterns", "rows")
FIGURES = ("statistics", "contrasts", "left_out", "hubs")


@pytest.fixture
def path(tmp_path):
    return written(tmp_path / "texts.txt", sentences(8), every=2)


@pytest.fixture
def longer(tmp_path):
    return written(tmp_path / "longer.txt", sentences(18), every=2)


@pytest.fixture
def address(bucket, request):
    return f"s3://texts/{request.node.name}/s"


def on_store(scope, path, address, part=None, nulls=()):
    assert survey_in(address) is SurveyOnStore
    survey = SurveyOnStore.prepare(scope, [path], address, SurveyOptions(**SHARDS), part=part or Part())
    survey.run(nulls)
    return survey


def published(address):
    return PublishedDirectory(RemotePath.of(address), CHECKSUMS).folders("shards")


def same(address, whole):
    with brought([address]) as (here,):
        for name in TABLES:
            said = ["source", "document"]  # where texts come from, by which documents are called
            one, other = (table(of, name).drop(columns=said, errors="ignore") for of in (here, whole))
            assert one.equals(other)
        assert figures(here) == figures(whole)
        assert open_survey(here).nulls == open_survey(whole).nulls


def figures(directory):
    """Every table of figures, to the bit."""
    return {name: (directory / f"{name}.parquet").read_bytes() for name in FIGURES}


@contextmanager
def reading():
    """The addresses of all that is read of a store, each as often as it is."""
    read, opened = [], RemoteFile.open
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            RemoteFile, "open", lambda self, *how, **more: read.append(self.url) or opened(self, *how, **more)
        )
        yield read


def names(read, below):
    """What the files below a folder are called, of those that were read."""
    return Counter(url.rpartition("/")[2] for url in read if f"/{below}/" in url)


def spoil(file):
    """Turn one bit of a file on the store."""
    with file.open() as opened:
        spoiled = bytearray(opened.read())
    spoiled[len(spoiled) // 2] ^= 1
    RemotePath(file.url).write(bytes(spoiled))


def test_a_survey_on_a_store_is_the_one_of_a_directory_here(scope_of, path, tmp_path, address):
    scope = scope_of("bert")
    on_store(scope, path, address, nulls=["labels"])
    same(address, surveyed(scope, path, tmp_path / "whole", nulls=["labels"], **SHARDS))


def test_parts_with_texts_from_the_store_are_counted_once_and_need_no_model_to_be_finished(
    scope_of, path, tmp_path, address, bucket, monkeypatch
):
    scope, counted, take = scope_of("bert"), [], counting.take_census
    monkeypatch.setattr(counting, "take_census", lambda *given: counted.append(given) or take(*given))
    texts = f"{address}-texts"
    (tmp_path / "up").mkdir()
    bucket(written(tmp_path / "up" / "texts.txt", sentences(8), every=2).parent, texts)
    first = on_store(scope, texts, address, Part(2, 2))
    assert not list(first.directory.glob("s*/*"))  # neither shards nor sums: what is published needs no room here
    with pytest.raises(InputError, match=rf"^{address} is not finished: \d of \d shards are not there \(0"):
        finish(address)
    on_store(scope, texts, address, Part(1, 2))
    assert len(counted) == 1
    finish(address)
    same(address, surveyed(scope, path, tmp_path / "whole", **SHARDS))


@pytest.mark.long
def test_two_parts_at_once_of_which_one_is_killed_and_begun_again(path, tmp_path, address):
    model = zoo.save("bert", tmp_path / "model")

    def begun(number):
        command = ["survey", path, "--model", model, "--shard-positions", 15, "-o", address, "--part", f"{number}/2"]
        return Program(HEADSCOPE, *command, folder=tmp_path / f"said-{number}")

    runs = {number: begun(number) for number in (1, 2)}
    runs[2].until(lambda: len(published(address)) > 2)
    runs[2].kill()
    runs[2].wait()
    runs[2] = begun(2)
    for run in runs.values():
        assert run.wait() == 0, run.err
    shutil.rmtree(model)
    done = Program(HEADSCOPE, "survey", "--finish", address, folder=tmp_path / "finishing")
    assert done.wait() == 0, done.err
    assert f"Finished: {address}/statistics.parquet" in done.out + done.err
    model = zoo.save("bert", tmp_path / "model")
    command = ["survey", path, "--model", model, "--shard-positions", 15, "-o", tmp_path / "whole"]
    alone = Program(HEADSCOPE, *command, folder=tmp_path / "alone")
    assert alone.wait() == 0, alone.err
    same(address, tmp_path / "whole")


def test_the_end_reads_sums_and_no_table(scope_of, longer, tmp_path, address):
    scope = scope_of("bert")
    shards = len(on_store(scope, longer, address, Part(1, 2), nulls=["labels"]).texts)
    alone = range(1, shards, 2)  # parts of one shard, which is put together with nothing
    for shard in alone:
        on_store(scope, longer, address, Part(shard + 1, shards), nulls=["labels"])
    assert len(alone) > 1
    with reading() as read:
        finish(address)
    for below in ("s/shards", "labels/shards"):
        assert names(read, below) == {CHECKSUMS: shards + len(alone), "sums.parquet": len(alone)}
    for below in ("s/sums", "labels/sums"):
        found = names(read, below)
        assert found.pop(CHECKSUMS) == 2  # before it is known that they are needed, and then
        assert len(found) == 3 * scope.card.layers  # patterns, and rows of two references
        assert set(found.values()) == {1}
    same(address, surveyed(scope, longer, tmp_path / "whole", nulls=["labels"], **SHARDS))


def test_a_run_that_is_no_part_reads_no_table_either(scope_of, path, tmp_path, address):
    scope = scope_of("bert")
    on_store(scope, path, address, Part(1, 2))
    with reading() as read:
        on_store(scope, path, address)
    assert set(names(read, "s/shards")) == {CHECKSUMS, "sums.parquet"}
    same(address, surveyed(scope, path, tmp_path / "whole", **SHARDS))


def test_shards_of_before_that_have_no_sums_are_summed_of_their_tables(scope_of, path, tmp_path, address, bucket):
    scope = scope_of("bert")
    whole = surveyed(scope, path, tmp_path / "whole", **SHARDS)
    shutil.copytree(whole, tmp_path / "s")
    of_before(tmp_path / "s")
    for shard in (tmp_path / "s" / "shards").iterdir():
        shutil.move(shard, tmp_path / "aside")
        shutil.move(tmp_path / "aside", shard / "0123456789abcdef")
    bucket(tmp_path / "s", address)
    finish(address)
    same(address, whole)


def spoiled_sums(there):
    spoil(there.published("shards/00001").files["sums.parquet"])


def cut_rows(there):
    RemotePath(there.published("shards/00001").files["rows.parquet"].url).write(b"PAR1")


def spoiled_rows_that_a_report_reads(there):
    spoil(there.published("shards/00001").files["rows.parquet"])
    finish(there.root.url)
    with brought([there.root.url]) as (here,), pytest.raises(InputError, match="shard 1 is not there"):
        open_survey(here).tables("rows")


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("spoils", [spoiled_sums, cut_rows, spoiled_rows_that_a_report_reads])
def test_a_damaged_shard_is_named_and_measured_again(scope_of, path, tmp_path, address, spoils):
    scope = scope_of("bert")
    on_store(scope, path, address)
    spoils(PublishedDirectory(RemotePath.of(address), CHECKSUMS))
    with pytest.raises(InputError, match=r"1 of \d+ shards are not there \(1\)"):
        finish(address)
    on_store(scope, path, address)
    same(address, surveyed(scope, path, tmp_path / "whole", **SHARDS))


@pytest.mark.long
def test_what_parts_have_put_together_and_is_damaged_gives_way_to_the_shards_sums(scope_of, longer, tmp_path, address):
    scope = scope_of("bert")
    for number in (1, 2):
        on_store(scope, longer, address, Part(number, 2))
    there = PublishedDirectory(RemotePath.of(address), CHECKSUMS)
    first, second = there.folders("sums")
    spoil(there.published(first).files["00001.parquet"])
    with reading() as read:
        finish(address)
    assert 0 < names(read, "s/shards")["sums.parquet"] < len(published(address))
    assert PublishedDirectory(RemotePath.of(address), CHECKSUMS).folders("sums") == [second]
    same(address, surveyed(scope, longer, tmp_path / "whole", **SHARDS))


def test_another_survey_and_other_files_are_refused_by_the_address(scope_of, path, tmp_path, address):
    scope = scope_of("bert")
    RemotePath.of(f"{address}-other/file").write(b"x")
    with pytest.raises(InputError, match=rf"^{address}-other holds other files \({address}-other/file\)"):
        on_store(scope, path, f"{address}-other")
    on_store(scope, path, address, Part(1, 2))
    with pytest.raises(
        InputError,
        match=rf"^{address} holds another survey: .*the first text that is measured and differs is among 1 to",
    ):
        on_store(scope, written(tmp_path / "others.txt", sentences(8, seed=1)), address)
    with pytest.raises(InputError, match="this keeps its work in files of this machine only"):
        Survey.prepare(scope, [path], address, SurveyOptions(**SHARDS))
