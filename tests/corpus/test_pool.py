"""What becomes of pieces, and of workers that fail: on a real cluster, with workers that open nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headscope.corpus.fleet.asked import Fleet
from headscope.corpus.fleet.cluster import Share, connected
from headscope.corpus.fleet.handing import TRIES, Handing
from headscope.corpus.fleet.pool import Pool, Staff
from headscope.errors import HeadscopeError, InputError
from tests import clusters
from tests.corpus.toys import Toy

pytestmark = pytest.mark.slow
PIECES = range(6)


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("ray", reason="Ray is not installed (extra: ray)")
    with clusters.cluster() as made, connected(Fleet(address=made.address)) as cluster:
        yield cluster
    assert clusters.all_gone()


@pytest.fixture
def run(cluster, tmp_path):
    """Run a pool of two on the pieces: the pool, what it was handed, and the pieces in order of when they were done."""

    def measured(*bad, pieces=PIECES):
        staff = Staff(cluster, Share(1, 0))
        pool = Pool(staff, 2, Toy(tmp_path, *bad), lambda at_work, of: None)
        handing, done = Handing(pieces, fruitless=TRIES * 2), []
        try:
            pool.run(handing, lambda piece, found: done.append(found))
        finally:
            staff.end_all()
        return pool, handing, done

    return measured


def there(directory: Path) -> set[int]:
    return {int(path.name.removeprefix("piece-")) for path in directory.glob("piece-*")}


def written(directory: Path, kind: str) -> set[str]:
    return {path.read_text() for path in directory.glob(f"{kind}-*")}


def test_every_piece_is_done_once_by_workers_that_are_gone_then(run, tmp_path):
    pool, handing, done = run()
    assert sorted(done) == list(PIECES)
    assert there(tmp_path) == set(PIECES)
    assert not handing.given_up
    assert not pool.losses


@pytest.mark.long
def test_workers_that_are_free_do_what_comes_next_and_lost_ones_are_not_hired_again(cluster, tmp_path):
    staff, alive = Staff(cluster, Share(1, 0)), set()
    for name, fails in (("first", ""), ("second", "poison"), ("third", "")):
        (tmp_path / name).mkdir()
        pool = Pool(staff, 2, Toy(tmp_path / name, fails), lambda at_work, of: None)
        pool.run(Handing(PIECES, fruitless=TRIES * 2), lambda piece, found: None)
        assert len(pool.losses) == TRIES * bool(fails)
        assert not alive or written(tmp_path / name, "piece") & alive
        alive = set(map(str, clusters.workers()))
    staff.end_all()
    assert clusters.all_gone()


@pytest.mark.long
def test_clusters_of_ones_own_follow_one_another_with_the_priority_of_the_run(tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed (extra: ray)")
    script = tmp_path / "run.py"
    script.write_text(
        "from headscope.corpus.fleet.asked import Fleet\n"
        "from headscope.corpus.fleet.cluster import connected\n"
        "import os\n"
        "import ray\n"  # before its environment is as a cluster of one's own wants it
        "for _ in range(2):\n"
        "    with connected(Fleet(1, 1)) as cluster:\n"
        "        there = ray.get(ray.remote(lambda: os.nice(0)).remote())\n"
        "        closed = 'RAY_AUTH_TOKEN' in os.environ\n"
        "    print(there == os.nice(0), closed, 'RAY_AUTH_TOKEN' in os.environ)\n"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}  # of the other cluster
    told = subprocess.run([sys.executable, script], env=plain, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert told.split("\n")[-3:-1] == ["True True False"] * 2


@pytest.mark.long
def test_a_worker_whose_device_failed_ends_and_its_piece_goes_elsewhere(run, tmp_path):
    pool, _, done = run("device", 1)
    assert sorted(done) == list(PIECES)
    (failed,) = written(tmp_path, "mark")
    by_it = [path for path in tmp_path.glob("piece-*") if path.read_text() == failed]
    (loss,) = pool.losses
    assert f"process {failed} was lost over" in loss
    assert "RuntimeError: CUDA error: an illegal memory access was encountered" in loss
    end = time.monotonic() + 10  # what is gone is still listed until it is waited for
    while Path("/proc", failed).exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert not Path("/proc", failed).exists()
    assert len(by_it) < len(PIECES)


def test_a_piece_that_ends_its_workers_is_given_up_and_all_others_are_done(run, tmp_path):
    pool, handing, done = run("poison")
    assert set(handing.given_up) == {2}
    assert there(tmp_path) == set(done) == set(PIECES) - {2}
    assert len(pool.losses) == TRIES
    assert "was lost over 2" in handing.given_up[2]


@pytest.mark.long
def test_devices_that_fail_again_and_again_end_the_run(run, tmp_path):
    with pytest.raises(HeadscopeError, match=r"CUDA error.*no piece was finished between them"):
        run("device")
    assert not there(tmp_path)


def test_a_sentence_of_headscopes_own_ends_the_run(run):
    with pytest.raises(InputError, match=r"^the disk is full\.$"):
        run("sentence")


@pytest.mark.long
def test_one_that_cannot_begin_is_told_and_the_others_do_all(run, tmp_path):
    pool, _, done = run("opening", 1)
    assert sorted(done) == list(PIECES)
    (loss,) = pool.losses
    assert loss.endswith("could not begin: there is no such model here.")


@pytest.mark.long
def test_where_none_can_begin_it_is_told_why(run):
    with pytest.raises(InputError, match=r"^there is no such model here\.$"):
        run("opening")


@pytest.mark.long
def test_what_another_run_does_is_asked_for_again_with_patience(run, tmp_path):
    pool, _, done = run("elsewhere")
    assert there(tmp_path) == set(PIECES)
    assert sorted(done) == list(PIECES)
    assert not pool.losses
