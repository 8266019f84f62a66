"""What workers of a Ray cluster find of a study's pieces is what one process finds, bit for bit."""

from __future__ import annotations

import json
import pickle
import re
import shutil
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
import torch
import zoo

from headscope import InputError, Scope
from headscope.commands.cli import main
from headscope.corpus.fleet.asked import Fleet
from headscope.corpus.fleet.cluster import Share, connected
from headscope.question.model_choice import ModelChoice
from headscope.studies import probes
from headscope.studies.capacity.options import CapacityOptions
from headscope.studies.capacity.run import Run
from headscope.studies.claims.run import ClaimsAsked, settle
from headscope.studies.fleet import SameModel, TaskOrder, Workers
from headscope.studies.probes import LinearLens
from headscope.studies.probes.offsets import MapsOfPlace, RecoveryTask
from tests import clusters
from tests.studies.survey.corpora import sentences, written

TEXTS = sentences(60, seed=3)


@pytest.fixture(scope="module")
def choice(tmp_path_factory):
    return ModelChoice(str(zoo.save("roberta", tmp_path_factory.mktemp("roberta"))))


@pytest.fixture(scope="module")
def scope(choice):
    return Scope.from_choice(choice)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return written(tmp_path_factory.mktemp("texts") / "corpus.txt", TEXTS, every=3)


@pytest.fixture(scope="module")
def address():
    pytest.importorskip("ray", reason="Ray is not installed (extra: ray)")
    with clusters.cluster() as made:
        yield made.address
    assert clusters.all_gone()


@pytest.fixture
def workers(address, scope, choice):
    told = []
    with (
        connected(Fleet(2, 1, address=address)) as cluster,
        Workers.of(cluster, scope, choice, told.append) as made,
    ):
        yield made
    assert told[0].startswith("beginning ")
    assert not made.losses


def equal(mine, other):
    """Whether two dataclasses of tensors, or of such, have the same bits."""
    if isinstance(mine, torch.Tensor):
        return mine.dtype == other.dtype and torch.equal(mine.nan_to_num(7), other.nan_to_num(7))
    if hasattr(mine, "__dict__"):
        return all(equal(value, getattr(other, name)) for name, value in vars(mine).items())
    return bool(mine == other)


@pytest.mark.long
def test_recovery(scope, workers):
    ticks = []
    found = probes.recovery(scope, TEXTS, offsets=(0, 1), hands=workers, tell=lambda *told: ticks.append(told))
    assert equal(found, probes.recovery(scope, TEXTS, offsets=(0, 1)))
    maps = 2 * (3 * scope.card.layers + 1)
    assert ticks == [(done, maps) for done in range(1, maps + 1)]


@pytest.mark.long
def test_a_lens_by_the_command_of_which_there_is_room_for_two_of_three(address, choice, corpus, tmp_path, capsys):
    def lens(name, *options):
        file = tmp_path / name
        with pytest.raises(SystemExit) as end:
            main(["lens", str(corpus), "--model", choice.name, "-o", str(file), *options])
        assert not end.value.code
        return LinearLens.load(file)

    mine = lens("mine")
    capsys.readouterr()
    found = lens("found", "--engine", "ray", "--workers", "3", "--cpus-per-worker", "1", "--address", address)
    told = capsys.readouterr()
    assert equal(found, mine)
    assert "the cluster has room for 2 of 3 workers (each takes 1 core)" in told.err
    assert re.search(r"measuring on [12] of 3 workers", told.err)  # one may do it all before the other is open
    assert f"Finished: {tmp_path / 'found'}" in told.out


@pytest.mark.long
@pytest.mark.parametrize(
    "command",
    [
        ("recovery", "--offset", "1"),
        ("capacity", "--part", "dimension", "--site", "z", "--keep", "0.5", "--sample", "0"),
    ],
    ids=lambda command: command[0],
)
def test_by_the_command(command, address, choice, corpus, capsys):
    named = [str(corpus), "--model", choice.name] if command[0] == "recovery" else [choice.name, "--texts", str(corpus)]

    def found(*options):
        with pytest.raises(SystemExit) as end:
            main([command[0], *named, *command[1:], "--json", *options])
        assert not end.value.code
        told = capsys.readouterr()
        return json.loads(told.out), told.err

    mine, alone = found()
    by, told = found("--engine", "ray", "--workers", "1", "--cpus-per-worker", "1", "--address", address)
    assert by == mine
    assert "measuring on 1 of 1 workers" in told
    assert "workers" not in alone


@pytest.mark.long
def test_capacity_of_which_some_was_there(scope, corpus, workers, tmp_path, monkeypatch):
    monkeypatch.setattr("headscope.studies.capacity.run._SHARD_POSITIONS", 60)
    options = CapacityOptions(parts=("dimension", "number", "reproductions"), sites=("z",), keep=(0.5,), sample=24)

    def found(directory, hands=None):
        return Run.prepare(scope, [corpus], options, directory).run(hands=hands)

    mine = found(tmp_path / "mine")
    there = sorted((tmp_path / "mine" / "measured").glob("*.parquet"))
    assert {path.name.partition("-")[0] for path in there} == {"joined", "mixing", "sweep"}
    assert len(there) > 4
    (tmp_path / "by").mkdir()
    shutil.copy(tmp_path / "mine" / "manifest.json", tmp_path / "by")
    (tmp_path / "by" / "measured").mkdir()
    for path in there[-1].parent.glob(f"{there[-1].name}*"):
        shutil.copy(path, tmp_path / "by" / "measured")
    assert found(tmp_path / "by", workers).to_dict() == mine.to_dict()
    for path in there:
        assert pq.read_table(tmp_path / "by" / "measured" / path.name).equals(pq.read_table(path))


@pytest.mark.long
def test_claims_under_both_arithmetics_of_which_some_were_there(address, scope, choice, corpus, tmp_path, capsys):
    whole = settle(scope, ClaimsAsked(texts=(corpus,)), tmp_path / "mine")
    assert {one.arithmetic for one in whole.findings if one.ruling != "not applicable"} == {"right", "published"}
    mine, by = (tmp_path / name / "parts" for name in ("mine", "by"))
    (by / "maps").mkdir(parents=True)
    for path in (mine / "asked.json", mine / "maps" / "+1.json", mine / "maps" / "+1.json.sha256"):
        shutil.copy(path, by / path.relative_to(mine))
    fleet = ["--engine", "ray", "--workers", "2", "--cpus-per-worker", "1", "--address", address]
    with pytest.raises(SystemExit) as end:
        main(["claims", choice.name, "--texts", str(corpus), "-o", str(tmp_path / "by"), "--json", *fleet])
    assert not end.value.code
    assert json.loads(capsys.readouterr().out)["claims"] == json.loads(json.dumps(whole.to_dict()["claims"]))
    names = sorted(path.relative_to(mine) for path in mine.rglob("*.npz"))
    assert {str(name.parent) for name in names} >= {"mixing", "position-right", "position-published"}
    for name in (*names, *(path.relative_to(mine) for path in (mine / "maps").iterdir())):
        assert (by / name).read_bytes() == (mine / name).read_bytes(), name


def test_claims_by_workers_need_a_directory(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["claims", "demo", "--engine", "ray"])
    assert end.value.code == 2
    assert "a directory that all of them see: name it with -o DIR" in " ".join(capsys.readouterr().err.split())


def test_what_is_sent_finds_elsewhere_what_it_finds_here(scope, choice):
    task = RecoveryTask.of(scope, TEXTS)
    order = TaskOrder(SameModel.of(scope, choice, None, Share(torch.get_num_threads(), 0)), task)
    there = pickle.loads(pickle.dumps(order)).open()
    piece = MapsOfPlace("head", 1, -1)
    assert equal(there.measure(piece, 0.0), task.measuring(scope, lambda maps: None)(piece))


def test_a_machine_with_other_versions_is_refused(scope, choice):
    model = SameModel.of(scope, choice, None, Share(1, 0))
    other = replace(model, by=replace(model.by, versions=model.by.versions | {"torch": "1.0"}))
    with pytest.raises(InputError, match=r"has other versions than where .*: torch \S+ \(1\.0 there"):
        TaskOrder(other, RecoveryTask.of(scope, TEXTS)).open()


@pytest.mark.parametrize("command", ["recovery", "lens", "capacity", "claims"])
def test_what_is_said_of_workers_is_for_the_engine(command, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, str(tmp_path / "no.txt"), "--workers", "2", *(["-o", "l"] if command == "lens" else [])])
    assert end.value.code == 2
    assert "--workers is for --engine ray" in capsys.readouterr().err
