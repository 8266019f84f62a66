"""One distance worked out from the start: q·k, softmax, Σ α v, and the distance; every number is the reading's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from headscope.model.tokens import Token, TokenName
from headscope.reading.finding import Finder, Question
from headscope.show import worked as views

if TYPE_CHECKING:
    from headscope.reading.reading import Reading
    from headscope.reading.results import Neighbors


@dataclass(frozen=True, repr=False)
class Worked:
    """How one head comes from its query and keys to its distance from one vocabulary token; float64.

    `products` q_i·k_j, `softmax` of them times `scale` over the sources that are `seen`, `weights` the model's own:
    all [source]. `values` [source, d_head], `z` [d_head]. `vector` and `row` [width]: what the distance is between.
    """

    question: Question
    token: Token  # the selected one
    head: int
    neighbor: TokenName
    tokens: tuple[Token, ...]  # the sources, by position
    products: Tensor
    scale: float
    seen: Tensor
    weights: Tensor
    values: Tensor
    z: Tensor
    vector: Tensor
    row: Tensor
    distance: float

    @property
    def softmax(self) -> Tensor:
        """exp(scale · q·k) over its sum, of the sources that are seen."""
        return torch.softmax((self.products * self.scale).masked_fill(~self.seen, -math.inf), -1)

    @property
    def softmax_error(self) -> float:
        """How far that is from the model's own weights, at most: more than rounding where a model adds to q·k."""
        return float((self.softmax - self.weights).abs().max())

    @property
    def mix(self) -> Tensor:
        """Σ_j α_ij v_j, by the model's own weights: [d_head]."""
        return self.weights @ self.values

    @property
    def mix_error(self) -> float:
        """How far that is from the captured z, at most."""
        return float((self.mix - self.z).abs().max())

    def __repr__(self) -> str:
        return views.text(self)

    def _repr_html_(self) -> str:
        return views.html(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON."""
        return dict(views.record(self))


def worked(reading: Reading, near: Neighbors, head: int, id: int, row_of: Finder, neighbor: TokenName) -> Worked:
    """The steps to the distance of vocabulary token `id` in `head` of an answer about one token's z."""
    asked, token = near.question, near.tokens[0]
    layer = asked.layer
    assert layer is not None  # an answer about one layer
    q = reading.vectors("q", layer)[token.position, head].double()
    k = reading.vectors("k", layer)[:, head].double()
    products = k @ q
    weights = reading.pattern_of(layer)[head, token.position].double()
    scale = _scale(products, weights, q.shape[-1])
    scores = products * scale
    # A weight of exactly 0 is a mask, unless its score alone explains it in float32.
    seen = (weights > 0) | (scores < scores[weights > 0].max() - 80)
    vector, row = row_of.pair(layer, token.position, head, id)
    product = float(vector @ row)
    lengths = float(vector.norm() * row.norm())
    distance = {
        "cosine": 1.0 - product / lengths if lengths else 1.0,
        "euclidean": float((vector - row).norm()),
        "dot": -product,
    }[asked.metric]
    return Worked(
        question=asked,
        token=token,
        head=head,
        neighbor=neighbor,
        tokens=reading.tokens,
        products=products,
        scale=scale,
        seen=seen,
        weights=weights,
        values=reading.vectors("v", layer)[:, head].double(),
        z=reading.z[layer, token.position, head].double(),
        vector=vector.cpu(),
        row=row.cpu(),
        distance=distance,
    )


def _scale(products: Tensor, weights: Tensor, d_head: int) -> float:
    """What q·k is multiplied by before the softmax, measured: 1/√d_head in most models."""
    usual = 1 / math.sqrt(d_head)
    seen = weights > 1e-12
    p, logs = products[seen], weights[seen].log()
    p, logs = p - p.mean(), logs - logs.mean()
    if float(p.square().sum()) < 1e-12:
        return usual
    found = float((p @ logs) / p.square().sum())
    return usual if abs(found - usual) < 1e-3 * usual else found
