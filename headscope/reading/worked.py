"""One distance worked out from the start: q·k, softmax, Σ α v, and the distance; every number is the reading's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headscope.model.tokens import Token, TokenName
from headscope.question.question import Question
from headscope.reading.answer import Answer
from headscope.reading.finding import Finder
from headscope.reading.nearest import Neighbors
from headscope.reading.records import WorkedRecord, WorkedSourceRecord
from headscope.reading.small import listed
from headscope.show import html
from headscope.show.numbers import decimals
from headscope.show.sheet import Cell, Row, Sheet

_DIMS = 2  # components that are written out of d_head


@dataclass(frozen=True, repr=False, eq=False)
class Worked(Answer):
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

    @property
    def product(self) -> float:
        """The dot product of the two sides of the distance."""
        return float(self.vector @ self.row)

    def rows(self) -> list[WorkedSourceRecord]:
        """One row for each source: position, label, product, seen, softmax, weight."""
        parts = (self.products, self.seen, self.softmax, self.weights)
        return [
            {"position": token.position, "label": token.label, "product": p, "seen": seen, "softmax": s, "weight": w}
            for token, p, seen, s, w in zip(self.tokens, *(part.tolist() for part in parts), strict=True)
        ]

    def to_dict(self) -> WorkedRecord:
        """Every number of every step, ready for JSON."""
        asked = self.question
        assert asked.layer is not None  # an answer about one layer
        return {
            "selected": self.token.position,
            "layer": asked.layer,
            "head": self.head,
            "id": self.neighbor.id,
            "token": self.neighbor.text,
            "label": self.neighbor.label,
            "metric": asked.metric,
            "space": asked.space,
            "reference": asked.reference,
            "scale": self.scale,
            "softmax_error": self.softmax_error,
            "mix_error": self.mix_error,
            "sources": self.rows(),
            "values": self.values.tolist(),
            "mix": self.mix.tolist(),
            "z": self.z.tolist(),
            "product": self.product,
            "vector_length": float(self.vector.norm()),
            "row_length": float(self.row.norm()),
            "distance": self.distance,
        }

    def sheets(self) -> tuple[Sheet, ...]:
        """The four steps, with this text's numbers."""
        return self._products(), self._softmax(), self._mix(), self._distance()

    @property
    def title(self) -> str:
        """What is worked out."""
        return (
            f"How far {self.token.label} (position {self.token.position}) is from {self.neighbor.label} in "
            f"L{self.question.layer}H{self.head}, worked out"
        )

    def __repr__(self) -> str:
        return f"{self.title}\n\n{super().__repr__()}"

    def _repr_html_(self) -> str:
        """The steps without styles of their own: the page shows them too, and takes none from another's hand."""
        return html.steps(self.title, self.sheets())

    def _products(self) -> Sheet:
        width = len(self.z)
        usual = abs(self.scale * width**0.5 - 1) < 1e-9
        then = f"divided by √{width} = {width**0.5:.3f}" if usual else f"multiplied by {self.scale:.4f}, as measured"
        said = (
            f"The query of {self.token.label} (position {self.token.position}) is multiplied with the key of every "
            f"source: {width} products, summed. Then {then}."
        )
        rows = [
            (decimals(row["product"]), decimals(row["product"] * self.scale) if row["seen"] else "masked")
            for row in self.rows()
        ]
        return Sheet("products", "q·k", ("q·k", "score"), self._by_source(rows), "source", (said,))

    def _softmax(self) -> Sheet:
        adds = (
            f"These are the model's own weights to {self.softmax_error:.0e}."
            if self.softmax_error < 1e-4
            else "This model adds more to its scores than q·k (relative positions, a cap, a sink …): its own weights "
            f"differ by up to {self.softmax_error:.2g}, and the steps below use them."
        )
        said = f"e to the score, over the sum of them all: the attention weights α, which sum to 1. {adds}"
        rows = [
            (decimals(row["softmax"]), decimals(row["weight"])) if row["seen"] else ("·", "·") for row in self.rows()
        ]
        return Sheet("softmax", "softmax", ("softmax", "α of the model"), self._by_source(rows), "source", (said,))

    def _mix(self) -> Sheet:
        width = len(self.z)
        dims = min(_DIMS, width)
        said = (
            f"Each source's value v, {width} numbers, times its weight; the sum is what the head writes, z. Here the "
            f"first {dims} of the {width}; over all of them the sum is the captured z to {self.mix_error:.0e}."
        )
        sources = [
            (decimals(weight), *(decimals(value * weight) for value in values)) if seen else ("·",) * (dims + 1)
            for weight, values, seen in zip(
                self.weights.tolist(), self.values[:, :dims].tolist(), self.seen.tolist(), strict=True
            )
        ]
        sums = [
            Row(Cell(name), _numbers(("", *map(decimals, vector[:dims].tolist()))), apart=True)
            for name, vector in (("sum", self.mix), ("z as captured", self.z))
        ]
        columns = ("α", *(f"α·v[{n}]" for n in range(dims)))
        return Sheet("mix", "Σ α v", columns, (*self._by_source(sources), *sums), "source", (said,))

    def _distance(self) -> Sheet:
        asked = self.question
        product, one, other = self.product, float(self.vector.norm()), float(self.row.norm())
        shown, left, right = decimals(product), decimals(one), decimals(other)
        end = {
            "cosine": f"1 − {shown} / ({left} × {right})",
            "euclidean": f"√({left}² + {right}² − 2 × {shown})",
            "dot": f"−({shown})",
        }[asked.metric]
        said = (
            f"R is how the vocabulary token {self.neighbor.label} is encoded. {asked.metric} distance: {end} = "
            f"{decimals(self.distance)}."
        )
        what = "z" if asked.space in ("value", "key", "query") else f"z in the space {asked.space}"
        values = {
            f"{what} · R": product,
            f"length of {what}": one,
            "length of R": other,
            f"{asked.metric} distance": self.distance,
        }
        rows = tuple(Row(Cell(name), _numbers((decimals(value),))) for name, value in values.items())
        return Sheet("distance", "distance", ("value",), rows, "number", (said,))

    def _by_source(self, numbers: Sequence[tuple[str, ...]]) -> tuple[Row, ...]:
        some = listed(self.weights, self.seen.tolist(), self.token.position)
        rows = [
            Row(Cell(f"{token.position} {token.label}", position=token.position), _numbers(numbers[token.position]))
            for token in (self.tokens[at] for at in some.shown)
        ]
        told = (*((some.says,) if some.small else ()), *((some.says_hidden,) if some.hidden else ()))
        return (*rows, *(Row(Cell(says), _numbers(("",) * len(numbers[0])), apart=True) for says in told))


def _numbers(row: tuple[str, ...]) -> tuple[Cell, ...]:
    return tuple(Cell(number=number) for number in row)


def worked(near: Neighbors, head: int, id: int, search: Finder, neighbor: TokenName) -> Worked:
    """The steps to the distance of vocabulary token `id` in `head` of an answer about one token's z."""
    asked, token, captured = near.question, near.tokens[0], search.captured
    layer = asked.layer
    assert layer is not None  # an answer about one layer
    q = captured.vectors("q", layer)[token.position, head].double()
    k = captured.vectors("k", layer)[:, head].double()
    products = k @ q
    pattern, visible = captured.attended(layer)
    weights = pattern[head, token.position].double()
    scale = _scale(products, weights, q.shape[-1])
    vector, row = search.pair(layer, token.position, head, id)
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
        tokens=captured.tokens,
        products=products,
        scale=scale,
        seen=visible[token.position],
        weights=weights,
        values=captured.vectors("v", layer)[:, head].double(),
        z=captured.z[layer, token.position, head].double(),
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
