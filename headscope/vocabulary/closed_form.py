"""Every vocabulary token's value encoding without running the vocabulary through the model again and again.

With y_t the input of the last norm that v depends on, a position adds one vector δ to y_t, and from the norm's
output to v the model is affine, v = W n + β. Then (docs/measurement.md, "Closed form")

    R_p[t] = u_t(p) · (A[t] + a(p)) + β,      A[t] = s(y_t) · W (N(y_t) − N(0)),   u_t(p) = 1 / s(y_t + δ_p)
    a(p) = s(δ_p) · W (N(δ_p) − N(0)),        β = v at N(0)

so A is made once, and a position costs one scale per token and one row. s(y) (N(y) − N(0)) is linear in y: it is
measured on the basis vectors like W, and A is one product. N is called, not rewritten: nothing here knows a weight
or a name.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.model.feed import Feed
from headscope.model.feed import Place as ModelPlace
from headscope.neighbors import Table

_ROWS = 8192  # vocabulary rows at a time, so that no second copy of the vocabulary is ever held
# A power of two: (c·W + β) − β rounds W no more than float32 does anyway, even where |β| ≫ |W|.
_BASIS = 2.0**10


@dataclass(frozen=True)
class Stem:
    """What the positions act on: C y_t [token, d] and |C y_t|² [token]; the same for all layers of most models."""

    rows: Tensor
    squares: Tensor

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.rows.nbytes + self.squares.nbytes


@dataclass(frozen=True)
class Motion:
    """What one position does to a stem: it adds δ [d] to every y_t, and makes the scale u_t [token]."""

    offset: Tensor
    scale: Tensor

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.offset.nbytes + self.scale.nbytes


@dataclass(frozen=True)
class ClosedForm:
    """One layer's A, β and W, and how a position enters them."""

    feed: Feed
    layer: int
    table: Table  # A [kv_head, token, d_head] and β [kv_head, d_head]
    matrix: Tensor  # what A gains from each coordinate of y: [d, kv_head * d_head]

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.table.nbytes + self.matrix.nbytes

    def shift(self, motion: Motion) -> Tensor:
        """a [kv_head, d_head]: what a position adds to every row of A."""
        return (motion.offset @ self.matrix).reshape(self.table.bias.shape)


def motion(feed: Feed, layer: int, stem: Stem, position: ModelPlace) -> Motion:
    """δ and u_t of one position, for all layers that share the stem of `layer`."""
    added = offset(feed, layer, position)
    return Motion(added, _inverse_spread(feed, layer, stem, added))


def offset(feed: Feed, layer: int, position: ModelPlace) -> Tensor:
    """δ [d]: what the position adds to y, the same for every token."""
    ids = feed.plain_tokens[:4]
    bare = feed.inputs(ids, layer, None)
    if position is None:
        return torch.zeros_like(bare[0])
    return (feed.inputs(ids, layer, position).double() - bare.double()).mean(0).float()


def stem(feed: Feed, layer: int) -> Stem:
    """C y_t of the whole vocabulary, at no position."""
    norm = feed.norm(layer)
    rows = feed.inputs(_vocabulary(feed), layer, None)  # (V, d)
    if norm is not None and norm.centres:
        rows -= rows.mean(-1, keepdim=True)
    squares = torch.cat([chunk.double().square().sum(-1) for chunk in rows.split(_ROWS)])
    return Stem(rows, squares)


def same_stem(feed: Feed, first: int, second: int) -> bool:
    """Whether two layers' norms get the same y and measure its length alike."""
    a, b = feed.norm(first), feed.norm(second)
    if (a is None) != (b is None) or (a and b and (a.centres, a.eps) != (b.centres, b.eps)):
        return False
    y, other = (feed.inputs(feed.plain_tokens, layer, None) for layer in (first, second))
    return torch.equal(y, other)


def build(feed: Feed, layer: int, positioned: Stem | None) -> ClosedForm:
    """Make A, β and W of `layer`; without positions (`positioned` None) A holds R_t − β itself, at scale 1."""
    block = feed.anatomy.blocks[layer]
    kv_heads, d_head = block.kv_heads, block.d_head
    matrix = _matrix(feed, layer)
    basis = torch.eye(matrix.shape[0], device=matrix.device)
    bias = feed.values_of(feed.normalised(torch.zeros_like(basis[:1]), layer), layer)[0]  # (kv_head, d_head)
    if positioned is not None:
        # s(y) (N(y) − N(0)) is linear in y: the whole vocabulary needs one product.
        matrix = _unnormalised(feed, layer, basis) @ matrix
    table = torch.empty(kv_heads, feed.vocab_size, d_head, device=matrix.device)
    for start in range(0, feed.vocab_size, _ROWS):
        if positioned is None:
            ids = _vocabulary(feed)[start : start + _ROWS]
            rows = _deviation(feed, layer, feed.inputs(ids, layer, None))
        else:
            rows = positioned.rows[start : start + _ROWS]
        table[:, start : start + _ROWS] = (rows @ matrix).reshape(len(rows), kv_heads, d_head).transpose(0, 1)
    return ClosedForm(feed, layer, Table.pack(table, bias), matrix)


def _vocabulary(feed: Feed) -> Tensor:
    return torch.arange(feed.vocab_size, device=feed.device)


def _matrix(feed: Feed, layer: int) -> Tensor:
    """W [d, kv_head * d_head]: what v gains from each coordinate of the norm's output."""
    width = feed.inputs(_vocabulary(feed)[:1], layer, None).shape[-1]
    basis = torch.eye(width, device=feed.device) * _BASIS
    constant = feed.values_of(torch.zeros_like(basis[:1]), layer).flatten()
    return (feed.values_of(basis, layer).flatten(1) - constant) / _BASIS


def _deviation(feed: Feed, layer: int, y: Tensor) -> Tensor:
    """N(y) − N(0) [row, d]: the norm's output without its bias."""
    return feed.normalised(y, layer) - feed.normalised(torch.zeros_like(y[:1]), layer)


def _unnormalised(feed: Feed, layer: int, y: Tensor) -> Tensor:
    """s(y) · (N(y) − N(0)) = g ⊙ C y, for y [row, d]: linear in y."""
    norm = feed.norm(layer)
    if norm is None:
        return y
    spread = (norm.centred(y).double().square().mean(-1, keepdim=True) + norm.eps).sqrt().float()
    return spread * _deviation(feed, layer, y)


def _inverse_spread(feed: Feed, layer: int, stem: Stem, shift: Tensor) -> Tensor:
    """u_t = 1 / sqrt(|C(y_t + δ)|² / d + eps) [token]."""
    norm = feed.norm(layer)
    if norm is None:
        return torch.ones_like(stem.rows[:, 0])
    moved = norm.centred(shift)
    squares = (stem.rows @ moved).double().mul_(2).add_(stem.squares).add_(moved.double().square().sum())
    return squares.clamp_min_(0).div_(len(moved)).add_(norm.eps).rsqrt_().float()
