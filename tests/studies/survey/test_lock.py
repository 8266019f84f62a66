"""Two runs in one directory: one works, and the other is told so; what a killed one leaves is in nobody's way."""

from __future__ import annotations

import pytest
import zoo
from aside import HEADSCOPE, Program

from headscope.errors import InputError
from headscope.keep.lock import held
from headscope.show.progress import Progress
from headscope.studies.capacity.options import CapacityOptions
from headscope.studies.capacity.run import Run
from headscope.studies.claims.run import ClaimsAsked, settle
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.run import Survey
from headscope.studies.survey.store import Store
from tests.studies.survey.corpora import sentences, surveyed, table, written

SHARDS = {"shard_positions": 30}
# Another process, which begins the survey of its arguments, and stops within its second shard until it is killed.
OTHER = f"""
import sys, time, zoo
from headscope import Scope
from headscope.studies.survey import run
from headscope.studies.survey.options import SurveyOptions
measure, count = run.measure, 0
def stopping(*arguments, **named):
    global count
    count += 1
    measure(*arguments, **named)
    if count == 2:
        print("within", flush=True)
        time.sleep(600)
run.measure = stopping
run.Survey.prepare(Scope.from_model(*zoo.build("bert")), [sys.argv[1]], sys.argv[2], SurveyOptions(**{SHARDS!r})).run()
"""


@pytest.fixture
def path(tmp_path):
    return written(tmp_path / "texts.txt", sentences(30), every=4)


@pytest.fixture
def at_work(path, tmp_path):
    """Another process within a shard of the survey in `tmp_path / "s"`."""
    child = Program(OTHER, path, tmp_path / "s", folder=tmp_path / "said")
    child.until(lambda: "within" in child.out)
    assert child.poll() is None, child.err
    yield child
    child.kill()
    child.wait()


def test_the_second_of_two_runs_is_told_and_one_that_was_killed_is_in_nobodys_way(at_work, scope_of, path, tmp_path):
    scope, directory = scope_of("bert"), tmp_path / "s"
    (begun,) = directory.glob(".unfinished-*")
    with pytest.raises(InputError, match=r"another run is at work in .*s: wait until it has ended[^\n]*another dir"):
        Survey.prepare(scope, [path], directory, SurveyOptions(**SHARDS))
    assert begun.is_dir()
    assert Store(directory).has(0)
    assert not Store(directory).has(1)
    at_work.kill()
    at_work.wait()
    surveyed(scope, path, directory, **SHARDS)
    assert not list(directory.rglob(".unfinished*"))
    whole = surveyed(scope, path, tmp_path / "whole", **SHARDS)
    for name in ("texts", "tokens", "patterns", "rows"):
        assert table(directory, name).equals(table(whole, name))


def test_a_run_that_was_prepared_before_another_began_is_told_too(scope_of, path, tmp_path):
    scope, directory = scope_of("bert"), tmp_path / "s"
    one, other = (Survey.prepare(scope, [path], directory, SurveyOptions(**SHARDS)) for _ in range(2))
    refused = []

    def meanwhile(progress: Progress) -> None:
        with pytest.raises(InputError, match="another run is at work") as error:
            other.run()
        refused.append(str(error.value))

    one.run(progress=Progress(meanwhile))
    assert refused
    other.run()  # nothing is left to do, and nobody is at work


def test_no_two_runs_write_into_one_folder(scope_of, path, tmp_path):
    # Where a file system has no locks, this alone keeps half a shard from being published.
    Survey.prepare(scope_of("bert"), [path], tmp_path / "s", SurveyOptions(**SHARDS))
    one, other = Store(tmp_path / "s"), Store(tmp_path / "s")
    with one.writing(0) as first, other.writing(0) as second:
        for sink in (first, second):
            for name in ("texts", "tokens", "patterns", "rows"):
                with (sink._folder / f"{name}.parquet").open("x") as file:  # there is none yet
                    file.write(name)
    assert one.shard(0).is_dir()
    assert not list((tmp_path / "s").glob(".unfinished*"))


def test_claims_and_capacity_are_told_as_well(scope_of, path, tmp_path):
    scope = scope_of("bert")
    run = Run.prepare(scope, [path], CapacityOptions(sample=None), tmp_path / "capacity")
    with held(tmp_path / "capacity"), pytest.raises(InputError, match="another run is at work"):
        run.run()
    with held(tmp_path / "capacity"), pytest.raises(InputError, match="another run is at work"):
        Run.prepare(scope, [path], CapacityOptions(sample=None), tmp_path / "capacity")
    with held(tmp_path / "claims" / "parts"), pytest.raises(InputError, match="another run is at work"):
        settle(scope, ClaimsAsked(texts=(path,)), tmp_path / "claims")


def test_the_command_line_ends_with_2(at_work, path, tmp_path):
    model = zoo.save("bert", tmp_path / "model")
    command = ["survey", path, "-o", tmp_path / "s", "--model", model, "--shard-positions", 30]
    other = Program(HEADSCOPE, *command, folder=tmp_path / "said")
    assert other.wait() == 2
    assert "another run is at work in" in other.err
    assert "Traceback" not in other.err
    assert at_work.poll() is None
