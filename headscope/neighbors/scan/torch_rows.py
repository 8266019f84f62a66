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
from headscope.neighbors.shared import Shared
from headscope.neighbors.table import Source, Table
from headscope.question.choices import Metric

FAR = 2.0**60  # a longer row, shift or bias could make a product overflow
_SUMMED = 192  # products with shared vectors that are added up at a time: a sum of fewer leaves less open


def narrow(drawn: Tensor) -> tuple[Tensor, Tensor]:
    """Drawn vectors float64 [head, vector, d] as `multiply` takes them, and their lengths float32 [head, vector, 1].

    Where they are too long, they are 0, and their length infinite.
    """
    lengths = torch.linalg.vector_norm(drawn, dim=-1, keepdim=True)
    far = ~(lengths <= FAR)
    return drawn.masked_fill(far, 0.0).float(), lengths.masked_fill(far, torch.inf).float() * (1 + bounds.UNIT)


def multiply(source: Source, heads: slice, tokens: slice, vectors: Tensor, out: Tensor, spare: Tensor) -> None:
    """Products of vectors float32 [head, vector, …] with the rows of some heads' tokens, into `out`.

    Where vectors are shared, they are drawn ones: see `narrow`.

    `out` float32 [head, vector, token] is contiguous, and may be longer: what stands there then means nothing. Nor do
    products with rows that are too long, or not finite. `spare` is as large, for what is not added up yet.
    """
    if isinstance(source, Shared):  # all heads multiply the same
        stretch, lengths = source.stock.vectors[tokens].float()[None], source.stock.lengths[None, tokens]
        vectors, out, spare = (x.flatten(0, 1)[None] for x in (vectors, out, spare))
        summed = _SUMMED
    else:
        assert isinstance(source, Table)
        stretch, lengths = source.rows[heads, tokens], source.norms[heads, tokens]
        summed = stretch.shape[2]
    far, past = ~(lengths <= FAR), out.shape[2] - stretch.shape[1]
    if past or far.any():
        stretch = pad(stretch.masked_fill(far[..., None], 0.0), (0, 0, 0, past))
    first, *others = zip(vectors.split(summed, 2), stretch.split(summed, 2), strict=True)
    torch.bmm(first[0], first[1].mT, out=out)
    for some, of_them in others:
        out += torch.bmm(some, of_them.mT, out=spare)


def roundings(width: int) -> int:
    """What a product of so many numbers with shared vectors goes through: a sum of some, and that of the sums.

    >>> roundings(64), roundings(768)
    (65, 196)
    """
    return min(width, _SUMMED) + -(-width // _SUMMED)


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
    along_bias: Tensor | None  # float32 [head, token], row·bias where it is known beforehand
    vectors: Tensor  # float32 [head, vector, …], what every tile's rows are multiplied with: shifts, and then biases
    pulls: tuple[Tensor, Tensor] | None  # float32 [head, place or 1, 1]: lengths of these where they are drawn

    @classmethod
    def of_batch(cls, batch: Batch) -> "Additions":
        scale = borne = None
        if batch.scale is not None:
            borne = batch.scale.abs() <= bounds.STRETCHED
            scale = torch.where(borne, batch.scale, 1.0)
        extents = [batch.extent(place) for place in range(len(batch.spans))]
        shift_norm = torch.stack([extent.shift for extent in extents], 1)[..., None]
        bias_norm = torch.stack([extent.bias for extent in extents], 1)[..., None]
        bias = batch.bias.transpose(0, 1).masked_fill(bias_norm > FAR, 0.0)
        if (bias == bias[:, :1]).all():  # then one product with the rows is enough
            bias = bias[:, :1]
        shift = None if batch.shift is None else batch.shift.transpose(0, 1).masked_fill(shift_norm > FAR, 0.0)
        one, other = torch.zeros_like(bias).double() if shift is None else shift.double(), bias.double()
        shift_square, mixed, bias_square = (x.sum(2, True).float() for x in (one * one, one * other, other * other))
        squares, cap = (shift_square, mixed, bias_square), torch.stack([extent.cap for extent in extents], 1)
        along_bias = _along_bias(batch, bias)
        if isinstance(batch.source, Shared):
            vectors, pulls = _drawn(batch, shift is not None, along_bias is None)
        else:
            vectors, pulls = bias if shift is None else torch.cat([shift, bias], 1), None
        return cls(
            scale, borne, shift, bias, squares, (shift_norm, bias_norm), cap[..., None], along_bias, vectors, pulls
        )

    def of(self, heads: slice) -> "Additions":
        """What they add to some heads."""
        first, second, third = (square[heads] for square in self.squares)
        far = self.far[0][heads], self.far[1][heads]
        shift, along_bias = (None if part is None else part[heads] for part in (self.shift, self.along_bias))
        pulls = None if self.pulls is None else (self.pulls[0][heads], self.pulls[1][heads])
        return Additions(
            self.scale, self.borne, shift, self.bias[heads], (first, second, third), far, self.cap[heads],
            along_bias, self.vectors[heads], pulls,
        )  # fmt: skip

    def of_places(self) -> Tensor:
        """|shift|², shift·bias, |bias|², |shift|, |bias|, and how long both are drawn: float32 [head, place, 7]."""
        pulls = self.pulls or (torch.zeros_like(self.far[0]), torch.zeros_like(self.far[1]))
        parts = [part.expand_as(self.far[0]) for part in (*self.squares, *self.far, *pulls)]
        return torch.cat(parts, 2)

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
    borne: Tensor  # bool [place, token], fit, and float32 can bear the scale, and what is multiplied
    blur: Tensor | None  # float32 [1 or place, token], what a product is off by per length of what is drawn; None: 0
    sway: Tensor | None  # float32 [head, place, token], what |R|² is off by for the same reason; None: 0

    @classmethod
    def of(cls, adds: Additions, source: Source, heads: slice, tokens: slice, along: Tensor, fit: Tensor) -> "Tile":
        """Of some heads of a source, and products with `adds.vectors`, which may go on past the last token."""
        norms = source.norms[heads, tokens]
        past = (0, along.shape[2] - len(fit))
        along = along[:, :, : len(fit)]
        shifts = 0 if adds.shift is None else adds.shift.shape[1]
        biased = along[:, shifts:] if adds.along_bias is None else adds.along_bias[:, None, tokens]
        square, reach, mixed = norms[:, None].square(), norms[:, None] + adds.far[0], biased + adds.squares[1]
        if shifts:
            square = square + adds.squares[0] + 2 * along[:, :shifts]  # |row + shift|²
        scale, borne = None, fit.expand(reach.shape[1], -1)
        if adds.scale is not None and adds.borne is not None:
            scale, borne = adds.scale[:, tokens], borne & adds.borne[:, tokens]
            square, mixed, reach = square * scale.square(), mixed * scale, reach * scale.abs()
        square = (square + adds.squares[2] + 2 * mixed).expand_as(reach)  # mixed is scale · (row + shift)·bias
        reach = reach + adds.far[1] + bounds.SMALLEST
        blur = sway = None
        if isinstance(source, Shared):
            lengths = source.stock.lengths[tokens]
            borne = borne & (lengths <= FAR)  # others were not multiplied
            stretch = torch.ones_like(lengths[None]) if scale is None else scale.abs()
            blur = lengths * bounds.gamma(roundings(source.stock.vectors.shape[1]) + 2) * stretch
            if adds.pulls is not None:
                sway = pad(2 * blur * (stretch * adds.pulls[0] + adds.pulls[1]), past)
            blur = pad(blur, past)
        return cls(
            scale if scale is None else pad(scale, past), pad(square, past), pad(reach, past), pad(fit, past),
            pad(borne, past), blur, sway,
        )  # fmt: skip


def _drawn(batch: Batch, shifted: bool, biased: bool) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
    """A batch's shifts and biases as they are multiplied, those that there are, and the lengths of both."""
    if not shifted and not biased:
        return batch.drawn.shift[:, :0].float(), None
    (shift, of_shift), (bias, of_bias) = narrow(batch.drawn.shift), narrow(batch.drawn.bias)
    if (batch.bias == batch.bias[:1]).all():
        bias, of_bias = bias[:, :1], of_bias[:, :1]
    parts = [part for part, is_there in ((shift, shifted), (bias, biased)) if is_there]
    return torch.cat([shift[:, :0], *parts], 1), (of_shift, of_bias if biased else torch.zeros_like(of_bias))


def _along_bias(batch: Batch, bias: Tensor) -> Tensor | None:
    """row·bias float32 [head, token], where a source knows it: for its own bias [head, 1, width]."""
    source = batch.source
    if not isinstance(source, Shared) or not torch.equal(bias, source.bias[:, None]):
        return None
    return source.norms.new_zeros(()).expand(source.norms.shape) if source.along is None else source.along


@dataclass(frozen=True)
class Weights:
    """What makes products one metric's scores: (z·row + z·shift) · weight + z·bias · unit + offset."""

    weight: Tensor | None  # float32 [head or 1, place, token]; None: 1
    unit: Tensor | None  # float32 [head, place, token], where there is a weight; None: 1
    offset: Tensor | None  # float32 [head, place, token], −inf where not usable; None: 0
    usable: Tensor  # bool [head, place, token], fit, and certain enough
    error: Tensor  # float32 [head, place], largest error of a usable score, per |z|
    fixed_error: Tensor  # float32 [head, place], and whatever z is
    blur: Tensor | None  # float32 [head, place], and per length of what is drawn of z; None: 0

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
    # Where vectors are drawn, their products are off by `blur`, and a row is one rounding of what they are of.
    gamma = bounds.gamma(d_head + 1) if tile.blur is None else bounds.gamma(2)
    norm = tile.square.clamp(min=0).sqrt()
    if metric == "cosine":
        certain = (norm >= bounds.SMALLEST) & (tile.reach <= bounds.SHARED_CANCELLED * norm)
        certain &= tile.reach <= bounds.LARGEST
        if tile.sway is not None:
            certain &= tile.sway <= bounds.SWAYED * norm.square()
    else:
        certain = tile.reach <= cap
        if tile.sway is not None:
            certain &= tile.sway <= bounds.SWAYED * cap.square()
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
        if tile.sway is not None:
            error = error + bounds.swayed(largest(tile.sway * unit * unit))
        weight = unit if weight is None else weight * unit
    else:
        farthest = largest(tile.reach)
        error = bounds.shared_dot_error(gamma, farthest)
        if metric == "euclidean":
            offset = -0.5 * tile.square
            fixed = bounds.shared_square_error(gamma, farthest)
            if tile.sway is not None:
                fixed = fixed + bounds.swayed(largest(tile.sway))
    if not everything:
        offset = (torch.zeros_like(norm) if offset is None else offset).masked_fill(~usable, -torch.inf)
    blur = None
    if tile.blur is not None:
        blur = bounds.blurred(largest(tile.blur * (torch.ones_like(norm) if unit is None else unit)))
    return Weights(weight, unit, offset, usable, error, fixed, blur)
