"""The vocabulary's rows, tile by tile, and what makes their product with a query a score at every place.

No encoding is made. With R = scale · (row + shift) + bias, z·R is scale · (z·row + z·shift) + z·bias, and |R|²
follows from |row|, row·shift and row·bias: all places share one product with the rows.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from headscope.neighbors import bounds
from headscope.neighbors.batch import Batch
from headscope.neighbors.table import Table
from headscope.question.choices import Metric

_FAR = 2.0**60  # a longer row, shift or bias could make a product overflow


def multiply(table: Table, heads: slice, tokens: slice, vectors: Tensor, out: Tensor) -> None:
    """Products of vectors float32 [head, vector, d_head] with the rows of some heads' tokens, into `out`.

    `out` float32 [head, vector, token] is contiguous, and may be longer: what stands there then means nothing. Nor do
    products with rows that are too long, or not finite.
    """
    rows = table.rows[heads, tokens]
    far, past = ~(table.norms[heads, tokens] <= _FAR), out.shape[2] - rows.shape[1]
    if past or far.any():
        rows = pad(rows.masked_fill(far[..., None], 0.0), (0, 0, 0, past))
    torch.bmm(vectors, rows.transpose(1, 2), out=out)


@dataclass(frozen=True)
class Additions:
    """What the places of a batch add to the rows of every tile."""

    scale: Tensor | None  # float32 [place, token], 1 where float32 cannot bear the place's own; None: 1 everywhere
    borne: Tensor | None  # bool [place, token], it is the place's own; None: everywhere
    shift: Tensor | None  # float32 [head, place, d_head], 0 where it is far: nothing is certain there; None: 0
    bias: Tensor  # float32 [head, place or 1, d_head], likewise
    squares: tuple[Tensor, Tensor, Tensor]  # float32 [head, place or 1, 1]: |shift|², shift·bias, |bias|²
    far: tuple[Tensor, Tensor]  # float32 [head, place, 1]: |shift| and |bias|
    cap: Tensor  # float32 [head, place, 1], the reach beyond which a row is an outlier

    @classmethod
    def of_batch(cls, batch: Batch) -> "Additions":
        scale = borne = None
        if batch.scale is not None:
            borne = batch.scale.abs() <= bounds.STRETCHED
            scale = torch.where(borne, batch.scale, 1.0)
        extents = [batch.extent(place) for place in range(len(batch.spans))]
        shift_norm = torch.stack([extent.shift for extent in extents], 1)[..., None]
        bias_norm = torch.stack([extent.bias for extent in extents], 1)[..., None]
        bias = batch.bias.transpose(0, 1).masked_fill(bias_norm > _FAR, 0.0)
        if (bias == bias[:, :1]).all():  # then one product with the rows is enough
            bias = bias[:, :1]
        shift = None if batch.shift is None else batch.shift.transpose(0, 1).masked_fill(shift_norm > _FAR, 0.0)
        one, other = torch.zeros_like(bias).double() if shift is None else shift.double(), bias.double()
        shift_square, mixed, bias_square = (x.sum(2, True).float() for x in (one * one, one * other, other * other))
        squares, cap = (shift_square, mixed, bias_square), torch.stack([extent.cap for extent in extents], 1)
        return cls(scale, borne, shift, bias, squares, (shift_norm, bias_norm), cap[..., None])

    def of(self, heads: slice) -> "Additions":
        """What they add to some heads."""
        first, second, third = (square[heads] for square in self.squares)
        far = self.far[0][heads], self.far[1][heads]
        shift = None if self.shift is None else self.shift[heads]
        return Additions(self.scale, self.borne, shift, self.bias[heads], (first, second, third), far, self.cap[heads])

    @property
    def vectors(self) -> Tensor:
        """What every tile's rows are multiplied with for them: float32 [head, shift or bias, d_head]."""
        return self.bias if self.shift is None else torch.cat([self.shift, self.bias], 1)

    def at(self, place_of: Tensor) -> tuple[Tensor | None, Tensor]:
        """Shift and bias float32 [head, lane, d_head] at places int64 [lane]; one bias is everybody's."""
        shift = None if self.shift is None else self.shift[:, place_of]
        return shift, self.bias[:, place_of.clamp(max=self.bias.shape[1] - 1)]


@dataclass(frozen=True)
class Tile:
    """A stretch of the vocabulary at every place; past its end it holds tokens that are not fit."""

    scale: Tensor | None  # float32 [place, token]
    square: Tensor  # float32 [head, place, token], |R|²
    reach: Tensor  # float32 [head, place, token], see `bounds`
    fit: Tensor  # bool [token], may be a neighbour
    borne: Tensor  # bool [place, token], fit, and float32 can bear the scale

    @classmethod
    def of(cls, adds: Additions, tokens: slice, norms: Tensor, along: Tensor, fit: Tensor) -> "Tile":
        """Of the rows' lengths [head, token] and products with `adds.vectors`, which may go on past the last token."""
        past = (0, along.shape[2] - len(fit))
        along = along[:, :, : len(fit)]
        shifts = 0 if adds.shift is None else adds.shift.shape[1]
        square, reach, mixed = (
            norms[:, None].square(),
            norms[:, None] + adds.far[0],
            along[:, shifts:] + adds.squares[1],
        )
        if shifts:
            square = square + adds.squares[0] + 2 * along[:, :shifts]  # |row + shift|²
        scale, borne = None, fit.expand(reach.shape[1], -1)
        if adds.scale is not None and adds.borne is not None:
            scale, borne = adds.scale[:, tokens], borne & adds.borne[:, tokens]
            square, mixed, reach = square * scale.square(), mixed * scale, reach * scale.abs()
        square = square + adds.squares[2] + 2 * mixed
        reach = reach + adds.far[1] + bounds.SMALLEST
        return cls(
            scale if scale is None else pad(scale, past), pad(square, past), pad(reach, past), pad(fit, past),
            pad(borne, past),
        )  # fmt: skip


@dataclass(frozen=True)
class Weights:
    """What makes products one metric's scores: (z·row + z·shift) · weight + z·bias · unit + offset."""

    weight: Tensor | None  # float32 [head or 1, place, token]; None: 1
    unit: Tensor | None  # float32 [head, place, token], where there is a weight; None: 1
    offset: Tensor | None  # float32 [head, place, token], −inf where not usable; None: 0
    usable: Tensor  # bool [head, place, token], fit, and certain enough
    error: Tensor  # float32 [head, place], largest error of a usable score, per |z|
    fixed_error: Tensor  # float32 [head, place], and whatever z is

    def scores(self, place: int, product: Tensor, along_bias: Tensor, out: Tensor) -> None:
        """Scores of one place's product float32 [head, lane, token] and z·bias [head, lane, 1], written to `out`."""
        if self.weight is None:
            torch.add(product, along_bias, out=out)
        elif self.unit is None:
            torch.addcmul(along_bias, product, self.weight[:, place, None], out=out)
        else:
            torch.mul(product, self.weight[:, place, None], out=out)
            out.addcmul_(along_bias, self.unit[:, place, None])
        if self.offset is not None:
            out += self.offset[:, place, None]


def weigh(tile: Tile, metric: Metric, cap: Tensor, d_head: int) -> Weights:
    """Weights of a tile's tokens under one metric; cap float32 [head, place, 1] as in `Additions`."""
    gamma = bounds.gamma(d_head + 1)
    norm = tile.square.clamp(min=0).sqrt()
    if metric == "cosine":
        certain = (norm >= bounds.SMALLEST) & (tile.reach <= bounds.SHARED_CANCELLED * norm)
        certain &= tile.reach <= bounds.LARGEST
    else:
        certain = tile.reach <= cap
    usable = tile.borne & certain
    everything = bool(usable.all())

    def largest(values: Tensor) -> Tensor:
        return (values if everything else torch.where(usable, values, 0.0)).amax(2)  # [head, place]

    # Every bound grows with each of its arguments, so a tile's largest ones bound all of its tokens.
    weight = None if tile.scale is None else tile.scale[None]
    unit = offset = None
    fixed = torch.zeros_like(norm[..., 0])
    if metric == "cosine":
        unit = norm.reciprocal() if everything else torch.where(usable, 1 / norm, 0.0)
        error = bounds.shared_cosine_error(gamma, largest(tile.reach * unit))
        weight = unit if weight is None else weight * unit
    else:
        farthest = largest(tile.reach)
        error = bounds.shared_dot_error(gamma, farthest)
        if metric == "euclidean":
            offset = -0.5 * tile.square
            fixed = bounds.shared_square_error(gamma, farthest)
    if not everything:
        offset = (torch.zeros_like(norm) if offset is None else offset).masked_fill(~usable, -torch.inf)
    return Weights(weight, unit, offset, usable, error, fixed)
