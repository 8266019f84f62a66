"""A survey by workers of a Ray cluster is the survey of one process, whoever is lost on the way."""

from __future__ import annotations

import os
import signal
import sys

import pytest
import zoo
from aside import HEADSCOPE, Program

from headscope import Scope
from headscope.commands.cli import main
from headscope.corpus.fleet.asked import Fleet
from headscope.corpus.fleet.cluster import connected
from headscope.question.model_choice import ModelChoice
from headscope.show.progress import Progress
from headscope.studies.fleet import Workers
from headscope.studies.survey.fleet import run_by
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.run import Survey
from headscope.studies.survey.store import Store
from tests import clusters
from tests.studies.survey.corpora import sentences, statistics, surveyed, table, written

TABLES = ("texts", "tokens", "patterns", "rows")
SHARDS = {"shard_positions": 16}
LIMIT = 400  # seconds, on a machine that is busy with much else: one that hangs does so for ever


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(zoo.save("bert", tmp_path_factory.mktemp("bert")))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return written(tmp_path_factory.mktemp("texts") / "texts.txt", sentences(24), every=3)


@pytest.fixture(scope="module")
def whole(model, path, tmp_path_factory):
    """The survey by one process."""
    return surveyed(Scope.from_pretrained(model), path, tmp_path_factory.mktemp("whole") / "s", ("labels",), **SHARDS)


def same(directory, whole):
    for name in TABLES:
        assert table(directory, name).equals(table(whole, name))
    assert statistics(directory).equals(statistics(whole))


@pytest.mark.slow
def test_a_worker_killed_a_machine_gone_and_another_come_change_no_bit(demo, path, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed (extra: ray)")
    choice, shards = ModelChoice("demo"), {"shard_positions": 10, "references": ("layer",)}
    whole = surveyed(demo, path, tmp_path / "whole", **shards)
    directory = tmp_path / "s"
    with clusters.cluster() as made, connected(Fleet(2, address=made.address)) as cluster:
        survey = Survey.prepare(demo, [path], directory, SurveyOptions(**shards))
        begun = len(survey.left())
        due = {3: "kill", 6: "remove", 10: "add"}

        def happens(progress):
            there = begun - len(list(directory.glob("**/shards/0*")))
            for when in [when for when in due if there and begun - there >= when]:
                what = due.pop(when)
                if what == "kill":
                    clusters.kill(clusters.open_one())
                elif what == "remove":
                    made.remove_node(clusters.machine_of(made, clusters.open_one()), allow_graceful=False)
                else:
                    clusters.machine(made)

        with Workers.of(cluster, demo, choice, print) as workers:
            run_by(workers, survey, progress=Progress(happens))
    assert begun > 14
    assert not due
    assert len(workers.losses) >= 2
    assert all("was lost over shard" in loss for loss in workers.losses)
    same(directory, whole)
    assert clusters.all_gone()


@pytest.mark.long
def test_workers_that_take_every_core_do_not_hang_and_fewer_than_were_asked_for_do_it_all(model, path, whole, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed (extra: ray)")
    directory = tmp_path / "s"
    asked = ["--engine", "ray", "--workers", 3, "--cpus-per-worker", 1, "--null", "labels"]
    with clusters.cluster() as made:
        command = ["survey", path, "--model", model, "-o", directory, "--shard-positions", 16, *asked]
        run = Program(HEADSCOPE, *command, "--address", made.address, folder=tmp_path / "said")
        assert run.wait(LIMIT) == 0, run.err
        assert "the cluster has room for 2 of 3 workers (each takes 1 core)" in run.err
        assert "measuring on 2 of 3 workers" in run.err
        assert f"Finished: {directory}/statistics.parquet" in run.out
    same(directory, whole)


@pytest.mark.long
def test_ctrl_c_leaves_whole_shards_and_the_same_command_goes_on(model, path, whole, tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed (extra: ray)")
    directory = tmp_path / "s"
    command = ["survey", path, "--model", model, "-o", directory, "--shard-positions", 16, "--null", "labels"]
    ray = ["--engine", "ray", "--workers", 1]
    first = Program(HEADSCOPE, *command, *ray, folder=tmp_path / "said")
    first.until(lambda: len(list(directory.glob("shards/0*"))) > 2)
    os.kill(first.pid, signal.SIGINT)
    assert first.wait(LIMIT) == 130
    assert first.err.endswith("stopped; what was measured is kept, and the same command goes on from there.\n")
    assert "Traceback" not in first.err
    there = [int(shard.name) for shard in directory.glob("shards/0*")]
    assert all(Store(directory).has(index) for index in there)
    assert not (directory / "statistics.parquet").exists()
    second = Program(HEADSCOPE, *command, folder=tmp_path / "said-again")
    assert second.wait() == 0, second.err
    same(directory, whole)


def test_without_ray_it_is_told_how_to_get_it(model, path, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SystemExit) as end:
        main(["survey", str(path), "--model", model, "-o", str(tmp_path / "s"), "--engine", "ray"])
    assert end.value.code == 2
    assert 'the engine ray needs ray: pip install "headscope[ray]"' in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "s").exists()
    assert not [name for name in os.environ if name.startswith("RAY_AUTH")], "the next cluster would want the token"


def test_workers_write_where_all_of_them_see(model, path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["survey", str(path), "--model", model, "-o", "s3://bucket/s", "--engine", "ray"])
    assert end.value.code == 2
    assert "s3://bucket/s is on an object store: give such a directory, or" in " ".join(capsys.readouterr().err.split())


def test_what_is_said_of_workers_is_for_the_engine(model, path, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        main(["survey", str(path), "--model", model, "-o", str(tmp_path / "s"), "--workers", "2"])
    assert end.value.code == 2
    assert "--workers is for --engine ray" in capsys.readouterr().err
