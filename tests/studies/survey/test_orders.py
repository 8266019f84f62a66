"""What a worker opens is what was opened where the command was given, or it is refused."""

from __future__ import annotations

import pickle
import shutil
from dataclasses import replace

import pytest
import torch
import zoo

from headscope import Scope
from headscope.corpus.fleet.cluster import Share
from headscope.errors import InputError
from headscope.question.model_choice import ModelChoice
from headscope.studies.fleet import SameModel
from headscope.studies.survey.fleet import SurveyOrder
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.run import Survey
from headscope.studies.survey.store import Store
from tests.studies.survey.corpora import sentences, written

SHARE = Share(1, 0)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return zoo.save("bert", tmp_path_factory.mktemp("bert"))


@pytest.fixture
def prepared(model, tmp_path):
    """A survey, and the order for it, as it arrives elsewhere."""
    path = written(tmp_path / "texts.txt", sentences(16), every=4)
    scope = Scope.from_pretrained(str(model))
    survey = Survey.prepare(scope, [path], tmp_path / "s", SurveyOptions(shard_positions=30))
    survey.begin()
    order = SurveyOrder.of(survey, SameModel.of(scope, ModelChoice(str(model)), None, SHARE))
    return survey, pickle.loads(pickle.dumps(order))


def test_a_shard_that_is_there_already_is_not_measured_again_and_rising_ones_are_read_on(prepared):
    survey, order = prepared
    there, tasks = order.open(), survey.left()
    assert [there.measure(task, 0.0) for task in tasks[1:3]] == [True, True]
    made = {task.index: Store(order.directory).shard(task.index).stat().st_mtime_ns for task in tasks[1:3]}
    assert there.measure(tasks[1], 0.0)
    assert Store(order.directory).shard(tasks[1].index).stat().st_mtime_ns == made[tasks[1].index]
    assert [task.index for task in survey.left()] == [0, *range(3, len(survey.texts))]


def test_what_another_run_measures_is_not_there(prepared):
    survey, order = prepared
    there, (task, *_) = order.open(), survey.left()
    with Store(order.directory).making(task.index, 0.0) as writing:
        assert writing is not None
        assert there.measure(task, 0.0) is None
    assert there.measure(task, 0.0)


def test_another_model_under_the_same_name_is_refused(prepared, tmp_path):
    survey, order = prepared
    torch.manual_seed(99)
    scope = survey.scope.randomised(99)
    other = shutil.copytree(order.model.choice.name, tmp_path / "other")
    scope.bench.opened.model.save_pretrained(other)
    with pytest.raises(InputError, match=rf"^{other} has other weights on \S+ than where the command was given"):
        replace(order, model=replace(order.model, choice=ModelChoice(str(other), device="cpu"))).open()


def test_another_arithmetic_is_refused(prepared):
    _, order = prepared
    by = replace(order.model.by, dtype="bfloat16")
    with pytest.raises(InputError, match=r"computes float32 .*, and the command was given for bfloat16 "):
        replace(order, model=replace(order.model, by=by)).open()


def test_a_directory_that_is_not_seen_is_told(prepared, tmp_path):
    _, order = prepared
    with pytest.raises(InputError, match="is no directory"):
        replace(order, directory=tmp_path / "elsewhere").open()


def test_workers_open_by_name_what_was_opened_here_on_the_device_that_they_have(prepared):
    survey, order = prepared
    assert order.model.choice == ModelChoice(str(survey.scope.card.name), device="cpu")

    def chosen(choice, gpus):
        return SameModel.of(survey.scope, choice, None, Share(1, gpus)).choice

    assert chosen(ModelChoice(), 0).name == survey.scope.card.name
    assert chosen(ModelChoice("x", device="auto"), 1).device == "cuda"
    assert chosen(ModelChoice("x", device="cuda:1"), 1).device == "cuda"
    assert chosen(ModelChoice("x", device="mps"), 0).device == "mps"
    assert chosen(ModelChoice("x", adapter="y"), 0) == ModelChoice("x", adapter="y", device="cpu")
