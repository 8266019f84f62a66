"""What workers of a Ray cluster find of a study's pieces is what one process finds, bit for bit."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest
import torch
import zoo

from headscope import InputError, Scope
from headscope.commands.cli import main
from headscope.corpus.fleet.asked import Fleet
from headscope.corpus.fleet.cluster import Share, connected
from headscope.question.model_choice import ModelChoice
from headscope.studies import probes
from headscope.studies.fleet import SameModel, TaskOrder, Workers
from headscope.studies.probes.recovery import Judged, RecoveryTask
from tests import clusters
from tests.studies.survey.corpora import sentences

TEXTS = sentences(60, seed=3)


@pytest.fixture(scope="module")
def choice(tmp_path_factory):
    return ModelChoice(str(zoo.save("roberta", tmp_path_factory.mktemp("roberta"))))


@pytest.fixture(scope="module")
def scope(choice):
    return Scope.from_choice(choice)


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray", reason="Ray is not installed (extra: ray)")
    with clusters.cluster() as made, connected(Fleet(2, 1, address=made.address)) as cluster:
        yield cluster
    assert not clusters.workers()


@pytest.fixture
def workers(cluster, scope, choice):
    told = []
    with Workers.of(cluster, scope, choice, told.append) as made:
        yield made
    assert told[0] == "beginning 2 workers"
    assert not made.losses


def equal(mine, other):
    """Whether two dataclasses of tensors, or of such, have the same bits."""
    if isinstance(mine, torch.Tensor):
        return mine.dtype == other.dtype and torch.equal(mine.nan_to_num(7), other.nan_to_num(7))
    if hasattr(mine, "__dict__"):
        return all(equal(value, getattr(other, name)) for name, value in vars(mine).items())
    return bool(mine == other)


@pytest.mark.slow
def test_recovery(scope, workers):
    ticks = []
    found = probes.recovery(scope, TEXTS, offsets=(0, 1), hands=workers, tell=lambda *told: ticks.append(told))
    assert equal(found, probes.recovery(scope, TEXTS, offsets=(0, 1)))
    maps = 2 * (3 * scope.card.layers + 1)
    assert ticks == [(done, maps) for done in range(1, maps + 1)]


def test_what_is_sent_finds_elsewhere_what_it_finds_here(scope, choice):
    task = RecoveryTask.of(scope, TEXTS)
    order = TaskOrder(SameModel.of(scope, choice, None, Share(torch.get_num_threads(), 0)), task)
    there = pickle.loads(pickle.dumps(order)).open()
    piece = Judged("head", 1, -1)
    assert equal(there.measure(piece, 0.0), task.measuring(scope, lambda maps: None)(piece))


def test_a_machine_with_other_versions_is_refused(scope, choice):
    model = SameModel.of(scope, choice, None, Share(1, 0))
    other = replace(model, by=replace(model.by, versions=model.by.versions | {"torch": "1.0"}))
    with pytest.raises(InputError, match=r"has other versions than where .*: torch \S+ \(1\.0 there"):
        TaskOrder(other, RecoveryTask.of(scope, TEXTS)).open()


@pytest.mark.parametrize("command", ["recovery"])
def test_what_is_said_of_workers_is_for_the_engine(command, choice, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, str(tmp_path / "t.txt"), "--model", choice.name, "--workers", "2"])
    assert end.value.code == 2
    assert "--workers is for --engine ray" in capsys.readouterr().err
