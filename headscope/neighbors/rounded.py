"""Rows that do not depend on how they were computed: products of vectors and a matrix, rounded once.

Summed in float64, a product is off by at most γ Σ|xᵢ||mᵢ|, by an amount that depends on the order of the sum: on how
many rows are multiplied at a time, on threads, on the machine. So close to the middle between two float32 numbers it
does not say which of them is nearer. There, of two thousand numbers at one, the sum is taken exactly. Whoever makes a
row, of a whole vocabulary or of one token, makes the same numbers.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_UNIT = 2.0**-53  # rounding unit of float64


def rounded(x: Tensor, matrix: Tensor) -> Tensor:
    """x M float32 [head, row, number], each number the float32 that is nearest to the exact sum (ties to even).

    x float32 [row, d], or [head, row, d] of each head's own; matrix float32 [head, d, number].

    >>> just_above_the_middle = torch.tensor([[[1.0], [2.0**-24], [2.0**-70]]])
    >>> rounded(torch.ones(1, 3), just_above_the_middle).item() > 1
    True
    """
    heads, terms, numbers = matrix.shape
    wide, x = matrix.double(), x.double()
    margin = 1.01 * (terms + 2) * _UNIT * wide.norm(dim=1, keepdim=True)  # a sum's error per |x| [head, 1, number]
    if x.dim() == 2:  # one product for all heads
        sums = (x @ wide.transpose(0, 1).flatten(1)).unflatten(1, (heads, numbers)).transpose(0, 1)
        x = x.expand(heads, -1, -1)
    else:
        sums = x @ wide
    length = x.norm(dim=2, keepdim=True)
    low, high = (torch.addcmul(sums, length, margin, value=sign).float() for sign in (-1, 1))
    at = (low < high).nonzero(as_tuple=True)  # no number is less than what is not finite
    if len(at[0]):
        high[at] = _summed(x[at[:2]] * wide.mT[at[0], at[2]])  # of 24 bits and 24 bits: exact
    return high


def _summed(terms: Tensor) -> Tensor:
    """The float32 nearest to the exact sum of each row of float64 `terms` [sum, term]."""
    # What is a multiple of one small number adds up exactly, and what is left of the terms adds up to very little.
    above = terms.abs().amax(1, keepdim=True).frexp().exponent + len(terms.T).bit_length() + 1
    anchor = torch.ldexp(torch.ones_like(terms[:, :1]), above)
    large = (terms + anchor) - anchor
    sums = large.sum(1) + (terms - large).sum(1)
    # Now only a sum that is the middle itself, to the last bit, can lie on either side.
    beside = [torch.nextafter(sums, sums.new_tensor(end)).float() for end in (-math.inf, math.inf)]
    nearest = sums.float()
    for row in (beside[0] < beside[1]).nonzero().squeeze(1).tolist():
        nearest[row] = _nearest(terms[row].tolist())
    return nearest


def _nearest(terms: list[float]) -> float:
    """A float64 whose float32 is the one nearest to the exact sum."""
    total = math.fsum(terms)  # rounded once; what it is off by decides where it is the middle
    rest = math.fsum([*terms, -total])
    is_even = not int(math.ldexp(math.frexp(total)[0], 53)) % 2
    return math.nextafter(total, math.copysign(math.inf, rest)) if rest and is_even else total
