"""A directory whose manifest lies: one sentence from whoever opens it, without waiting and without gigabytes."""

from __future__ import annotations

import json
import os
import shutil
import tracemalloc
from pathlib import Path

import pytest
import zoo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headscope import Scope
from headscope.errors import InputError
from headscope.keep.record import sealed
from headscope.studies.capacity.options import CapacityOptions
from headscope.studies.capacity.run import Run
from headscope.studies.claims.run import ClaimsAsked, settle
from headscope.studies.probes.texts import find_texts
from headscope.studies.survey import contrasts, statistics
from headscope.studies.survey.opened import open_survey
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.report.method import measured
from headscope.studies.survey.report.write import write_report
from headscope.studies.survey.run import Survey
from tests.studies.survey.corpora import sentences, surveyed, written
from tests.studies.survey.damage import GONE, STRANGE, changed, fields, make_to_fit


@pytest.fixture(scope="module")
def scope():
    return Scope.from_model(*zoo.build("bert"))


@pytest.fixture(scope="module")
def finished(scope, tmp_path_factory):
    """A survey, and the file of its texts."""
    folder = tmp_path_factory.mktemp("finished")
    path = written(folder / "texts.txt", [*sentences(6), "the sea " * 60])
    return surveyed(scope, path, folder / "s"), path


@pytest.fixture
def copy(finished, tmp_path) -> Path:
    """A survey that may be spoiled."""
    shutil.copytree(finished[0], tmp_path / "s")
    return tmp_path / "s"


def refused(scope: Scope, directory: Path, texts: Path, out: Path) -> str:
    """The one sentence of all who open a survey."""
    openers = (
        lambda: open_survey(directory),
        lambda: write_report([directory], out / "report"),
        lambda: Survey.prepare(scope, [texts], directory, SurveyOptions()),
        lambda: statistics.compute(directory),
        lambda: contrasts.between(directory, directory),
        lambda: find_texts(scope, [directory]),
        lambda: settle(scope, ClaimsAsked(survey=directory), out / "claims"),
    )
    told = ""
    for opens in openers:
        with pytest.raises(InputError) as error:
            opens()
        told = str(error.value)
        assert len(told.splitlines()) == 1
        assert len(told) < 500
    return told


@pytest.mark.slow
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_field_may_be_missing_or_anything(scope, finished, tmp_path, data):
    # With checksums that fit: none tells that it was changed.
    if not (tmp_path / "s").exists():
        shutil.copytree(finished[0], tmp_path / "s")
    whole = json.loads((finished[0] / "manifest.json").read_text())
    del whole["checksum"]
    path = data.draw(st.sampled_from(list(fields(whole))))
    made = changed(whole, path, data.draw(st.sampled_from([GONE, *STRANGE])))
    (tmp_path / "s" / "manifest.json").write_text(json.dumps(made))
    make_to_fit(tmp_path / "s")
    try:
        survey = open_survey(tmp_path / "s")
        measured({"s": survey})
    except InputError as error:
        told = str(error)
        assert len(told.splitlines()) == 1
        assert len(told) < 500
    else:
        before = open_survey(finished[0])
        assert survey.statistics.equals(before.statistics)
        assert survey.manifest == sealed(made)


def spoiled(directory: Path, text: str | bytes) -> None:
    (directory / "manifest.json").write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no JSON"),
        ("{", "is no JSON"),
        ("[" * 500_000, "is nested without end"),
        ("null", "is no manifest of a survey"),
        ('{"schema": 1}', "is no manifest of a survey"),
        (b"\xff\xfe{", "is no JSON"),
        ('{"schema": NaN}', "NaN is no number"),
    ],
)
def test_what_is_no_manifest(scope, finished, copy, tmp_path, text, said):
    spoiled(copy, text)
    assert said in refused(scope, copy, finished[1], tmp_path)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("model", "layers"), 10**9, "is not what was written: its checksum differs"),
        (("options", "seed"), 1, "is not what was written: its checksum differs"),
        (("texts", "positions"), "many", 'texts.positions is "many"'),
        (("texts", "groups"), 10**12, "texts.groups is 1000000000000"),
        (("texts", "left_out"), {"empty": float("nan")}, "NaN is no number"),
        (("shards",), {}, "shards is {}, and no list"),
        (("shards", 0, "positions"), 10**8, "texts.positions is"),
        (("options", "spaces"), "value", 'options.spaces is "value", and no list'),
        (("options", "spaces"), ["taste"], "there is no space 'taste'"),
        (("options", "kind"), "capacity", "holds the work of headscope capacity"),
    ],
)
def test_a_field_that_lies_is_named(scope, finished, copy, tmp_path, path, value, said):
    made = changed(json.loads((copy / "manifest.json").read_text()), path, value)
    if path == ("options", "kind") or path[:2] == ("options", "spaces"):
        made = sealed({name: inner for name, inner in made.items() if name != "checksum"})
    spoiled(copy, json.dumps(made))
    with pytest.raises(InputError) as error:
        open_survey(copy)
    assert said in str(error.value)
    refused(scope, copy, finished[1], tmp_path)


def test_a_pipe_a_device_and_a_very_large_file_are_not_read(scope, finished, copy, tmp_path):
    path = copy / "manifest.json"
    path.unlink()
    os.mkfifo(path)
    assert "manifest.json is no regular file" in refused(scope, copy, finished[1], tmp_path)
    path.unlink()
    path.symlink_to("/dev/zero")
    assert "manifest.json is no regular file" in refused(scope, copy, finished[1], tmp_path)
    path.unlink()
    with path.open("wb") as file:
        file.truncate(7 * 2**30)  # takes no room
    tracemalloc.start()
    told = refused(scope, copy, finished[1], tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()
    assert "7,516,192,768 bytes" in told


def test_the_manifest_of_other_work_is_no_survey(scope, finished, tmp_path):
    Run.prepare(scope, [finished[1]], CapacityOptions(sample=None), tmp_path / "capacity")
    with pytest.raises(InputError, match="holds the work of headscope capacity"):
        open_survey(tmp_path / "capacity")
    with pytest.raises(InputError, match="holds other work of headscope capacity: "):
        Survey.prepare(scope, [finished[1]], tmp_path / "capacity", SurveyOptions())


def test_other_texts_are_told_in_words(scope, tmp_path):
    path = tmp_path / "texts.txt"
    texts = [
        f"{word} flies like an arrow {other}" for word in ("fruit", "bird", "worm") for other in ("the", "is", "in")
    ]

    def prepared(texts, **options):
        path.write_text("\n".join(texts))
        return Survey.prepare(scope, [path], tmp_path / "out", SurveyOptions(shard_positions=20, **options))

    def told(texts, **options):
        with pytest.raises(InputError) as caught:
            prepared(texts, **options)
        return str(caught.value).partition(" holds another survey: ")[2].partition(". Ask the same")[0]

    second, *_, last = prepared(texts).census.shards[1:]
    first = "the first text that is measured and differs is among"
    assert told([*texts[: second.first], *texts[second.first : second.stop][::-1], *texts[second.stop :]]) == (
        f"{first} {second.first + 1} to {second.stop}"
    )
    assert told([*texts, "time"]) == f"it is of 9 texts, and here are 10; {first} {last.first + 1} to 10"
    assert told(texts[1:]).startswith(f"it is of 9 texts, and here are 8; {first} 1 to ")
    assert told(texts[1:], seed=2) == told(texts, seed=2) == "options.seed is 0 there and 2 here"
    Run.prepare(scope, [path], CapacityOptions(), tmp_path / "capacity")
    path.write_text("\n".join(texts[2:]))
    with pytest.raises(
        InputError, match=r"is of 9 texts, and here are 7; its texts are others; options\.seed is 0 there"
    ):
        Run.prepare(scope, [path], CapacityOptions(seed=2), tmp_path / "capacity")


def test_a_seed_is_a_number_that_can_be_drawn_with():
    with pytest.raises(InputError, match="seed is -1; it is a number from 0"):
        SurveyOptions(seed=-1)
