"""Shards of several machines: each keeps what it was measured with, and what must not be mixed is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from headscope.corpus.run import Part
from headscope.errors import InputError
from headscope.studies.survey.made import Made, mixture_notes, refuse_mixtures
from headscope.studies.survey.opened import open_survey
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.report.method import measured
from headscope.studies.survey.run import Survey, finish
from headscope.studies.survey.store import Store
from tests.studies.survey.corpora import sentences, statistics, surveyed, written

SHARDS = {"shard_positions": 30}
VERSIONS = {"torch": "2.6.0", "transformers": "5.0.0", "headscope": "0.1.0"}
ONE = Made("one GPU", "float32", "weights float32, activations float32", VERSIONS)


@pytest.fixture
def path(tmp_path):
    return written(tmp_path / "texts.txt", sentences(16), every=4)


def part(scope, path, directory, number, monkeypatch, **other):
    """Part `number` of two, measured by a machine that differs in `other`."""
    with monkeypatch.context() as patched:
        mine = replace(Made.by(scope), **other)
        patched.setattr(Made, "by", lambda scope: mine)
        survey = Survey.prepare(scope, [path], directory, SurveyOptions(**SHARDS), part=Part(number, 2))
        survey.run()
    return len(survey.texts)


@pytest.mark.long
def test_a_shard_keeps_what_it_was_measured_with(scope_of, path, tmp_path):
    scope, directory = scope_of("bert"), tmp_path / "s"
    surveyed(scope, path, directory, nulls=["labels"], **SHARDS)
    for store in (Store(directory), Store(directory, "labels")):
        made = store.made()
        assert all(one == Made.by(scope) for one in made.values())
        assert len(made) == len(open_survey(directory).manifest["shards"])
    assert Made.by(scope).dtype == "float32"
    assert set(Made.by(scope).versions) == {"torch", "transformers", "headscope"}
    assert open_survey(directory).notes == ()


@pytest.mark.slow
def test_another_device_or_version_is_noted_in_statistics_and_report(scope_of, path, tmp_path, monkeypatch):
    scope, directory = scope_of("bert"), tmp_path / "s"
    shards = part(scope, path, directory, 1, monkeypatch)
    versions = Made.by(scope).versions
    part(scope, path, directory, 2, monkeypatch, device="a GPU", versions=versions | {"torch": "1.0"})
    finish(directory)
    notes = open_survey(directory).notes
    assert notes == (
        "Its shards were measured on several devices, which round differently: "
        f"a GPU, {shards // 2} shards; {Made.by(scope).device}, {shards - shards // 2} shards.",
        "Its shards were measured with several versions of torch: "
        f"1.0, {shards // 2} shards; {versions['torch']}, {shards - shards // 2} shards.",
    )
    told = repr(measured({"s": open_survey(directory)}))
    assert all(note in told for note in notes)
    whole = surveyed(scope, path, tmp_path / "whole", **SHARDS)
    assert statistics(directory).equals(statistics(whole))


@pytest.mark.slow
def test_another_arithmetic_is_refused_before_it_is_measured(scope_of, path, tmp_path, monkeypatch):
    scope, directory = scope_of("bert"), tmp_path / "s"
    part(scope, path, directory, 1, monkeypatch)
    with pytest.raises(InputError, match=r"would mix numbers of 2 kinds.* shard 0, shard 2.*: those of this run"):
        part(scope, path, directory, 2, monkeypatch, arithmetic="weights int8, activations bfloat16")


@pytest.mark.slow
def test_another_arithmetic_is_refused_by_the_statistics_with_the_shards_names(scope_of, path, tmp_path, monkeypatch):
    scope, directory = scope_of("bert"), tmp_path / "s"
    mine = Made.by(scope)
    first, second = (
        Survey.prepare(scope, [path], directory, SurveyOptions(**SHARDS), part=Part(number, 2)) for number in (1, 2)
    )
    second._by = replace(mine, dtype="bfloat16")  # two that began at the same time
    first.run()
    second.run()
    with pytest.raises(InputError, match=r"float32 \(.*\): shard 0, shard 2.*; bfloat16 \(.*\): shard 1, shard 3"):
        finish(directory)
    assert not (directory / "statistics.parquet").exists()


@pytest.mark.slow
def test_a_survey_of_before_opens_without_a_note(scope_of, path, tmp_path):
    directory = surveyed(scope_of("bert"), path, tmp_path / "s", **SHARDS)
    for seal in directory.glob("shards/*/checksums.json"):
        record = json.loads(seal.read_text())
        del record["made"]
        seal.write_text(json.dumps(record))
    finish(directory)
    assert open_survey(directory).notes == ()
    assert set(Store(directory).made().values()) == {None}


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize("made", [3, {}, {"device": "x"}, ONE.record() | {"dtype": "float16"}])
def test_a_damaged_record_is_a_damaged_shard(scope_of, path, tmp_path, made):
    directory = surveyed(scope_of("bert"), path, tmp_path / "s", **SHARDS)
    seal = directory / "shards" / "00001" / "checksums.json"
    seal.write_text(json.dumps(json.loads(seal.read_text()) | {"made": made}))
    assert not Store(directory).has(1)
    with pytest.raises(InputError, match=r"1 of \d+ shards are not there \(1\)"):
        finish(directory)


def test_shards_of_before_stand_beside_others_and_are_told():
    refuse_mixtures("s", {"shard 0": None, "shard 1": ONE})
    assert next(mixture_notes([None, ONE, ONE])).endswith("not recorded, 1 shard; one GPU, 2 shards.")


def test_many_shards_are_named_by_the_first():
    other = replace(ONE, dtype="bfloat16")
    with pytest.raises(InputError, match=r"shard 7 and 92 more; bfloat16 \(.*\): shard x\. Remove"):
        refuse_mixtures("s", {f"shard {n}": ONE for n in range(100)} | {"shard x": other})
