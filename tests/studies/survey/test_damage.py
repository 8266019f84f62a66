"""Damage to a survey: noticed wherever its tables are read, and measured again; what is noticed changes no figure."""

from __future__ import annotations

import json
import os
import random
import shutil
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zoo
from hypothesis import given, settings
from hypothesis import strategies as st

from headscope import Scope
from headscope.errors import InputError
from headscope.studies.claims.surveyed import Surveyed
from headscope.studies.survey import contrasts
from headscope.studies.survey import statistics as tables_of_figures
from headscope.studies.survey.opened import open_survey
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.report.examples import examples
from headscope.studies.survey.report.write import write_report
from headscope.studies.survey.run import Survey
from tests.studies.survey.corpora import sentences, statistics, surveyed, table, written
from tests.studies.survey.damage import files, flip, make_to_fit, of_before, read_all, unseal

TEXTS = sentences(12, seed=5)
SHARDS = {"shard_positions": 36, "stream": True}


@pytest.fixture(scope="module")
def scope():
    """Of few heads: the tables have their rows for each."""
    return Scope.from_model(*zoo.build("gpt2", shape={"n_layer": 2, "n_head": 2}))


@pytest.fixture(scope="module")
def finished(scope, tmp_path_factory):
    """A survey of a few shards, a null among them, and the file of its texts."""
    folder = tmp_path_factory.mktemp("finished")
    path = written(folder / "texts.txt", TEXTS, every=3)
    return surveyed(scope, path, folder / "s", ("labels",), **SHARDS), path


@pytest.fixture(scope="module")
def whole(finished) -> object:
    """What is read of it."""
    return read_all(finished[0])


@pytest.fixture
def copy(finished, tmp_path) -> Path:
    """A survey that may be spoiled."""
    shutil.copytree(finished[0], tmp_path / "s")
    return tmp_path / "s"


@pytest.mark.long
@pytest.mark.parametrize("examples", [12, pytest.param(60, marks=pytest.mark.slow)])
def test_a_flipped_bit_or_an_end_cut_off_is_noticed_or_changes_no_figure(finished, whole, examples):
    @settings(max_examples=examples, deadline=None)
    @given(data=st.data())
    def every(data):
        directory = finished[0]
        path = directory / data.draw(st.sampled_from(files(directory)))
        before = path.read_bytes()
        try:
            if data.draw(st.booleans()) and before:
                flip(path, data.draw(st.integers(0, 8 * len(before) - 1)))
            else:
                os.truncate(path, data.draw(st.integers(0, max(0, len(before) - 1))))
            try:
                found = read_all(directory)
            except InputError as noticed:
                told = str(noticed)
            else:
                told = "the same"
                assert found == whole
            assert len(told.splitlines()) == 1
        finally:
            path.write_bytes(before)

    every()


@pytest.mark.slow
@pytest.mark.parametrize("read", ["rows", "sums"])
def test_every_bit_that_statistics_are_made_of_counts(copy, read):
    # Parquet alone lets many of these through, and reads other values.
    if read == "rows":
        of_before(copy)
    path = copy / "shards" / "00001" / f"{read}.parquet"
    before, draw = path.read_bytes(), random.Random(0)
    for bit in draw.sample(range(8 * len(before)), 20):
        flip(path, bit)
        with pytest.raises(InputError, match=rf"shard 1 is damaged \({read}\.parquet is not what was written\)"):
            tables_of_figures.compute(copy)
        path.write_bytes(before)
    tables_of_figures.compute(copy)


@pytest.mark.slow
def test_a_bit_of_a_table_that_statistics_do_not_read_moves_none(whole, copy):
    path = copy / "shards" / "00001" / "rows.parquet"
    flip(path, 4 * path.stat().st_size)
    tables_of_figures.compute(copy, ("labels",))
    flip(path, 4 * path.stat().st_size)
    assert read_all(copy) == whole


def exchange(copy: Path) -> None:
    one, two = (copy / "shards" / name for name in ("00000", "00001"))
    one.rename(copy / "aside")
    two.rename(one)
    (copy / "aside").rename(two)


def of_the_null(copy: Path) -> None:
    shutil.rmtree(copy / "shards" / "00000")
    shutil.copytree(copy / "nulls" / "labels" / "shards" / "00000", copy / "shards" / "00000")


def cut(copy: Path) -> None:
    os.truncate(copy / "shards" / "00000" / "tokens.parquet", 100)


def empty(copy: Path) -> None:
    (copy / "shards" / "00001" / "patterns.parquet").write_bytes(b"")


def gone(copy: Path) -> None:
    (copy / "shards" / "00001" / "stream.parquet").unlink()


def pipe(copy: Path) -> None:
    gone(copy)
    os.mkfifo(copy / "shards" / "00001" / "stream.parquet")


def device(copy: Path) -> None:
    gone(copy)
    (copy / "shards" / "00001" / "stream.parquet").symlink_to("/dev/zero")


def a_file(copy: Path) -> None:
    shutil.rmtree(copy / "shards" / "00000")
    (copy / "shards" / "00000").write_text("")


def unsealed(copy: Path) -> None:
    (copy / "shards" / "00000" / "checksums.json").unlink()


def bit_in_the_null(copy: Path) -> None:
    flip(copy / "nulls" / "labels" / "shards" / "00000" / "rows.parquet", 3210)


SPOILED = [exchange, of_the_null, cut, empty, gone, pipe, device, unsealed, bit_in_the_null]


IN_SHORT = [exchange, cut, gone, bit_in_the_null]
BESIDES = [pytest.param(spoil, marks=pytest.mark.slow) for spoil in SPOILED if spoil not in IN_SHORT]


@pytest.mark.slow(cases=2)
@pytest.mark.parametrize("spoil", [*IN_SHORT, *BESIDES])
def test_a_damaged_shard_is_named_and_measured_again(finished, whole, scope, copy, spoil):
    spoil(copy)
    survey = Survey.prepare(scope, [finished[1]], copy, SurveyOptions(**SHARDS))
    plan = survey.plan()
    assert plan.shards - plan.done == len(plan.notes) == (2 if spoil is exchange else 1)
    assert all(note.startswith("shard ") and note.endswith("it is measured again.") for note in plan.notes)
    survey.run()
    assert survey.plan().notes == ()
    assert read_all(copy) == whole
    for name in ("texts", "tokens", "patterns", "rows", "stream"):
        assert table(copy, name).equals(table(finished[0], name))
    assert set(statistics(copy)["null"].dropna()) == {"labels"}


@pytest.mark.parametrize("spoil", [*SPOILED[:-1], a_file])
def test_figures_are_not_made_of_a_damaged_shard(copy, spoil):
    spoil(copy)
    for reads in (tables_of_figures.compute, lambda directory: Surveyed(directory, "model"), read_all):
        with pytest.raises(InputError, match=r"shard [01] is (not there|damaged \()[^\n]*[Rr]un") as refused:
            reads(copy)
        assert len(str(refused.value).splitlines()) == 1


@pytest.mark.slow(cases=2)
@pytest.mark.parametrize("name", ["statistics", "hubs", "contrasts", "left_out", "vocabulary", "stream"])
def test_a_damaged_table_of_figures_is_named_and_made_again(finished, whole, scope, copy, name):
    path = copy / f"{name}.parquet"
    flip(path, 8 * (path.stat().st_size // 3))
    with pytest.raises(InputError, match=rf"{name}\.parquet is not what was written\. Run the same headscope survey"):
        open_survey(copy)
    Survey.prepare(scope, [finished[1]], copy, SurveyOptions(**SHARDS)).run()
    assert read_all(copy) == whole


def test_a_folder_that_is_no_shard_of_the_survey_changes_nothing(whole, copy):
    shutil.copytree(copy / "shards" / "00000", copy / "shards" / "00007")
    assert read_all(copy) == whole


def without_its_own(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["checksum"]
    (copy / "manifest.json").write_text(json.dumps(manifest))


def without_its_tables(copy: Path) -> None:
    (copy / "checksums.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (unseal, r"manifest\.json is damaged \(it is not what was written: it has no checksum\)"),
        (without_its_own, r"manifest\.json is damaged \(it is not what was written: it has no checksum\)"),
        (without_its_tables, r"is not finished: checksums\.json still to come"),
        (unsealed, r"shard 0 is damaged \(checksums\.json cannot be read\)"),
    ],
)
def test_a_survey_whose_checksums_were_removed_is_refused_in_a_sentence(copy, spoil, said):
    spoil(copy)
    with pytest.raises(InputError, match=said) as refused:
        open_survey(copy)
    assert len(str(refused.value).splitlines()) == 1


def test_nor_does_a_survey_without_a_checksum_go_on(finished, scope, copy):
    with pytest.raises(InputError, match="it has no checksum"):
        Survey.prepare(scope, [finished[1]], unseal(copy), SurveyOptions(**SHARDS))


def test_the_checksums_are_those_of_the_files(finished):
    folders = ["", "shards/00000", "nulls/labels/shards/00001"]
    for folder in (finished[0] / name for name in folders):
        for name, kept in json.loads((folder / "checksums.json").read_text())["files"].items():
            assert kept["sha256"] == sha256((folder / name).read_bytes()).hexdigest()
            assert pq.ParquetFile(folder / name).metadata.num_rows > 0


# ---- checksums that were made to fit what was changed ----


@pytest.mark.parametrize("table", ["rows", "tokens", "stream"])
def test_a_table_of_other_columns_is_noticed_though_its_checksum_fits(copy, table):
    of_before(copy)
    shutil.copy(copy / "shards" / "00000" / "patterns.parquet", copy / "shards" / "00001" / f"{table}.parquet")
    make_to_fit(copy)
    for reads in (tables_of_figures.compute, lambda directory: Surveyed(directory, "model"), read_all):
        with pytest.raises(InputError, match=rf"shard 1 is damaged \({table}\.parquet has other columns\)"):
            reads(copy)


@pytest.mark.parametrize(("spoil", "shard"), [(cut, 0), (empty, 1)])
def test_a_table_that_is_none_is_noticed_though_its_checksum_fits(finished, whole, scope, copy, spoil, shard):
    spoil(copy)
    make_to_fit(copy)
    with pytest.raises(InputError, match=rf"shard {shard} is damaged \(\w+\.parquet cannot be read\)"):
        read_all(copy)


def test_a_table_of_other_rows_is_noticed_though_its_checksum_fits(copy):
    shutil.copy(copy / "shards" / "00000" / "rows.parquet", copy / "shards" / "00001" / "rows.parquet")
    make_to_fit(copy)
    with pytest.raises(InputError, match=r"shard 1 is damaged \(rows\.parquet has other rows\)"):
        read_all(copy)


def test_nonsense_in_a_table_is_a_sentence_though_its_checksum_fits(copy):
    of_before(copy)
    path = copy / "shards" / "00000" / "rows.parquet"
    with pq.ParquetFile(path) as file:
        groups = [file.read_row_group(n) for n in range(file.num_row_groups)]
    with pq.ParquetWriter(path, groups[0].schema) as writer:
        for group in groups:
            at = group.schema.get_field_index("nearest")
            field = group.schema.field(at)
            writer.write_table(group.set_column(at, field, pa.array([2**31 - 1] * len(group)).cast(field.type)))
    make_to_fit(copy)
    with pytest.raises(InputError, match=r"the tables of .* are damaged \("):
        tables_of_figures.compute(copy)


def test_sums_that_are_none_are_a_sentence_though_their_checksum_fits(copy):
    path = copy / "shards" / "00000" / "sums.parquet"
    os.truncate(path, path.stat().st_size - 1)
    make_to_fit(copy)
    with pytest.raises(InputError, match=r"the tables of .* are damaged \("):
        tables_of_figures.compute(copy)


def test_ids_that_no_token_has_are_a_sentence_though_their_checksum_fits(copy):
    of_before(copy)
    path = copy / "shards" / "00000" / "tokens.parquet"
    tokens = pq.read_table(path)
    at = tokens.schema.get_field_index("id")
    pq.write_table(tokens.set_column(at, tokens.schema.field(at), pa.array([10**9] * len(tokens), pa.int32())), path)
    make_to_fit(copy)
    with pytest.raises(InputError, match=r"the tables of .* are damaged \("):
        tables_of_figures.compute(copy)


def test_rows_of_tokens_that_are_not_there_are_not_quoted(copy):
    for path in (copy / "shards").glob("*/tokens.parquet"):
        tokens = pq.read_table(path)
        at = tokens.schema.get_field_index("position")
        moved = pa.array([1000 + n for n in range(len(tokens))], tokens.schema.field(at).type)
        pq.write_table(tokens.set_column(at, tokens.schema.field(at), moved), path)
    make_to_fit(copy)
    survey = open_survey(copy)
    with pytest.raises(InputError, match="do not agree on which tokens there are"):
        examples(survey, survey.views[0], [(0, 1)])


@pytest.mark.parametrize("table", ["vocabulary", "left_out"])
def test_a_table_of_figures_of_elsewhere_is_a_sentence_though_its_checksum_fits(copy, table):
    shutil.copy(copy / "hubs.parquet", copy / f"{table}.parquet")
    make_to_fit(copy)
    with pytest.raises(InputError, match=r"the tables of .* (cannot be read|are damaged)"):
        read_all(copy) if table == "vocabulary" else contrasts.between(copy, copy)


@pytest.mark.long
@pytest.mark.parametrize(
    "kind", [pa.dictionary(pa.int32(), pa.string()), pytest.param(pa.large_string(), marks=pytest.mark.slow)]
)
def test_a_label_is_no_formula_in_a_reports_csv_however_arrow_keeps_it(copy, tmp_path, kind):
    path = copy / "hubs.parquet"
    hubs = pq.read_table(path)
    at = hubs.schema.get_field_index("label")
    pq.write_table(hubs.set_column(at, "label", pa.array(["=1+1"] * len(hubs)).cast(kind)), path)
    make_to_fit(copy)
    write_report([copy], tmp_path / "report")
    written_down = (tmp_path / "report" / "numbers" / "hubs.csv").read_text("utf-8")
    assert "'=1+1" in written_down
    assert ',"=1+1"' not in written_down
