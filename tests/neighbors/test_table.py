"""What a table derives when it is packed, and what it refuses."""

import pytest
import torch

from headscope.neighbors import Place, Table, search


def test_a_table_tells_its_size() -> None:
    table = Table.pack(torch.zeros(2, 10, 4), torch.zeros(2, 4))
    assert table.nbytes == 4 * (2 * 10 * 4 + 2 * 4 + 2 * 10 + 2) + 10


def test_rows_are_kept_in_float32_without_a_copy_where_they_are() -> None:
    rows = torch.randn(2, 10, 4)
    assert Table.pack(rows, torch.zeros(2, 4)).rows.data_ptr() == rows.data_ptr()
    assert Table.pack(rows.half(), torch.zeros(2, 4)).rows.dtype == torch.float32


def test_lengths_are_those_of_every_row_by_itself() -> None:
    rows = 1e25 * torch.randn(2, 5000, 3)  # more than one stretch, and squares that float32 has no room for
    norms = Table.pack(rows, torch.zeros(2, 3)).norms
    assert torch.equal(norms, torch.linalg.vector_norm(rows, dim=-1, dtype=torch.float64).float())


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Table.pack(torch.zeros(2, 10, 4), torch.zeros(2, 5))


def test_a_bias_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="bias"):
        Table.pack(torch.zeros(1, 3, 2), torch.tensor([[0.0, torch.nan]]))


def test_a_place_that_is_not_finite_is_refused_but_where_the_row_is_not_either() -> None:
    rows = torch.randn(1, 5, 2)
    rows[0, 3] = torch.nan
    table = Table.pack(rows, torch.zeros(1, 2))
    scale = torch.ones(5)
    scale[3] = torch.nan
    near = search(table, [Place(scale)], torch.ones(1, 1, 2), torch.tensor([0]), k=4)["cosine"]
    assert sorted(near.ids.flatten().tolist()) == [0, 1, 2, 4]
    scale[1] = torch.inf
    with pytest.raises(ValueError, match="scale"):
        search(table, [Place(scale)], torch.ones(1, 1, 2), torch.tensor([0]), k=4)


def test_a_place_tells_its_size_and_its_bias_must_be_finite_together_with_the_table_s() -> None:
    table = Table.pack(torch.ones(1, 5, 2), torch.full((1, 2), 3e38))
    place = Place(torch.ones(5), torch.zeros(1, 2), torch.full((1, 2), 3e38))
    assert place.nbytes == 4 * (5 + 2 + 2)
    with pytest.raises(ValueError, match="bias"):
        search(table, [place], torch.ones(1, 1, 2), torch.tensor([0]), k=1)
