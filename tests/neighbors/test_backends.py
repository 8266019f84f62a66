"""Which backend runs, and that it makes no difference to what is found."""

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from headscope.cores.pool import spread
from headscope.neighbors import Backend, Nearest, Place, Shared, Table, backend_in_use, search, warm_up
from headscope.neighbors.batch import Batch, pair_distances
from headscope.neighbors.scan import torch_tiles
from headscope.neighbors.shared import Numbers, Stock
from headscope.question.choices import METRICS, Metric
from tests.neighbors.brute import random_case


def test_backends_find_the_same() -> None:
    pytest.importorskip("numba")
    table, places, queries, own, place_of = random_case(20, tokens=3000, d_head=64, count=40)
    others = torch.randint(3000, (40, 3))
    left, right = (
        search(table, places, queries, own, place_of=place_of, metrics=METRICS, others=others, backend=backend)
        for backend in ("torch", "numba")
    )
    for metric in METRICS:
        assert torch.equal(left[metric].ids, right[metric].ids)
        assert torch.equal(left[metric].ranks, right[metric].ranks)
        assert torch.equal(left[metric].own_rank, right[metric].own_rank)
        assert left[metric].other_ranks is not None
        assert right[metric].other_ranks is not None
        assert torch.equal(left[metric].other_ranks, right[metric].other_ranks)
        torch.testing.assert_close(left[metric].distances, right[metric].distances)


@pytest.mark.parametrize("backend", ["torch", "auto"])
def test_many_queries_at_many_places_are_found_as_each_would_be_alone(backend: str) -> None:
    table, places, queries, own, place_of = random_case(21, heads=1, tokens=200, places=40, count=600)
    near = search(table, places, queries, own, place_of=place_of, backend=backend)["cosine"]  # type: ignore[arg-type]
    for query in (0, 299, 300, 599):
        at = [places[int(place_of[query])]]
        alone = search(table, at, queries[[query]], own[[query]])["cosine"]
        assert torch.equal(near.ids[query], alone.ids[0])
        assert torch.equal(near.own_rank[query], alone.own_rank[0])


def test_a_long_list_of_neighbours_takes_little_more_than_the_places_for_it() -> None:
    pytest.importorskip("numba")
    table = Table.pack(torch.randn(1, 2000, 8), torch.zeros(1, 8))
    queries, own = torch.randn(200, 25, 8), torch.arange(200)
    search(table, [Place.none], queries[:1], own[:1], backend="numba")  # compiled, on no account of the search's
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    tracemalloc.start()
    try:
        search(table, [Place.none], queries, own, k=100, backend="numba")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        torch.set_num_threads(threads)
    places = 2 * 5000 * (100 + 112 + 100) * 8  # two stretches' of every row, see numba_tiles: a score and a token each
    assert peak < 3.2 * places


def test_searches_may_run_side_by_side() -> None:
    table, places, queries, own, place_of = random_case(22, tokens=2000)
    backend = backend_in_use()

    def ids(_: int) -> torch.Tensor:
        return search(table, places, queries, own, place_of=place_of, backend=backend)["cosine"].ids

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ids, range(12)))
    assert all(torch.equal(one, found[0]) for one in found)


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_a_search_comes_to_the_same_whatever_the_threads_and_leaves_them(backend: Backend) -> None:
    if backend == "numba":
        pytest.importorskip("numba")
    table, places, queries, own, place_of = random_case(23, tokens=9000, heads=3, count=4)

    def found(number: int) -> Nearest:
        torch.set_num_threads(number)  # of this thread
        near = search(table, places, queries, own, place_of=place_of, backend=backend)["cosine"]
        assert torch.get_num_threads() == number
        return near

    before = torch.get_num_threads(), torch.backends.cuda.matmul.allow_tf32
    try:
        numbers = [1, 8, 2, 1, 8]
        with ThreadPoolExecutor(len(numbers)) as callers:
            everyone = [*map(found, numbers), *callers.map(found, numbers)]
    finally:
        torch.set_num_threads(before[0])
    assert (torch.get_num_threads(), torch.backends.cuda.matmul.allow_tf32) == before
    for near in everyone[1:]:
        for part in ("ids", "ranks", "distances", "own_rank", "own_distance"):
            assert torch.equal(getattr(near, part), getattr(everyone[0], part))


class _Watching(TorchDispatchMode):
    """Notes how many threads each operation of this thread may ask for help."""

    def __init__(self, seen: list[int]) -> None:
        super().__init__()
        self._seen = seen

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._seen.append(torch.get_num_threads())
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_no_operation_of_a_search_asks_other_threads_for_help(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each would wait for a time slice where another program has their core.
    if backend == "numba":
        pytest.importorskip("numba")
    table, places, queries, own, place_of = random_case(28, tokens=9000, heads=3, count=40)
    others, here = torch.randint(9000, (40, 12)), list[int]()
    elsewhere: list[int] = []

    def spread_watched(work: Callable[[Any], Any], pieces: list[Any]) -> list[Any]:
        def watched(piece: Any) -> Any:
            with _Watching(elsewhere):
                return work(piece)

        return spread(watched, pieces)

    monkeypatch.setattr(torch_tiles, "spread", spread_watched)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        with _Watching(here):
            search(table, places, queries, own, place_of=place_of, others=others, backend=backend)
    finally:
        torch.set_num_threads(before)
    assert set(here) == {1}
    assert set(elsewhere) == ({1} if backend == "torch" else set())


def test_warming_up_compiles_everything_that_a_search_calls() -> None:
    pytest.importorskip("numba")
    warm_up(wait=True)
    from headscope.neighbors.scan.numba_kernel import scan_head

    for heads, count, places, d_head in ((1, 1, 1, 8), (3, 40, 5, 7)):
        table, at, queries, own, place_of = random_case(26, heads=heads, d_head=d_head, places=places, count=count)
        search(table, at, queries, own, place_of=place_of, metrics=METRICS)
        search(table, [Place.none], queries, own, others=own[:, None], candidates=table.finite)
    for group in (1, 2):  # every query at every place
        table, at, queries, own, _ = random_case(27, group=group, d_head=8, count=4)
        place_of = torch.arange(3).repeat_interleave(4)
        search(table, at, queries.repeat(3, 1, 1), own.repeat(3), place_of=place_of, metrics=METRICS)
    assert len(scan_head.signatures) == 1


def test_warming_up_compiles_what_a_search_of_shared_vectors_calls() -> None:
    pytest.importorskip("numba")
    warm_up(wait=True)
    from headscope.neighbors.scan.numba_products import read_products

    draw = torch.Generator().manual_seed(28)
    stock, matrix = Stock(torch.randn(50, 8, generator=draw), torch.full((50,), 9.0)), torch.ones(2, 8, 4)
    places = [Place.none, Place(bias=torch.ones(2, 4)), Place(torch.ones(50), torch.ones(2, 4))]
    for bias in (torch.zeros(2, 4), torch.ones(2, 4)):
        part = Shared.of(stock, matrix, bias, Numbers.of(stock, matrix, bias))
        for source, count in ((part, 2), (Shared.joined([part, part]), 3)):
            queries, own = torch.randn(count, len(source.bias), 4, generator=draw), torch.arange(count)
            for some, at in ((places[:1], own * 0), (places, own % 3)):
                scaled = [
                    Place(*(None if x is None else x.repeat(len(source.bias) // len(x), 1) if x.dim() == 2 else x
                            for x in (place.scale, place.shift, place.bias)))
                    for place in some
                ]  # fmt: skip
                search(source, scaled, queries, own, place_of=at, metrics=METRICS)
    assert len(read_products.signatures) == 1


_WITHOUT_CACHE = """
import sys, time
sys.dont_write_bytecode = True
import torch
from headscope.neighbors import Place, Table, search, warm_up

table = Table.pack(torch.eye(8)[None], torch.zeros(1, 8))
asked = (table, [Place.none], torch.ones(1, 1, 8), torch.tensor([0]))
search(*asked, k=3)
assert "numba" not in sys.modules, "a small search loads nothing"
warm_up()
spent = time.perf_counter()
search(*asked, k=3)
print(time.perf_counter() - spent)
"""


@pytest.mark.long
def test_no_search_waits_for_the_compiler() -> None:
    pytest.importorskip("numba")
    # A cache directory that cannot be made, and no other place to look for one.
    nowhere = {"NUMBA_CACHE_DIR": "/proc/nowhere", "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator"}
    script = _WITHOUT_CACHE + "warm_up(wait=True)\nsearch(*asked, k=3, backend='numba')\n"
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | nowhere, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 5


_BROKEN = """
import logging, sys
import torch
from headscope.neighbors import Place, Table, search, warm_up

warm_up(wait=True)
table = Table.pack(torch.eye(8)[None], torch.zeros(1, 8))
print(search(table, [Place.none], torch.arange(8.0, 0, -1)[None, None], torch.tensor([0]), k=3)["cosine"].ids.tolist())
"""


@pytest.mark.slow
def test_where_numba_does_not_load_torch_goes_on(tmp_path: Path) -> None:
    (tmp_path / "numba.py").write_text("raise ImportError('numba needs another numpy')", encoding="ascii")
    before = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", _BROKEN],
        env=os.environ | {"PYTHONPATH": before},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[[[0, 1, 2]]]"
    assert done.stderr.strip().splitlines() == [
        "the compiled search cannot be loaded, so torch does the work, which is slower: numba needs another numpy."
    ]


@pytest.mark.slow
def test_where_what_numba_keeps_is_damaged_torch_goes_on_and_says_where_it_is(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}

    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", _BROKEN]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    assert run().stderr == ""
    for path in tmp_path.rglob("*scan_head*.nbi"):
        path.write_bytes(path.read_bytes()[:100])
    done = run()
    assert done.stdout.strip() == "[[[0, 1, 2]]]"
    assert "so torch does the work, which is slower: " in done.stderr
    assert f"remove what numba keeps in {tmp_path}" in done.stderr


_FORKED = """
import os, sys, threading
import torch
from headscope.neighbors import Place, Table, search, warm_up

torch.set_num_threads(1)  # OpenMP does not live through a fork otherwise
table = Table.pack(torch.eye(8)[None], torch.zeros(1, 8))
asked = (table, [Place.none], torch.arange(8.0, 0, -1)[None, None], torch.tensor([0]))
search(*asked, k=3)
warm_up(after=60 if sys.argv[1] == "before" else 0)
while sys.argv[1] == "meanwhile" and "numba" not in sys.modules:
    pass
if os.fork() == 0:
    warm_up(wait=True)
    print(search(*asked, k=3)["cosine"].ids.tolist(), flush=True)
    os._exit(0)
os.wait()
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_forked_child_does_not_wait_for_what_its_parent_was_loading(when: str) -> None:
    pytest.importorskip("numba")
    command = [sys.executable, "-W", "ignore", "-c", _FORKED, when]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    assert done.stdout.strip() == "[[[0, 1, 2]]]"


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize(
    ("stay", "cached"), [(0.6, True), (1.0, True), (3.0, False), (0.0, False), (1.0, False), (1.4, True)]
)
def test_no_program_stays_for_the_compiler_or_dies_of_it(stay: float, cached: bool, tmp_path: Path) -> None:
    pytest.importorskip("numba")
    script = f"import time\nfrom headscope.neighbors import warm_up\nwarm_up()\ntime.sleep({stay})\nprint('done')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | ({} if cached else {"NUMBA_CACHE_DIR": str(tmp_path)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    # What takes most of the half minute was not waited for, or it would be kept.
    assert not [path for path in tmp_path.rglob("*.nbc") if "scan_head" in path.name]


_LATER = """
import sys, time
from headscope.neighbors import warm_up

warm_up(after=60)
time.sleep(0.5)
print("numba" in sys.modules)
if sys.argv[1:]:
    warm_up(wait=True)
    print("numba" in sys.modules)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("wanted", "loaded"), [((), ["False"]), (("now",), ["False", "True"])])
def test_what_is_loaded_later_is_loaded_at_once_for_who_wants_it_and_never_for_who_ends(
    wanted: tuple[str, ...], loaded: list[str]
) -> None:
    pytest.importorskip("numba")
    done = subprocess.run(
        [sys.executable, "-c", _LATER, *wanted], capture_output=True, text=True, check=False, timeout=50
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, loaded, "")


def test_an_unknown_backend_is_named() -> None:
    table, _, queries, own, _ = random_case(24)
    with pytest.raises(ValueError, match="backend is 'fortran'"):
        search(table, [Place.none], queries, own, backend="fortran")  # type: ignore[arg-type]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_finds_what_the_cpu_finds() -> None:
    table, places, queries, own, place_of = random_case(25, tokens=3000, d_head=64, count=40)
    here = search(table, places, queries, own, place_of=place_of, metrics=METRICS)
    moved = type(table).pack(table.rows.cuda(), table.bias.cuda())
    at = [Place(*(None if part is None else part.cuda() for part in (p.scale, p.shift, p.bias))) for p in places]
    there = search(moved, at, queries.cuda(), own.cuda(), place_of=place_of.cuda(), metrics=METRICS)
    for metric in METRICS:
        assert torch.equal(here[metric].ids, there[metric].ids.cpu())
        assert torch.equal(here[metric].own_rank, there[metric].own_rank.cpu())


def test_a_long_list_of_neighbours_is_not_left_to_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    # One tile holds fewer blocks than the neighbours asked for.
    monkeypatch.setitem(torch_tiles._SCORES, "cpu", 2**10)
    table, _, queries, own, place_of = random_case(27, heads=1, group=1, tokens=4000)
    asked = Batch(table, queries, place_of * 0, None, None, table.bias[None], [1.0], own[:, None], torch.arange(5))
    exact = pair_distances(asked, "cosine", *asked.target_pairs).view(5, 1)
    marks: dict[Metric, torch.Tensor] = {"cosine": asked.scores("cosine", exact)}
    found = torch_tiles.scan(asked, ["cosine"], 100, table.finite, marks)["cosine"]
    assert not found.crowded.any()
