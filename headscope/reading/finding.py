"""From a question about a reading to vectors, encodings and exact neighbours: what every answer is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from headscope.errors import InputError, ModelError
from headscope.neighbors import Metric, Nearest, Place, Table, search
from headscope.question.choices import Candidates, Reference, Space, Vector
from headscope.vocabulary import Encoded, Vocabulary

if TYPE_CHECKING:
    from headscope.model.feed.positions import Spot
    from headscope.reading.reading import Reading


@dataclass(frozen=True)
class Question:
    """The choices that an answer was given for."""

    layer: int | None  # None: all layers
    space: Space
    reference: Reference | None  # None: the space has none
    metric: Metric
    use_position: bool
    candidates: Candidates
    vector: Vector = "z"
    at: int | None = None  # the position at which the vocabulary stands; None: the token's own


@dataclass(frozen=True)
class Placed:
    """Vectors of one layer at one position, and the vocabulary there, in one space."""

    encoded: Encoded
    vectors: Tensor  # float32 [head, width], where the encodings are


class Finder:
    """Answers one question, at any layer and positions of one reading."""

    def __init__(self, reading: Reading, vocabulary: Vocabulary, question: Question) -> None:
        self.reading, self.vocabulary, self.question = reading, vocabulary, question

    def placed(self, layer: int, position: int) -> Placed:
        """The heads' vectors at `position`, and the vocabulary that they are compared with."""
        asked = self.question
        vectors = self.reading.vectors(asked.vector, layer)[position]  # (H, d_head)
        if not bool(vectors.isfinite().all()):
            raise ModelError(
                f"the outputs of layer {layer} at position {position} ({self.reading.tokens[position].label}) are not "
                "finite: the model itself computes no numbers there."
            )
        encoded = self.vocabulary.encoded(asked.space, asked.reference, layer, self.stands(position))
        return Placed(encoded, encoded.enter(vectors) * self._share(position))

    def stands(self, position: int) -> Spot | None:
        """Where the vocabulary stands that vectors at `position` are compared with; None: at no position.

        As the model counted in this text; a position that the text does not have is that of an ordinary longer one.
        """
        if not self.question.use_position:
            return None
        at = position if self.question.at is None else self.question.at
        spots = self.reading.spots
        return spots[at] if at < len(spots) else self.vocabulary.feed.spot(at)

    def search(self, layer: int, positions: Sequence[int], k: int) -> tuple[Nearest, Table]:
        """The `k` nearest tokens of every head's vector at each of the positions, and a table they are in."""
        return self._search([self.placed(layer, position) for position in positions], positions, k)

    def farthest(self, layer: int, positions: Sequence[int], k: int) -> Nearest:
        """The `k` tokens in the opposite direction, the farthest first; for cosine and dot."""
        placed = [self.placed(layer, position) for position in positions]
        near, _ = self._search([Placed(one.encoded, -one.vectors) for one in placed], positions, k)
        around = 2.0 if self.question.metric == "cosine" else 0.0
        return Nearest(near.ids, near.ranks, around - near.distances, near.own_rank, near.own_distance, None)

    def pair(self, layer: int, position: int, head: int, id: int) -> tuple[Tensor, Tensor]:
        """The two vectors that a distance is between: a head's, and the vocabulary token's, float64 [width]."""
        placed = self.placed(layer, position)
        found = placed.vectors[head].double()
        rows = placed.encoded.rows(torch.tensor([id], device=found.device))[0]  # (table head, width)
        return found, rows[head * len(rows) // len(placed.vectors)]

    def split(self, layer: int, position: int, head: int, id: int) -> Split:
        """The score of one token, split over the source positions."""
        asked, encoded = self.question, self.placed(layer, position).encoded
        found, row = self.pair(layer, position, head, id)
        values = self.reading.vectors("v", layer)[:, head].double().to(found.device)  # (S, d_head)
        constant = torch.zeros_like(row)
        if encoded.aim is not None:
            values, constant = values @ encoded.aim.matrix[head], encoded.aim.offset[head]
        share = self._share(position)
        if asked.metric == "cosine":
            share /= max(float(found.norm() * row.norm()), torch.finfo(torch.float64).tiny)
        weights = self.reading.pattern_of(layer)[head, position].double().to(found.device)  # (S,)
        return Split(
            weights.cpu(),
            (weights * ((values + constant) @ row) * share).cpu(),
            float((1 - weights.sum()) * (constant @ row) * share),
        )

    def _share(self, position: int) -> float:
        """What a head's output is divided by on its way to the logits: the final norm's scale at the position."""
        if self.question.space != "unembedding":
            return 1.0
        return 1.0 / float(self.vocabulary.unembedding.norm.spread(self.reading.residual[-1, position]))

    def _search(self, placed: list[Placed], positions: Sequence[int], k: int) -> tuple[Nearest, Table]:
        table = placed[0].encoded.table
        allowed = self.allowed(table)
        most = table.candidates if allowed is None else int((table.finite & allowed).sum())
        if k > most:
            raise InputError(f"k is {k}; only {most} tokens can be neighbours.")
        own = torch.tensor([self.reading.tokens[p].id for p in positions], device=table.rows.device)
        # Where the closed form does not hold, every position has a table of its own.
        one_table = all(one.encoded.table is table for one in placed)
        groups = [range(len(placed))] if one_table else [range(n, n + 1) for n in range(len(placed))]
        found = []
        for group in groups:
            places: list[Place] = [placed[n].encoded.place for n in group]
            found.append(
                search(
                    placed[group[0]].encoded.table,
                    places,
                    torch.stack([placed[n].vectors for n in group]),
                    own[group.start : group.stop],
                    place_of=torch.arange(len(group), device=own.device),
                    k=k,
                    metrics=(self.question.metric,),
                    candidates=allowed,
                )[self.question.metric]
            )
        return _on_cpu(found), table

    def allowed(self, table: Table) -> Tensor | None:
        """Which tokens may be neighbours, bool [token]; None: all."""
        if self.question.candidates == "all":
            return None
        return self.vocabulary.names.words.to(table.rows.device)


@dataclass(frozen=True)
class Split:
    """A score by source position: weights, shares float64 [source], and what belongs to none (attention sinks)."""

    weights: Tensor
    shares: Tensor
    rest: float


def _on_cpu(parts: list[Nearest]) -> Nearest:
    """Answers for several queries as one, on the CPU."""
    return Nearest(
        ids=torch.cat([part.ids for part in parts]).cpu(),
        ranks=torch.cat([part.ranks for part in parts]).cpu(),
        distances=torch.cat([part.distances for part in parts]).cpu(),
        own_rank=torch.cat([part.own_rank for part in parts]).cpu(),
        own_distance=torch.cat([part.own_distance for part in parts]).cpu(),
        other_ranks=None,
    )
