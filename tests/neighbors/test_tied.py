"""Where all candidates tie there is no rank, and only there."""

from __future__ import annotations

import pytest
import torch

from headscope.neighbors import Nearest, Place, Table, search, without_ties
from headscope.question.choices import METRICS, Metric


def found(table: Table, places: list[Place], queries: torch.Tensor, metric: Metric, **asked: torch.Tensor) -> Nearest:
    """What is found of two own tokens and another, with ties without a rank."""
    others = torch.tensor([[1, -1]]).expand(len(queries), 2)
    own, place_of, allowed = torch.full((len(queries),), 2), asked.get("place_of"), asked.get("candidates")
    near = search(table, places, queries, own, k=2, metrics=(metric,), others=others, **asked)
    return without_ties(near, table, places, queries, place_of, allowed)[metric]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("moved", [False, True])
def test_a_head_whose_rows_are_all_the_same_has_no_ranks(metric: Metric, moved: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    rows = torch.randn(2, 3000, 4, generator=draw)
    rows[0] = 0
    table = Table.pack(rows, torch.randn(2, 4, generator=draw))
    shift = torch.randn(2, 4, generator=draw)
    shift[0] = 0
    place = Place(torch.rand(3000, generator=draw) + 0.5, shift) if moved else Place.none
    queries = torch.randn(5, 4, 4, generator=draw)  # two of each head of the table
    near = found(table, [Place.none, place], queries, metric, place_of=torch.tensor([0, 1, 1, 0, 1]))
    assert near.tied.tolist() == [[True, True, False, False]] * 5
    assert not near.own_rank[:, :2].any()
    assert not near.ranks[:, :2].any()
    assert not near.other_ranks[:, :2].any()
    assert near.ids[0, 0].tolist() == [0, 1]
    assert (near.own_rank[:, 2:] > 0).all()
    assert (near.ranks[:, 2:] > 0).all()
    assert near.other_ranks[:, 2:, 0].bool().all()


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_is_near_to_an_output_of_length_0_but_by_the_lengths_of_rows(metric: Metric) -> None:
    table = Table.pack(torch.randn(1, 50, 4), torch.zeros(1, 4))
    near = found(table, [Place.none], torch.stack([torch.zeros(1, 4), torch.ones(1, 4)]), metric)
    assert near.tied[:, 0].tolist() == [metric != "euclidean", False]


@pytest.mark.parametrize("different", [0, 1, 1500, 2999])
def test_one_token_that_is_farther_or_nearer_is_enough(different: int) -> None:
    rows = torch.ones(1, 3000, 4)
    rows[0, different, 0] += 1e-3
    table, place = Table.pack(rows, torch.zeros(1, 4)), Place.none
    near = found(table, [place], torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]), "cosine")
    assert not near.tied.any()
    # Where it is no candidate, all others tie.
    allowed = torch.arange(3000) != different
    assert found(table, [place], torch.ones(1, 1, 4), "cosine", candidates=allowed).tied.all()


def test_rows_of_other_directions_may_be_as_near() -> None:
    rows = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]])
    near = found(Table.pack(rows, torch.zeros(1, 2)), [Place.none], torch.tensor([[[1.0, 1.0]], [[2.0, 1.0]]]), "dot")
    assert near.tied[:, 0].tolist() == [True, False]


def test_a_token_alone_is_the_nearest() -> None:
    allowed = torch.tensor([False, False, True])
    table = Table.pack(torch.ones(1, 3, 2), torch.zeros(1, 2))
    near = search(table, [Place.none], torch.ones(1, 1, 2), torch.tensor([2]), k=1, candidates=allowed)
    (one,) = without_ties(near, table, [Place.none], torch.ones(1, 1, 2), None, allowed).values()
    assert one.own_rank.item() == 1


def test_each_head_is_told_by_its_own_rows() -> None:
    rows = torch.randn(2, 30, 4, generator=torch.Generator().manual_seed(0))
    rows[1] = 1.0
    near = found(Table.pack(rows, torch.zeros(2, 4)), [Place.none], torch.ones(1, 4, 4), "cosine")
    assert near.tied.tolist() == [[False, False, True, True]]


def test_a_row_that_is_not_finite_is_no_candidate_that_could_be_nearer() -> None:
    rows = torch.ones(1, 30, 4)
    rows[0, 20] = torch.nan
    allowed = torch.arange(30) > -1
    assert found(
        Table.pack(rows, torch.zeros(1, 4)), [Place.none], torch.ones(1, 1, 4), "dot", candidates=allowed
    ).tied.all()


def test_rows_are_alike_or_not_as_they_are_at_their_place() -> None:
    vector = torch.tensor([[[1.0, 0.0]]])
    falling = torch.tensor([3.0, 2.0, 1.0])
    nothing = Table.pack(torch.zeros(1, 3, 2), torch.zeros(1, 2))
    shifted = Place(falling, torch.tensor([[1.0, 0.0]]))
    assert not found(nothing, [shifted], vector, "dot").tied.any()
    assert found(nothing, [Place(falling)], vector, "dot").tied.all()
    one_way = torch.stack([falling, torch.zeros(3)], 1)[None]
    assert not found(Table.pack(one_way, torch.tensor([[0.0, 1.0]])), [Place.none], vector, "cosine").tied.any()
    assert found(Table.pack(one_way, torch.zeros(1, 2)), [Place.none], vector, "cosine").tied.all()
