"""Rows are the float32 numbers nearest to exact sums, by fractions, also where a sum all but is the middle of two."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from headscope.neighbors.rounded import rounded


def nearest(exact: Fraction) -> float:
    """The float32 nearest to a fraction, ties to even."""
    about = np.float32(float(exact))
    near = [about, np.nextafter(about, np.float32(-math.inf)), np.nextafter(about, np.float32(math.inf))]
    return float(min(near, key=lambda one: (abs(Fraction(float(one)) - exact), int(one.view(np.int32)) & 1)))


def in_float32(rest: Fraction) -> list[float]:
    """Float32 numbers that add up to a fraction of few bits."""
    parts = []
    while rest:
        parts.append(float(np.float32(float(rest))))
        rest -= Fraction(parts[-1])
    return parts


@pytest.mark.parametrize("base", [1.0, 1 + 2.0**-23], ids=["even", "odd"])
@pytest.mark.parametrize(
    "off",
    [
        *((0.0,), (2.0**-70,), (-(2.0**-70),)),
        *((2.0**-52,), (-(2.0**-52),), (-(2.0**-52), 2.0**-56), (2.0**-52, -(2.0**-56)), (2.0**-52, 2.0**-56)),
        *((-(2.0**-53), 2.0**-90), (2.0**-53, -(2.0**-90))),
    ],
)
def test_a_sum_beside_the_middle_of_two_numbers_goes_to_the_nearer(base: float, off: tuple[float, ...]) -> None:
    terms = [base, 2.0**-24, *off]
    for sign in (1, -1):
        column = torch.tensor([[[sign * term] for term in terms]])
        found = rounded(torch.ones(1, len(terms)), column).item()
        assert found == nearest(Fraction(sign) * sum(map(Fraction, terms)))


@pytest.mark.parametrize(("of_heads", "cancels"), [(False, False), (True, False), (False, True)])
def test_so_does_a_sum_of_many_products_of_all_sizes(of_heads: bool, cancels: bool) -> None:
    draw = np.random.default_rng(0)
    columns, count = [], 1000
    for _ in range(12):
        x, y = draw.uniform(0.5, 1, (2, count)).astype(np.float32) * 2.0 ** draw.integers(-22, 1, (2, count))
        if cancels:  # the half that is added first by the other
            x, y = draw.uniform(0.5, 1, (2, count))
            x[count // 2 :] *= -1
        pairs = list(zip(x.astype(np.float32).tolist(), y.astype(np.float32).tolist(), strict=True))
        exact = sum(Fraction(a) * Fraction(b) for a, b in pairs)
        # What is missing to the middle above, and hardly more or less than that.
        about = np.float32(1e-3 if cancels else float(exact))
        middle = (Fraction(float(about)) + Fraction(float(np.nextafter(about, np.float32(math.inf))))) / 2
        rest = middle - exact + Fraction(int(draw.integers(-3, 4)), 2**62)
        columns.append(pairs + [(1.0, part) for part in in_float32(rest)])
    longest = max(map(len, columns))
    x, y = torch.tensor([column + [(0.0, 0.0)] * (longest - len(column)) for column in columns]).unbind(2)
    expected = [nearest(sum(Fraction(a) * Fraction(b) for a, b in column)) for column in columns]
    found = rounded(x[:, None], y[..., None]) if of_heads else rounded(x, y.T[None])[0].diagonal()
    assert found.flatten().tolist() == expected
