"""A survey that is interrupted goes on, and one that differs is refused."""

from __future__ import annotations

import os
import random
import resource
import time
from dataclasses import replace
from pathlib import Path

import pytest
import zoo
from aside import HEADSCOPE, Program

from headscope import Scope
from headscope.errors import InputError
from headscope.show.progress import Progress
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.plan import show
from headscope.studies.survey.run import Survey
from tests.studies.survey.corpora import sentences, statistics, surveyed, table, written

TEXTS = sentences(40)
SHARDS = {"shard_positions": 30}


@pytest.fixture
def path(tmp_path):
    return written(tmp_path / "texts.txt", TEXTS, every=4)


@pytest.fixture(scope="module")
def scope(scope_of):
    return scope_of("bert")


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """The file of `whole`'s texts: what is compared with it is a survey of the same."""
    return written(tmp_path_factory.mktemp("texts") / "texts.txt", TEXTS, every=4)


@pytest.fixture(scope="module")
def whole(scope, texts, tmp_path_factory):
    """A survey that nothing interrupted."""
    return surveyed(scope, texts, tmp_path_factory.mktemp("whole") / "whole", **SHARDS)


def same(one: Path, other: Path) -> None:
    """Every table of two surveys is the same."""
    for name in ("texts", "tokens", "patterns", "rows"):
        assert table(one, name).equals(table(other, name))
    assert statistics(one).equals(statistics(other))


@pytest.mark.long
def test_interrupted_ten_times_it_ends_as_an_uninterrupted_one(scope, texts, whole, tmp_path):
    draw = random.Random(0)
    work, kept = 0, []

    def interrupt(progress):
        if progress.done > work:
            raise KeyboardInterrupt

    for _ in range(10):
        survey = Survey.prepare(scope, [texts], tmp_path / "broken", SurveyOptions(**SHARDS))
        work = draw.randint(0, 600)
        try:
            survey.run(progress=Progress(interrupt))
        except KeyboardInterrupt:
            kept.append(survey.plan().done)
    assert len(kept) > 2
    assert kept == sorted(kept)
    assert kept[0] < kept[-1]
    assert not list((tmp_path / "broken").rglob(".unfinished*"))
    same(surveyed(scope, texts, tmp_path / "broken", **SHARDS), whole)


def files_of(directory):
    """What is in a directory, at any depth, while it is written to."""
    return {Path(root, name) for root, folders, files in os.walk(directory) for name in (*folders, *files)}


@pytest.mark.long
def test_killed_ten_times_it_ends_as_an_uninterrupted_one(tmp_path):
    path = written(tmp_path / "texts.txt", sentences(160), every=4)  # far more shards than ten runs finish
    directory = zoo.save("bert", tmp_path / "model")
    draw = random.Random(1)

    def begun(name):
        command = ["survey", path, "--model", directory, "--shard-positions", 30, "-o", tmp_path / name]
        return Program(HEADSCOPE, *command, folder=tmp_path / "said")

    killed = 0
    for _ in range(30):
        # Killed while shards are being written: some time after this run's first new file.
        before, running = files_of(tmp_path / "broken"), begun("broken")
        running.until(lambda before=before: not files_of(tmp_path / "broken") <= before)
        time.sleep(draw.random() * 0.1)
        killed += running.poll() is None
        running.kill()
        running.wait()
        if killed == 10:
            break
    assert killed == 10
    for name in ("broken", "whole"):
        assert begun(name).wait() == 0
    same(tmp_path / "broken", tmp_path / "whole")


@pytest.mark.slow
def test_a_full_disk_is_a_sentence_and_the_run_can_go_on(scope, texts, whole, tmp_path):
    biggest = max(file.stat().st_size for file in whole.rglob("rows.parquet"))
    survey = Survey.prepare(scope, [texts], tmp_path / "full", SurveyOptions(**SHARDS))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (biggest // 2, limits[1]))
    try:
        with pytest.raises(InputError, match=r"cannot be written \(File too large\)[^\n]*run the same command again"):
            survey.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list((tmp_path / "full").rglob(".unfinished*"))
    same(surveyed(scope, texts, tmp_path / "full", **SHARDS), whole)


@pytest.mark.slow
def test_other_options_texts_and_models_are_refused_by_name(scope, scope_of, path, tmp_path):
    directory = surveyed(scope, path, tmp_path / "s")
    for options, named in (
        ({"seed": 3}, "options.seed is 0 there and 3 here"),
        ({"metrics": ("dot",)}, 'options.metrics is ["cosine"] there and ["dot"] here'),
    ):
        with pytest.raises(InputError, match="holds another survey") as error:
            Survey.prepare(scope, [path], directory, SurveyOptions(**options))
        assert named in str(error.value)
    with pytest.raises(
        InputError,
        match=rf"holds another survey: it is of {len(TEXTS)} texts, and here are {len(TEXTS) - 1}; the first text that",
    ):
        Survey.prepare(scope, [written(tmp_path / "other.txt", TEXTS[1:], every=4)], directory, SurveyOptions())
    with pytest.raises(InputError, match=r"model\.weights_sha256"):
        Survey.prepare(Scope.from_model(*zoo.build("bert", seed=1)), [path], directory, SurveyOptions())
    Survey.prepare(scope, [path], directory, SurveyOptions())


def test_a_directory_with_other_files_is_refused(scope, path, tmp_path):
    with pytest.raises(InputError, match=r"holds other files \(texts.txt\)"):
        Survey.prepare(scope, [path], tmp_path, SurveyOptions())
    assert [file.name for file in tmp_path.iterdir()] == ["texts.txt"]
    with pytest.raises(InputError, match="is a file"):
        Survey.prepare(scope, [path], path, SurveyOptions())


def test_texts_that_change_while_they_are_surveyed_are_noticed(scope, path, tmp_path):
    survey = Survey.prepare(scope, [path], tmp_path / "s", SurveyOptions())
    written(path, TEXTS[1:], every=4)
    with pytest.raises(InputError, match="changed while they were being surveyed") as told:
        survey.run()
    # What the sentence offers works, and what it does not offer does not.
    with pytest.raises(InputError, match="holds another survey: it is of"):
        Survey.prepare(scope, [path], tmp_path / "s", SurveyOptions())
    assert "give these again" in str(told.value)
    assert "in another directory" in str(told.value)
    Survey.prepare(scope, [path], tmp_path / "another", SurveyOptions())
    written(path, TEXTS, every=4)
    Survey.prepare(scope, [path], tmp_path / "s", SurveyOptions())


@pytest.mark.slow
def test_a_damaged_manifest_is_named(scope, path, tmp_path):
    directory = surveyed(scope, path, tmp_path / "s")
    (directory / "manifest.json").write_text("{")
    with pytest.raises(InputError, match=r"manifest\.json is damaged"):
        Survey.prepare(scope, [path], directory, SurveyOptions())


def test_a_plan_without_a_trial_measures_nothing(scope, path, tmp_path, monkeypatch):
    survey = Survey.prepare(scope, [path], tmp_path / "s", SurveyOptions(**SHARDS))
    monkeypatch.setattr("headscope.studies.survey.pace.measure", None)
    plan = survey.plan(trial=0.0)
    assert plan.seconds is None
    assert "about" not in show(plan, scope.card, "s").splitlines()[-1]
    assert f"{plan.scores:.1e} distances and" in show(plan, scope.card, "s")


def test_a_plan_measures_few_texts_where_they_take_long(scope, path, tmp_path, monkeypatch):
    """One is measured to make all ready and one to see how long it takes; then four, and no more at such a pace."""
    sizes: list[int] = []

    def slow(scope, texts, *others, **more):
        sizes.append(len(texts))
        time.sleep(0.25)

    monkeypatch.setattr("headscope.studies.survey.pace.measure", slow)
    survey = Survey.prepare(scope, [path], tmp_path / "s", SurveyOptions(**SHARDS))
    assert survey.plan().seconds > 0
    assert sizes == [1, 1, 4]


@pytest.mark.long
def test_the_plan_says_what_will_be_done(scope, path, tmp_path):
    survey = Survey.prepare(scope, [path], tmp_path / "s", SurveyOptions(**SHARDS, metrics=("cosine", "dot")))
    plan = survey.plan(["labels"])
    positions = sum(not token.special for text in TEXTS for token in scope.read(text).tokens)
    assert (plan.texts, plan.documents, plan.positions, plan.done) == (40, 10, positions, 0)
    assert plan.scores == 2 * positions * 12 * 2 * 2 * scope.card.vocab_size  # heads, references, metrics; and a null
    assert plan.seconds > 0
    progress = Progress()
    survey.run(["labels"], progress)
    assert progress.done == progress.total == plan.work
    after = survey.plan(["labels"])
    assert (after.done, after.seconds, after.bytes, after.scores) == (plan.shards, 0, 0, 0)
    assert "of disk" in show(plan, scope.card, "s")
    assert show(after, scope.card, "s").endswith("\nnothing is left to measure")
    assert "about a second (" in show(replace(plan, seconds=0.4), scope.card, "s")
    written_bytes = sum(file.stat().st_size for file in (tmp_path / "s").rglob("*/rows.parquet"))
    assert written_bytes < 20 * plan.bytes
