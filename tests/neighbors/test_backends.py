"""Which backend runs, and that it makes no difference to what is found."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from headscope.neighbors import METRICS, Place, backend_in_use, search
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


def test_searches_may_run_side_by_side() -> None:
    table, places, queries, own, place_of = random_case(22, tokens=2000)
    backend = backend_in_use()

    def ids(_: int) -> torch.Tensor:
        return search(table, places, queries, own, place_of=place_of, backend=backend)["cosine"].ids

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ids, range(12)))
    assert all(torch.equal(one, found[0]) for one in found)


def test_the_thread_count_and_the_matmul_flag_are_left_as_they_were() -> None:
    table, places, queries, own, place_of = random_case(23)
    before = torch.get_num_threads(), torch.backends.cuda.matmul.allow_tf32
    search(table, places, queries, own, place_of=place_of, backend="torch")
    assert (torch.get_num_threads(), torch.backends.cuda.matmul.allow_tf32) == before


def test_an_unknown_backend_is_named() -> None:
    table, _, queries, own, _ = random_case(24)
    with pytest.raises(ValueError, match="backend is 'fortran'"):
        search(table, [Place.none], queries, own, backend="fortran")  # type: ignore[arg-type]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_finds_what_the_cpu_finds() -> None:
    table, places, queries, own, place_of = random_case(25, tokens=3000, d_head=64, count=40)
    here = search(table, places, queries, own, place_of=place_of, metrics=METRICS)
    moved = type(table).pack(table.rows.cuda(), table.bias.cuda())
    at = [
        Place(None if p.scale is None else p.scale.cuda(), None if p.shift is None else p.shift.cuda()) for p in places
    ]
    there = search(moved, at, queries.cuda(), own.cuda(), place_of=place_of.cuda(), metrics=METRICS)
    for metric in METRICS:
        assert torch.equal(here[metric].ids, there[metric].ids.cpu())
        assert torch.equal(here[metric].own_rank, there[metric].own_rank.cpu())
