"""Every vocabulary token's encoding (v, k or q) without running the vocabulary through the model again and again.

With y_t the input of the last norm that v depends on, a position adds one vector δ to y_t, and from the norm's
output to v the model is affine, v = W n + β. Then (docs/measurement.md, "Closed form")

    R_p[t] = u_t(p) · (A[t] + a(p)) + β,      A[t] = s(y_t) · W (N(y_t) − N(0)),   u_t(p) = 1 / s(y_t + δ_p)
    a(p) = s(δ_p) · W (N(δ_p) − N(0)),        β = v at N(0)

so A is made once, and a position costs one scale per token and one row. s(y) (N(y) − N(0)) is linear in y: it is
measured on the basis vectors like W, and A is one product. N is called, not rewritten: nothing here knows a weight
or a name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn

from headscope.cores.one_thread import together
from headscope.cores.pool import spread
from headscope.model.capture.precision import basis_length
from headscope.model.feed.feed import Feed
from headscope.model.feed.runs import Part
from headscope.model.feed.runs import Place as ModelPlace
from headscope.neighbors import Table
from headscope.neighbors.rounded import rounded
from headscope.neighbors.shared import Numbers, Shared, rows_of
from headscope.question.stopping import stop_point
from headscope.vocabulary.stem import Stem, by_chunk
from headscope.vocabulary.through_w_o import Lens

_ROWS = 8192  # vocabulary rows at a time, so that no second copy of the vocabulary is ever held
_PIECE = 1024  # of those, multiplied on one thread
_PRODUCTS = 2**22  # of vectors and directions, held at a time


@dataclass(frozen=True)
class Motion:
    """What one position does to a stem: it adds δ [d] to every E_t, and makes the scale u_t [token]."""

    offset: Tensor | None  # None: nothing is added
    scale: Tensor | None  # None: 1

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return sum(part.nbytes for part in (self.offset, self.scale) if part is not None)


@dataclass(frozen=True)
class Station:
    """A place on the way through the model: what call `nth` of a module returns, or is given."""

    module: nn.Module
    nth: int
    returns: bool


@dataclass(frozen=True)
class ClosedForm:
    """One layer's W and β for v, k or q, and what W acts on: the stem, or without positions N(y_t) − N(0)."""

    feed: Feed
    layer: int
    part: Part
    stem: Stem | None
    matrix: Tensor  # [head, d, d_head]
    bias: Tensor  # β [head, d_head]
    weight: Tensor  # W itself, on N(y) − N(0): [d, head * d_head]
    zero: Tensor  # N(0) [d]

    @property
    def nbytes(self) -> int:
        """Bytes held; the stem is kept on its own."""
        apart = 0 if self.weight is self.matrix else self.weight.nbytes
        return self.matrix.nbytes + self.bias.nbytes + apart

    @cached_property
    def station(self) -> Station:
        """Where N(y) is to be seen in a text: where the block's own norm returns, or else where the block begins."""
        norm, block = self.feed.norm(self.layer, self.part), self.feed.anatomy.blocks[self.layer]
        if norm is None or all(module is not norm.module for module in block.module.modules()):
            return Station(block.module, block.nth, False)
        return Station(norm.module, norm.nth, True)

    def through(self, lens: Lens) -> ClosedForm:
        """The same without β, seen through W_O."""
        seen = lens(self.matrix.transpose(0, 1)).float().transpose(0, 1).contiguous()  # (head, d, width)
        return replace(self, matrix=seen, bias=seen.new_zeros(len(seen), seen.shape[2]))

    def pack(self) -> Table:
        """A and β of the whole vocabulary; without a stem A is R − β itself."""
        if self.stem is not None:
            return Table.pack(rows_of(self.stem.stock.vectors, [self.matrix]), self.bias)
        tokens, (heads, width) = self.feed.vocab_size, self.bias.shape
        table = torch.empty(heads, tokens, width, device=self.matrix.device)
        for start in range(0, tokens, _ROWS):
            stop_point()
            before = self._before(slice(start, start + _ROWS))

            def write(first: int, start: int = start, before: Tensor = before) -> None:
                some = before[first : first + _PIECE]
                table[:, start + first : start + first + len(some)] = some @ self.matrix

            spread(write, range(0, len(before), _PIECE))
        return Table.pack(table, self.bias)

    def numbers(self) -> Numbers:
        """What a search needs of A where its rows are not held."""
        assert self.stem is not None, "without one no vectors are shared"
        return Numbers.of(self.stem.stock, self.matrix, self.bias)

    def shared(self, numbers: Numbers) -> Shared:
        """A and β of the whole vocabulary, of which no row is held."""
        assert self.stem is not None, "without one no vectors are shared"
        return Shared.of(self.stem.stock, self.matrix, self.bias, numbers)

    def of(self, y: Tensor) -> Tensor:
        """What W makes of one vector y [d]: [head, d_head]."""
        return torch.einsum("d,hdw->hw", y.double(), self.matrix.double()).float()

    def encode(self, ids: Tensor, offset: Tensor | None = None) -> Tensor:
        """R float64 [token, head, d_head] of `ids` [token], offset [d] away (see `offset`); None: at no position."""
        before = self._before(ids) if self.stem is None else self.stem.stock.vectors[ids].float()
        rows = rounded(before, self.matrix).double().transpose(0, 1)  # (token, head, d_head)
        if self.stem is not None:
            few = self.stem.of(ids)
            at = few.added if offset is None else offset
            (moved,) = motions(self.feed, self.layer, self.part, few, [at])
            if moved.offset is not None:
                rows = rows + self.of(moved.offset)
            if moved.scale is not None:
                rows = rows * moved.scale.double()[:, None, None]
        encoded: Tensor = rows + self.bias
        return encoded

    def of_norm(self, n: Tensor) -> Tensor:
        """v, k or q [row, head, d_head] of what the norm (without one: the block's input) is in a text, n [row, d]."""
        rows = (n - self.zero) @ self.weight
        found: Tensor = rows.unflatten(1, self.bias.shape) + self.bias
        return found

    def _before(self, ids: Tensor | slice) -> Tensor:
        """N(y_t) − N(0) [token, d], which W acts on without a stem."""
        y = self.feed.inputs(_vocabulary(self.feed)[ids], self.layer, None, self.part)
        return _deviation(self.feed, self.layer, self.part, y)


def motions(feed: Feed, layer: int, part: Part, stem: Stem, offsets: Sequence[Tensor]) -> list[Motion]:
    """What positions with these offsets [d] do, for all that shares the stem."""
    scales = inverse_spreads(feed, layer, part, stem, offsets)
    return [Motion(offset if offset.any() else None, scale) for offset, scale in zip(offsets, scales, strict=True)]


def centre(stem: Stem, motion: Motion) -> Tensor:
    """The mean of u_t (E_t + offset) over the vocabulary, [d]."""
    known = stem.squares.isfinite()
    scale = torch.ones_like(stem.squares).float() if motion.scale is None else motion.scale
    total = torch.zeros(stem.stock.vectors.shape[1], dtype=torch.float64, device=scale.device)
    for start in range(0, len(scale), _ROWS):
        chunk, kept = slice(start, start + _ROWS), known[start : start + _ROWS]
        total += scale[chunk][kept] @ stem.stock.vectors[chunk][kept].float()
    if motion.offset is not None:
        total += scale[known].double().sum() * motion.offset
    return (total / int(known.sum())).float()


def same_stem(feed: Feed, first: tuple[int, Part], second: tuple[int, Part]) -> bool:
    """Whether two norms get the same y and measure its length alike."""
    a, b = feed.norm(*first), feed.norm(*second)
    if (a is None) != (b is None) or (a and b and (a.centres, a.eps) != (b.centres, b.eps)):
        return False
    y, other = (feed.inputs(feed.plain_tokens, layer, None, part) for layer, part in (first, second))
    return torch.equal(y, other)


@together()
def fit(feed: Feed, layer: int, part: Part, stem: Stem | None) -> ClosedForm:
    """Measure W and β; without positions (`stem` None) W acts on the norm's output, where the scale is 1."""
    weight, constant = _affine(feed, layer, part)
    basis = torch.eye(weight.shape[0], device=weight.device)
    zero = feed.normalised(torch.zeros_like(basis[:1]), layer, part)
    bias = constant + (zero[0] @ weight).reshape(constant.shape)  # not measured: it would be rounded as N(0) is
    matrix = weight.unflatten(1, bias.shape).transpose(0, 1).contiguous()  # (head, d, width)
    if stem is not None and feed.norm(layer, part) is not None:
        # s(y) (N(y) − N(0)) is linear in y: the whole vocabulary needs one product.
        matrix = rounded(unnormalised(feed, layer, part, basis), matrix)
    return ClosedForm(feed, layer, part, stem, matrix, bias, weight, zero[0])


def fit_arrivals(feed: Feed, stem: Stem) -> ClosedForm:
    """The norm before layer 0's v by itself, in the place of v: one head of d numbers."""
    basis = torch.eye(stem.stock.vectors.shape[1], device=stem.squares.device)
    bias = feed.normalised(torch.zeros_like(basis[:1]), 0)
    return ClosedForm(feed, 0, "v", stem, unnormalised(feed, 0, "v", basis)[None], bias, basis, bias[0])


def _vocabulary(feed: Feed) -> Tensor:
    return torch.arange(feed.vocab_size, device=feed.device)


def offsets(feed: Feed, layer: int, part: Part, stem: Stem, positions: Sequence[ModelPlace]) -> list[Tensor]:
    """What is added to every E_t of a stem at each of several positions [d]: y_t = factor · (E_t + offset)."""
    ids, placed = feed.plain_tokens[:4], [position for position in positions if position is not None]
    bare, *there = feed.inputs_at([(ids, place) for place in (None, *placed)], layer, part)
    moved = iter(there)

    def one(position: ModelPlace) -> Tensor:
        if position is None:
            return stem.added
        return (stem.added + (next(moved).double() - bare.double()).mean(0) / stem.factor).float()

    return [one(position) for position in positions]


def _affine(feed: Feed, layer: int, part: Part) -> tuple[Tensor, Tensor]:
    """W [d, head * d_head], what v, k or q gains from each coordinate of the norm's output, and b [head, d_head]."""
    width = feed.inputs(_vocabulary(feed)[:1], layer, None, part).shape[-1]
    length = basis_length(feed.model.dtype)
    basis = torch.eye(width, device=feed.device) * length
    constant = feed.vectors_of(torch.zeros_like(basis[:1]), layer, part)[0]
    return (feed.vectors_of(basis, layer, part) - constant).flatten(1) / length, constant


def _deviation(feed: Feed, layer: int, part: Part, y: Tensor) -> Tensor:
    """N(y) − N(0) [row, d]: the norm's output without its bias."""
    return feed.normalised(y, layer, part) - feed.normalised(torch.zeros_like(y[:1]), layer, part)


def unnormalised(feed: Feed, layer: int, part: Part, y: Tensor) -> Tensor:
    """s(y) · (N(y) − N(0)) = g ⊙ C y, for y [row, d]: linear in y."""
    norm = feed.norm(layer, part)
    return y if norm is None else norm.spread(y) * _deviation(feed, layer, part, y)


def inverse_spreads(feed: Feed, layer: int, part: Part, stem: Stem, offsets: Sequence[Tensor]) -> list[Tensor | None]:
    """u_t = factor / sqrt(|C y_t|² / d + eps) [token] at each of the offsets [d], y_t as `offsets` says; None: 1.

    The vectors are gone through once for all of them, and what is found of one does not hang on the others.
    """
    norm = feed.norm(layer, part)
    if norm is None:
        one = None if stem.factor == 1 else torch.full_like(stem.squares, stem.factor).float()
        return [one] * len(offsets)
    moved = [norm.centred(offset) if offset.any() else None for offset in offsets]
    along = iter(_along(stem.stock.vectors, [one for one in moved if one is not None]))

    def scale(moved: Tensor | None) -> Tensor:
        squares = stem.squares
        if moved is not None:
            squares = next(along).double().mul_(2).add_(squares).add_(moved.double().square().sum())
        mean = squares.clamp_min(0).div_(stem.stock.vectors.shape[1])
        return mean.add_(norm.eps / stem.factor**2).rsqrt_().float()

    return [scale(one) for one in moved]


def _along(vectors: Tensor, directions: Sequence[Tensor]) -> Iterator[Tensor]:
    """The products of all vectors [token, d] with each direction [d], float32 [token]."""
    size = max(1, _PRODUCTS // len(vectors))
    for start in range(0, len(directions), size):
        some = directions[start : start + size]

        # One direction after another while the vectors are at hand: so each product is what it is by itself.
        def products(chunk: Tensor, some: Sequence[Tensor] = some) -> Tensor:
            return torch.stack([chunk @ direction for direction in some], 1)

        yield from by_chunk(vectors, products).T.contiguous()
