"""Several runs in one directory: each shard is measured by one; what a killed one leaves is in nobody's way."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from aside import Program

from headscope.errors import InputError
from headscope.keep.lock import held
from headscope.show.progress import Progress
from headscope.studies.capacity.options import CapacityOptions
from headscope.studies.capacity.run import Run
from headscope.studies.claims.run import ClaimsAsked, settle
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.run import Survey
from headscope.studies.survey.store import Store
from tests.studies.survey.corpora import sentences, statistics, surveyed, table, written

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
    return written(tmp_path / "texts.txt", sentences(16), every=4)


@pytest.fixture
def at_work(path, tmp_path):
    """Another process within a shard of the survey in `tmp_path / "s"`."""
    child = Program(OTHER, path, tmp_path / "s", folder=tmp_path / "said")
    child.until(lambda: "within" in child.out)
    assert child.poll() is None, child.err
    yield child
    child.kill()
    child.wait()


@pytest.mark.long
def test_a_shard_is_left_to_who_measures_it_until_that_one_ends(at_work, scope_of, path, tmp_path):
    scope, directory = scope_of("bert"), tmp_path / "s"
    (begun,) = (directory / ".at-work").glob("*/.unfinished-*")
    assert begun.parent.name == "model-00001"
    survey = Survey.prepare(scope, [path], directory, SurveyOptions(**SHARDS))
    store, shards = Store(directory), range(len(survey.texts))
    assert [store.has(n) for n in (0, 1)] == [True, False]
    assert survey.plan(trial=0).done == 1
    with ThreadPoolExecutor() as pool:
        running = pool.submit(survey.run)
        while sum(store.shard(n).is_dir() for n in shards) < len(shards) - 1:
            assert not running.done(), running.exception()
            time.sleep(0.01)
        assert not store.shard(1).exists()
        assert begun.is_dir()
        at_work.kill()
        at_work.wait()
        running.result()
    assert not list(directory.rglob(".unfinished*"))
    assert not (directory / ".at-work").exists()
    whole = surveyed(scope, path, tmp_path / "whole", **SHARDS)
    for name in ("texts", "tokens", "patterns", "rows"):
        assert table(directory, name).equals(table(whole, name))


@pytest.mark.slow
def test_two_runs_at_one_time_share_the_shards(scope_of, path, tmp_path):
    scope, directory = scope_of("bert"), tmp_path / "s"
    runs = [Survey.prepare(scope, [path], directory, SurveyOptions(**SHARDS)) for _ in range(2)]
    done: list[list[int]] = [[], []]
    with ThreadPoolExecutor() as pool:
        waiting = [
            pool.submit(run.run, (), Progress(lambda now, n=n: done[n].append(now.done))) for n, run in enumerate(runs)
        ]
        for one in waiting:
            one.result()
    assert [one[-1] for one in done] == [runs[0].texts.census.total * scope.card.layers * 2] * 2  # both end at the end
    whole = surveyed(scope, path, tmp_path / "whole", **SHARDS)
    for name in ("texts", "tokens", "patterns", "rows"):
        assert table(directory, name).equals(table(whole, name))
    assert statistics(directory).equals(statistics(whole))


def test_no_two_runs_write_into_one_folder(scope_of, path, tmp_path):
    # Where a file system has no locks, this alone keeps half a shard from being published.
    survey = Survey.prepare(scope_of("bert"), [path], tmp_path / "s", SurveyOptions(**SHARDS))
    survey.begin()
    _, shard = next(iter(survey.texts.read({0})))
    measuring = survey._measuring(None)
    one, other = Store(tmp_path / "s"), Store(tmp_path / "s")
    with one._writing(0, tmp_path / "s") as first, other._writing(0, tmp_path / "s") as second:
        for sink in (first, second):
            measuring(shard, sink)
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
