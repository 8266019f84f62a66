"""Layers are searched together where the answer is that of each by itself."""

import torch
from torch import Tensor

from headscope.neighbors import Place, Shared
from headscope.neighbors.shared import Numbers, Stock
from headscope.vocabulary.encoded import Encoded
from headscope.vocabulary.joined import joinable


def encoded(stock: Stock, matrix: Tensor, place: Place = Place.none) -> Encoded:
    bias = torch.zeros(matrix.shape[0], matrix.shape[2])
    return Encoded(Shared.of(stock, matrix, bias, Numbers.of(stock, matrix, bias)), place, "closed form", 0.0)


def test_a_token_without_a_finite_row_in_one_layer_stays_a_neighbour_in_the_others() -> None:
    draw = torch.Generator().manual_seed(0)
    vectors = torch.randn(50, 8, generator=draw)
    vectors[7] = 1e30
    stock = Stock(vectors, vectors.double().norm(dim=1).float())
    plain, large = torch.rand(2, 8, 4, generator=draw), 1e20 * torch.rand(2, 8, 4, generator=draw)
    layers = [encoded(stock, matrix) for matrix in (plain, plain, large, plain)]
    assert [bool(one.source.finite[7]) for one in layers] == [True, True, False, True]
    assert joinable(layers) == [[0, 1], [2], [3]]


def test_layers_that_a_place_stretches_otherwise_are_searched_by_themselves() -> None:
    vectors = torch.randn(50, 8, generator=torch.Generator().manual_seed(1))
    stock = Stock(vectors, vectors.double().norm(dim=1).float())
    matrix, scale = torch.randn(2, 8, 4), torch.rand(50)
    places = (Place.none, Place(scale), Place(scale), Place(scale + 1))
    assert joinable([encoded(stock, matrix, place) for place in places]) == [[0], [1, 2], [3]]
