"""How far a float32 score can be from the exact one: what makes the fast search certain.

A score is bigger where a token is nearer: z·R for `dot`, z·R − ½|R|² for `euclidean` and |z| cos for
`cosine`. Every score is one number of the product z·R, times a weight of the token, plus an offset.

A float32 sum of n products, in any order and with or without fused multiply-add, is off by at most
γ_n Σ|zᵢ||Rᵢ| ≤ γ_n |z||R| (Higham, Accuracy and Stability of Numerical Algorithms, §3.1). The encoding
itself, scale · (row + shift) + bias, is rounded three times, so it is off by at most 3u · w, where
w = |scale|(|row| + |shift|) + |bias| ≥ |R| is its *reach*: R is less certain the more its parts cancel.
The functions below add these up, with room for the few roundings that follow. They are plain
arithmetic, so the same lines serve tensors and compiled loops.
"""

from typing import TypeVar

from torch import Tensor

UNIT = 2.0**-24  # rounding unit of float32
LARGEST = 2.0**30  # vectors longer than this, or shorter than
SMALLEST = 2.0**-30  # this, are left to float64: their squares could overflow or vanish in float32
CANCELLED = 16.0  # a cosine is left to float64 where |R| is this many times smaller than its reach
OUTLYING = 8.0  # and a dot product where the reach is this many times a typical row's
STRETCHED = 2.0**20  # and where no encoding is made, all where the scale is larger
SHARED_CANCELLED = 8.0  # `CANCELLED` there
SWAYED = 2.0**-7  # and where products with shared vectors leave |R|² open by this part of it
EXACT_UNIT = 2.0**-46  # rounding of float64 distances, with room: |z − R| knows no better than |z| ε
_ROOM = 1.01  # second-order terms
_SHARED_ROOM = 1.05  # the same where |R|² can be off by more, for d_head up to 2048

Number = TypeVar("Number", float, Tensor)


def gamma(d_head: int) -> float:
    """Relative error of a float32 sum of d_head products, and of the two roundings after it."""
    terms = (d_head + 2) * UNIT
    return terms / (1 - terms)


def cosine_error(gamma: float, norm: Number, reach: Number) -> Number:
    """Bound on the error of |z| cos per |z|; norm is |R|."""
    return _ROOM * (1.5 * gamma + (8 * reach / norm + 6) * UNIT)


def dot_error(gamma: float, norm: Number, reach: Number) -> Number:
    """Bound on the error of z·R per |z|; norm is |R|."""
    return _ROOM * (gamma * norm + 6 * UNIT * reach)


def square_error(gamma: float, norm: Number, reach: Number) -> Number:
    """Bound on the error of ½|R|², and of the exact distance it is compared with; norm is |R|."""
    return _ROOM * norm * (gamma * norm + 6 * UNIT * reach) + EXACT_UNIT * reach * reach


# Where no encoding is made (torch_rows.py), a score is made of products that every place shares. The longest
# of their parts is never longer than the reach, so the reach stands where |R| stood above; and |R|² is
# off by at most (γ + 8u) · reach².


def shared_cosine_error(gamma: float, reach: Number) -> Number:
    """Bound on the error of |z| cos per |z|; reach is that of one |R|, at most SHARED_CANCELLED."""
    return _SHARED_ROOM * ((gamma + 6 * UNIT) * reach + 0.5 * (gamma + 8 * UNIT) * reach * reach + 6 * UNIT)


def shared_dot_error(gamma: float, reach: Number) -> Number:
    """Bound on the error of z·R per |z|."""
    return _SHARED_ROOM * (gamma + 6 * UNIT) * reach


def shared_square_error(gamma: float, reach: Number) -> Number:
    """Bound on the error of ½|R|², and of the exact distance it is compared with."""
    return _SHARED_ROOM * (0.5 * (gamma + 8 * UNIT) + EXACT_UNIT) * reach * reach


# Where a query recurs at many places (numba_kernel.py) it is multiplied with rows once, and what is near it at a place
# is made of that product: a dot product is off as above, and |R|² is made of the encoding, so it is no worse than at
# first.


def recurring_cosine_error(gamma: float, reach: Number) -> Number:
    """Bound on the error of |z| cos per |z|; reach is that of one |R|."""
    return _ROOM * (gamma * (reach + 0.5) + (14 * reach + 6) * UNIT)


# Where no row is held (shared.py), z·row is ⟨W z, E⟩, off by γ |W z||E|: the part per |W z| is the *blur*. It is summed
# in parts (torch_rows.py), so γ is of the numbers of one and of the parts, and not of d. Products with the parts of R
# are off likewise, and |R|² by what they add up to, the *sway*.


def blurred(blur: Number) -> Number:
    """Bound on what a blur does to a score, per |W z|."""
    return _SHARED_ROOM * blur


def swayed(sway: Number) -> Number:
    """Bound on what a sway does to ½|R|², or to |z| cos per |z| if it is per |R|²."""
    return _SHARED_ROOM * 0.5 * sway


# In float64 (narrowed.py) a row's own rounding is what is left, by which |row| and every product with it is off.


def narrow_gamma(terms: int) -> float:
    """Relative error of a float64 sum of products."""
    return gamma(terms) * 2.0**-28


def narrow_dot_error(length: Number, reach: Number) -> Number:
    """Bound on the error of z·R, |z| the length."""
    return 2 * UNIT * length * reach


def narrow_square_error(reach: Number) -> Number:
    """Bound on the error of |R|², and of the exact distance it is compared with."""
    return (6 * UNIT + EXACT_UNIT) * reach * reach


# Where rows are coarse (coarse.py), z·row is off by |z||row − its steps| + |z − its steps||row|: the first part per
# length of z's steps, and the second per length of z's rest. Float32 adds what COARSE_UNIT allows for, generously.

COARSE_UNIT = 2.0**-18  # of the reach, per |z|
COARSE_OPEN = 0.25  # where |R|² is open by more than this part of it, nothing is certain


def coarse_square_error(stretch: Number, coarse_shift: Number, coarse_bias: Number, reach: Number) -> Number:
    """Bound on the error of |R|² for products of a row with the shift and the bias that are off by so much."""
    return 2 * stretch * (stretch * coarse_shift + coarse_bias) + COARSE_UNIT * reach * reach


def coarse_length_error(part: Number) -> Number:
    """Bound on the error of 1 / |R|, relative to it, where |R|² is off by that part of it, at most COARSE_OPEN."""
    return 0.62 * part + COARSE_UNIT


def pair_error(d_head: int, cancelled: Number) -> Number:
    """Bound on the error of |z| cos in float64 per |z|, and of the exact distance; cancelled is reach / |R|."""
    return 2.0**-49 * (d_head + 16) * cancelled * cancelled
