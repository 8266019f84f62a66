"""What search takes: masks, places, grouped heads, the own token, other tokens; and what it refuses."""

import pytest
import torch

from headscope.neighbors import Backend, Place, Table, backend_in_use, search
from headscope.neighbors.asked import Asked
from headscope.neighbors.batch import batches, pair_distances
from headscope.neighbors.scan.backends import choose
from headscope.question.choices import METRICS
from tests.neighbors.agreement import assert_agrees
from tests.neighbors.brute import random_case


def test_tokens_that_are_no_candidates_are_not_listed_and_not_counted() -> None:
    table, places, queries, own, place_of = random_case(2)
    candidates = torch.arange(300) % 3 != 0
    near = search(table, places, queries, own, place_of=place_of, candidates=candidates)["cosine"]
    assert (near.ids % 3 != 0).all()
    assert_agrees(near, "cosine", table, places, queries, own, place_of, candidates=candidates)


def test_the_own_token_is_ranked_even_if_it_is_no_candidate() -> None:
    table = Table.pack(torch.tensor([[[1.0], [2.0], [3.0]]]), torch.zeros(1, 1))
    candidates = torch.tensor([True, False, True])
    near = search(
        table,
        [Place.none],
        torch.ones(1, 1, 1),
        torch.tensor([1]),
        k=2,
        metrics=("dot",),
        candidates=candidates,
    )["dot"]
    assert near.ids.flatten().tolist() == [2, 0]
    assert near.own_rank.item() == 2


def test_rows_that_are_not_finite_are_nobody_s_neighbours_and_can_be_named() -> None:
    table, places, queries, own, place_of = random_case(3)
    rows = table.rows.clone()
    rows[0, 7, 0], rows[1, 11, 3] = torch.nan, torch.inf
    table = Table.pack(rows, table.bias)
    own[0] = 7
    near = search(table, places, queries, own, place_of=place_of)["cosine"]
    assert table.not_finite.tolist() == [7, 11]
    assert near.own_distance[0].isnan().all()
    assert_agrees(near, "cosine", table, places, queries, own, place_of)


def test_each_query_is_searched_at_its_own_place() -> None:
    table, places, queries, own, place_of = random_case(4)
    together = search(table, places, queries, own, place_of=place_of)["cosine"]
    for query in range(len(queries)):
        alone = search(table, [places[int(place_of[query])]], queries[[query]], own[[query]])["cosine"]
        assert torch.equal(alone.ids[0], together.ids[query])
        assert torch.equal(alone.own_rank[0], together.own_rank[query])


def test_a_place_that_changes_nothing_is_none() -> None:
    table, _, queries, own, _ = random_case(5)
    same = Place(torch.ones(300), torch.zeros(2, 16), torch.zeros(2, 16))
    left, right = (search(table, [place], queries, own)["cosine"] for place in (Place.none, same))
    assert torch.equal(left.ids, right.ids)
    assert torch.equal(left.distances, right.distances)


def test_a_place_s_bias_is_added_to_the_table_s() -> None:
    table, places, queries, own, _ = random_case(11)
    for place in places:
        unbiased = Place(place.scale, place.shift)
        moved = Table.pack(table.rows, table.bias_at(place))
        left, right = (search(*at, queries, own)["cosine"] for at in ((moved, [unbiased]), (table, [place])))
        assert torch.equal(left.ids, right.ids)
        assert torch.equal(left.own_rank, right.own_rank)
        assert torch.equal(left.distances, right.distances)


def test_grouped_query_heads_read_their_key_value_head() -> None:
    table, places, queries, own, place_of = random_case(6, heads=2, group=3)
    near = search(table, places, queries, own, place_of=place_of)["cosine"]
    second = [Place(p.scale, p.shift[1:], p.bias[1:]) for p in places]
    table = Table.pack(table.rows[1:], table.bias[1:])
    alone = search(table, second, queries[:, 4:5], own, place_of=place_of)["cosine"]
    assert torch.equal(alone.ids[:, 0], near.ids[:, 4])


def test_ranks_of_other_tokens() -> None:
    table, places, queries, own, place_of = random_case(7)
    others = torch.tensor([[0, 1, -1], [2, 2, 3], [-1, -1, -1], [299, 0, 5], [own[4], 1, 2]])
    near = search(table, places, queries, own, place_of=place_of, others=others)["cosine"]
    assert_agrees(near, "cosine", table, places, queries, own, place_of, others=others)
    assert near.other_ranks is not None
    assert torch.equal(near.other_ranks[4, :, 0], near.own_rank[4])


@pytest.mark.parametrize("backend", ("torch", "numba") if backend_in_use() == "numba" else ("torch",))
def test_a_great_many_other_tokens_are_ranked_without_leaving_a_query_to_float64(backend: Backend) -> None:
    table, places, queries, own, _ = random_case(12, tokens=1500, places=1, count=2)
    others = torch.arange(1500).expand(2, -1)
    near = search(table, places, queries, own, metrics=METRICS, others=others, backend=backend)
    for batch in batches(table, places, queries, others, torch.zeros_like(own), 2):
        for metric in METRICS:
            exact = pair_distances(batch, metric, *batch.target_pairs).view(batch.rows, -1)
            ranks = near[metric].other_ranks
            assert ranks is not None
            assert torch.equal(ranks.flatten(0, 1), 1 + (exact[:, None] < exact[..., None]).sum(-1))
            engine = choose(backend, table, 0)
            marks = {metric: Asked.of(batch, metric, exact.flatten()).marks}
            assert not engine.scan(batch, [metric], 15, table.finite, marks)[metric].crowded.any()


def test_no_queries_give_empty_results() -> None:
    table, places, queries, own, _ = random_case(8)
    near = search(table, places, queries[:0], own[:0], k=3)["cosine"]
    assert near.ids.shape == (0, 4, 3)
    assert near.own_rank.shape == (0, 4)


def test_more_neighbours_than_candidates_is_an_error() -> None:
    table, places, queries, own, _ = random_case(9)
    with pytest.raises(ValueError, match="k is 4, but there are 3 candidates"):
        search(table, places, queries, own, k=4, candidates=torch.arange(300) < 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"own": torch.full((5,), 300)}, "own holds ids outside"),
        ({"others": torch.full((5, 1), -2)}, "others holds ids outside"),
        ({"queries": torch.full((5, 4, 16), torch.nan)}, "not finite"),
        ({"queries": torch.ones(5, 3, 16)}, "do not fit"),
        ({"place_of": torch.full((5,), 3)}, "place_of"),
        ({"metrics": ("manhattan",)}, "manhattan"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], message: str) -> None:
    table, places, queries, own, place_of = random_case(10)
    with pytest.raises(ValueError, match=message):
        search(table, places, **{"queries": queries, "own": own, "place_of": place_of} | change)  # type: ignore[arg-type]
