"""Many vectors, each among the vocabulary at its own place, and any tokens ranked beside the own one."""

from __future__ import annotations

import pytest
import torch

from headscope.neighbors import Place, Table, search
from headscope.vocabulary.encoded import Encoded
from headscope.vocabulary.placed import members_of, search_placed
from tests.neighbors.brute import random_case


@pytest.mark.parametrize("shared", [True, False], ids=["one table", "a table a place"])
def test_every_vector_ranks_tokens_of_its_own_as_if_it_were_alone(shared: bool) -> None:
    table, places, queries, own, place_of = random_case(30, count=9)

    def encode(spot: object) -> Encoded:
        assert isinstance(spot, int)
        one = table if shared else Table.pack(table.rows + spot, table.bias)
        return Encoded(one, places[spot], "model", 0.0)

    draw = torch.Generator().manual_seed(0)
    others = torch.randint(-1, 300, (9, 7), generator=draw)
    found = search_placed(members_of(place_of.tolist()), encode, queries, own, k=2, others=others).nearest["cosine"]
    assert found.other_ranks is not None
    assert found.other_ranks.shape == (9, 4, 7)
    for n in range(9):
        one = encode(int(place_of[n]))
        for other in range(7):
            token = others[n, [other]]
            alone = search(one.table, [one.place], queries[[n]], token.clamp_min(0), k=2)["cosine"].own_rank[0]
            assert torch.equal(found.other_ranks[n, :, other], alone if token >= 0 else torch.zeros_like(alone))


def test_a_place_that_does_not_move_the_vocabulary_is_one_for_all() -> None:
    table, _, queries, own, _ = random_case(31, count=4)
    every = own.expand(4, 4)
    found = search_placed(
        [(None, torch.arange(4))], lambda _: Encoded(table, Place.none, "model", 0.0), queries, own, k=1, others=every
    ).nearest["cosine"]
    assert found.other_ranks is not None
    assert torch.equal(torch.diagonal(found.other_ranks, dim1=0, dim2=2).T, found.own_rank)
