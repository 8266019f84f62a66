"""What the positions act on: the input of the last norm before v, k or q, of every token; the same for most layers.

Most often it is the model's own embeddings, but for one factor and one vector that is added to all of them. Then
nothing is copied: a norm takes no notice of a factor but in its eps, and what is added to all is part of what a
position adds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headscope.cores.pool import spread
from headscope.model.capture.capture import held
from headscope.model.capture.norms import Norm
from headscope.model.feed.feed import Feed
from headscope.model.feed.runs import Part
from headscope.neighbors.shared import Stock

_ROWS = 1024  # tokens at a time: what a core's cache holds in float64
_SAME = 2e-6  # of the largest value: what float32 arithmetic in another order differs by
_SAMPLE = 96


@dataclass(frozen=True)
class Stem:
    """y_t = factor · (E_t + added): the vectors E of the stock, and |C E_t|² float64 [token].

    `is_own`: they are a parameter of the model, and not a copy.
    """

    stock: Stock
    squares: Tensor
    factor: float
    added: Tensor  # float32 [d]
    is_own: bool

    def of(self, ids: Tensor) -> Stem:
        """The same of a few tokens."""
        stock = Stock(self.stock.vectors[ids], self.stock.lengths[ids])
        return Stem(stock, self.squares[ids], self.factor, self.added, False)

    @property
    def nbytes(self) -> int:
        """Bytes held beside the model."""
        vectors = 0 if self.is_own else self.stock.vectors.nbytes
        return vectors + self.stock.lengths.nbytes + self.squares.nbytes


def by_chunk(vectors: Tensor, work: Callable[[Tensor], Tensor]) -> Tensor:
    """What `work` makes of vectors as float32 [token, d], some at a time: [token, …]."""
    return torch.cat(spread(lambda chunk: work(chunk.float()), vectors.split(_ROWS)))


def measured(vectors: Tensor, norm: Norm | None, factor: float, added: Tensor, is_own: bool) -> Stem:
    """The stem of vectors E [token, d]: their lengths, and those that a norm measures."""

    # What the mean takes of a square costs few of the figures that float64 has.
    lengths = by_chunk(vectors, lambda chunk: torch.linalg.vector_norm(chunk.double(), dim=-1))
    squares = lengths.square()
    if norm is not None and norm.centres:
        sums = by_chunk(vectors, lambda chunk: chunk.double().sum(-1))
        squares = (squares - sums.square() / vectors.shape[1]).clamp_min(0)
    return Stem(Stock(vectors, lengths.float() * (1 + 2.0**-22)), squares, factor, added, is_own)


def stem(feed: Feed, layer: int, part: Part, *, looked_up: bool = False) -> Stem:
    """Of the whole vocabulary, at no position; `looked_up`: it is known that an embedding is a row of the weight."""
    norm = feed.norm(layer, part)
    own = _own(feed, layer, part, looked_up)
    if own is not None:
        return measured(own[0], norm, *own[1:], is_own=True)
    rows = feed.inputs(torch.arange(feed.vocab_size, device=feed.device), layer, None, part)  # (V, d)
    if norm is not None and norm.centres:
        rows -= rows.mean(-1, keepdim=True)
    return measured(rows, norm, 1.0, torch.zeros_like(rows[0]), is_own=False)


def _own(feed: Feed, layer: int, part: Part, looked_up: bool) -> tuple[Tensor, float, Tensor] | None:
    """The model's embeddings E, and the factor f and vector c of y = f (E + c); None where y is something else."""
    embeddings = feed.model.get_input_embeddings()
    weight = getattr(embeddings, "weight", None)
    if not isinstance(weight, nn.Parameter) or not weight.is_floating_point() or weight.device != feed.device:
        return None
    weight = weight.detach()
    ids = torch.linspace(0, feed.vocab_size - 1, _SAMPLE, dtype=torch.float64).long().to(weight.device)
    ids = torch.cat([ids[weight[ids].isfinite().all(-1)], feed.plain_tokens.to(ids)])
    y, e = feed.inputs(ids, layer, None, part).double(), weight[ids].double()
    if e.shape != y.shape or len(weight) != feed.vocab_size:
        return None
    apart, moved = e - e.mean(0), y - y.mean(0)
    factor = float((apart * moved).sum() / apart.square().sum())
    if not factor > 0:
        return None
    factor, size = 1.0 if abs(factor - 1) < _SAME else factor, float(y.abs().amax())
    added = (y - factor * e).mean(0)
    if float(added.abs().amax()) < _SAME * size:
        added = torch.zeros_like(added)
    if not float((factor * e + added - y).abs().amax()) <= _SAME * size:
        return None
    if not looked_up and not _looks_up(feed, embeddings, weight):
        return None
    return weight, factor, (added / factor).float()


def _looks_up(feed: Feed, embeddings: nn.Module, weight: Tensor) -> bool:
    """Whether the embedding of every token is its row of the weight, but for one factor."""
    tolerance = 2.0**-6 if weight.dtype in (torch.float16, torch.bfloat16) else 1e-5
    ids = torch.arange(len(weight), device=weight.device)
    with held(embeddings):
        some = embeddings(feed.plain_tokens.to(ids)).double()
        rows = weight[feed.plain_tokens.to(ids)].double()
        factor = float((some * rows).sum() / rows.square().sum())
        for chunk, own in zip(ids.split(_ROWS), weight.split(_ROWS), strict=True):
            found, row = embeddings(chunk), own * factor
            # The same to the bit as a rule, which is seen in a fraction of the time.
            if torch.equal(found, row):
                continue
            if not torch.allclose(found.float(), row.float(), rtol=tolerance, atol=0, equal_nan=True):
                return False
    return True
