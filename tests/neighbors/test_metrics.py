"""The three distances: zero vectors, precision near zero, equal rows."""

import pytest
import torch

from headscope.neighbors import distances
from headscope.question.choices import METRICS, Metric


def test_a_zero_vector_has_cosine_distance_one_on_either_side() -> None:
    zero, one = torch.zeros(3), torch.ones(3)
    assert distances("cosine", zero, one) == distances("cosine", one, zero) == distances("cosine", zero, zero) == 1


def test_cosine_does_not_cancel_near_zero() -> None:
    z = torch.tensor([1.0, 0.0], dtype=torch.float64)
    near = torch.tensor([1.0, 1e-9], dtype=torch.float64)
    assert distances("cosine", z, near).item() == pytest.approx(5e-19, rel=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("d_head", [1, 3, 64, 200])
def test_equal_rows_get_equal_bits_however_many_are_scored_at_once(metric: Metric, d_head: int) -> None:
    query, row = torch.randn(d_head), torch.randn(d_head)
    alone = distances(metric, query, row)
    for count in (1, 2, 7, 33, 5000):
        assert (distances(metric, query, row.repeat(count, 1)) == alone).all()


def test_leading_axes_broadcast() -> None:
    assert distances("dot", torch.ones(4, 1, 3), torch.ones(5, 3)).tolist() == [[-3.0] * 5] * 4


def test_an_unknown_metric_is_named() -> None:
    with pytest.raises(ValueError, match="manhattan"):
        distances("manhattan", torch.ones(2), torch.ones(2))  # type: ignore[arg-type]
