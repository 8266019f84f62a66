"""From a question about a reading to vectors, encodings and exact neighbours: what every answer is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from headscope.errors import InputError, ModelError
from headscope.model.feed.positions import Spot
from headscope.neighbors import Nearest, Place, Shared, Source, search, without_ties
from headscope.question import notes
from headscope.question.question import Question
from headscope.reading.captured import Captured
from headscope.reading.lens import LinearLens
from headscope.vocabulary import Encoded, Vocabulary
from headscope.vocabulary.joined import joinable, joined
from headscope.vocabulary.placed import members_of, search_placed


@dataclass(frozen=True)
class Placed:
    """Vectors of one layer at one position, and the vocabulary there, in one space."""

    encoded: Encoded
    vectors: Tensor  # float32 [head, width], where the encodings are


class Finder:
    """Answers one question, at any layer and positions of one text.

    The question is one that an answer was given for: `finder` makes one of what a caller asks.
    """

    def __init__(self, captured: Captured, question: Question) -> None:
        self.captured, self.question = captured, question
        self.vocabulary: Vocabulary = captured.vocabulary

    def placed(self, layer: int, position: int, queries: int | None = None) -> Placed:
        """The heads' vectors at `position`, and the vocabulary that they are compared with; see `Vocabulary.encoded`
        for `queries`."""
        vectors = self._vectors(layer, position)
        encoded = self._encoded(layer, self.stands(position), queries)
        return Placed(encoded, self.entered(encoded, vectors, position))

    def entered(self, encoded: Encoded, vectors: Tensor, position: int) -> Tensor:
        """Vectors [..., head, d_head] as they are compared at `position`: float32 [..., head, width]."""
        return encoded.enter(vectors) * self._share(position)

    def for_many(self, layer: int, position: int) -> Encoded:
        """The vocabulary at `position` as rows that are held, for many vectors; what W_O would widen is narrowed."""
        encoded, bench = self.placed(layer, position).encoded, self.captured.bench
        if encoded.table.rows.shape[2] > self.captured.z.shape[3] + 1:
            narrowed: Encoded = bench.kept.made(("narrowed", self.question.space, layer), encoded.narrowed)
            return narrowed
        return encoded

    def _vectors(self, layer: int, position: int) -> Tensor:
        vectors = self.captured.vectors(self.question.vector, layer)[position]  # (H, d_head)
        if not bool(vectors.isfinite().all()):
            raise ModelError(
                f"the outputs of layer {layer} at position {position} ({self.captured.tokens[position].label}) are not "
                "finite: the model itself computes no numbers there."
            )
        return vectors

    def _encoded(self, layer: int, spot: Spot | None, queries: int | None) -> Encoded:
        return self.vocabulary.encoded(self.question.space, self.question.reference, layer, spot, queries)

    def _expect(self, layer: int, spots: Sequence[Spot | None]) -> None:
        self.vocabulary.expect(self.question.space, self.question.reference, layer, spots)

    def stands(self, position: int) -> Spot | None:
        """Where the vocabulary stands that vectors at `position` are compared with; None: at no position.

        As the model counted in this text; a position that the text does not have is that of an ordinary longer one.
        """
        at = position if self.question.at is None else self.question.at
        if at >= len(self.captured.spots):
            return self.vocabulary.feed.spot(at)
        return self.captured.stands(at, self.question.use_position)

    def search(self, layer: int, positions: Sequence[int]) -> tuple[Nearest, Source]:
        """The nearest tokens of every head's vector at each of the positions, as many as asked, and their source."""
        return self._search(self._placed(layer, positions), positions)

    def _placed(self, layer: int, positions: Sequence[int]) -> list[Placed]:
        self._expect(layer, [self.stands(position) for position in positions])
        # They are asked for as one: the first says of how many, and the others find what it found.
        return [self.placed(layer, p, 0 if n else len(positions)) for n, p in enumerate(positions)]

    def search_layers(self, position: int) -> Iterator[tuple[list[Nearest], Source]]:
        """The same at one position of every layer: those of the next layers as soon as they are found, and a source.

        Layers that nothing has to be made for are searched together, in one pass through what they share.
        """
        waiting: list[Placed] = []
        for layer in range(len(self.captured.z)):
            if waiting and not self.vocabulary.is_ready(self.question.space, self.question.reference, layer):
                yield from self._together(waiting, position)
                waiting = []
            waiting.append(self.placed(layer, position, 0))
            if not isinstance(waiting[-1].encoded.source, Shared):
                yield from self._together(waiting, position)
                waiting = []
        yield from self._together(waiting, position)

    def _together(self, placed: list[Placed], position: int) -> Iterator[tuple[list[Nearest], Source]]:
        for group in joinable([one.encoded for one in placed]):
            members = [placed[n] for n in group]
            if len(members) > 1:
                vectors = torch.cat([one.vectors for one in members])
                members = [Placed(joined([one.encoded for one in members]), vectors)]
            near, source = self._search(members, [position])
            yield near.by_heads(len(group)), source

    def ranks(self, layer: int, ids: Tensor) -> tuple[Tensor, Source, int]:
        """The ranks of ids [other] under every head's vector at every position: int64 [position, head, other].

        0 where an encoding is not finite. With them a source of the vocabulary, and how many candidates it has.
        """
        sources: dict[Spot | None, Source] = {}
        count = len(self.captured.tokens)

        def encode(spot: Spot | None) -> Encoded:
            encoded = self._encoded(layer, spot, 0 if sources else count)
            if not sources:
                sources[spot] = encoded.source
            return encoded

        # Nothing is added on the way to the logits, so that what is divided by before is divided by after.
        vectors = torch.stack([self._vectors(layer, position) * self._share(position) for position in range(count)])
        places = members_of([self.stands(position) for position in range(count)])
        self._expect(layer, [spot for spot, _ in places])
        found = search_placed(
            places,
            encode,
            vectors,
            torch.tensor([token.id for token in self.captured.tokens]),
            k=1,
            others=ids.expand(count, -1),
            metrics=(self.question.metric,),
        )
        ranks = found.nearest[self.question.metric].other_ranks
        assert ranks is not None, "they were asked for"
        return ranks, next(iter(sources.values())), found.candidates

    def farthest(self, layer: int, positions: Sequence[int]) -> Nearest:
        """As many tokens in the opposite direction, the farthest first; for cosine and dot."""
        placed = self._placed(layer, positions)
        near, _ = self._search([Placed(one.encoded, -one.vectors) for one in placed], positions)
        around = 2.0 if self.question.metric == "cosine" else 0.0
        return Nearest(near.ids, near.ranks, around - near.distances, near.own_rank, near.own_distance, None)

    def pair(self, layer: int, position: int, head: int, id: int) -> tuple[Tensor, Tensor]:
        """The two vectors that a distance is between: a head's, and the vocabulary token's, float64 [width]."""
        placed = self.placed(layer, position, 1)
        found = placed.vectors[head].double()
        rows = placed.encoded.rows(torch.tensor([id], device=found.device))[0]  # (table head, width)
        return found, rows[head * len(rows) // len(placed.vectors)]

    def split(self, layer: int, position: int, head: int, id: int) -> Split:
        """The score of one token, split over the source positions."""
        asked, encoded = self.question, self.placed(layer, position, 1).encoded
        found, row = self.pair(layer, position, head, id)
        values = self.captured.vectors("v", layer)[:, head].double().to(found.device)  # (S, d_head)
        constant = torch.zeros_like(row)
        if encoded.aim is not None:
            values, constant = values @ encoded.aim.matrix[head], encoded.aim.offset[head]
        share = self._share(position)
        if asked.metric == "cosine":
            share /= max(float(found.norm() * row.norm()), torch.finfo(torch.float64).tiny)
        weights = self.captured.pattern_of(layer)[head, position].double().to(found.device)  # (S,)
        return Split(
            weights.cpu(),
            (weights * ((values + constant) @ row) * share).cpu(),
            float((1 - weights.sum()) * (constant @ row) * share),
        )

    def _share(self, position: int) -> float:
        """What a head's output is divided by on its way to the logits: the final norm's scale at the position."""
        if self.question.space != "unembedding":
            return 1.0
        return 1.0 / float(self.vocabulary.unembedding.norm.spread(self.captured.residual[-1, position]))

    def _search(self, placed: list[Placed], positions: Sequence[int]) -> tuple[Nearest, Source]:
        source, k = placed[0].encoded.source, self.question.k
        allowed = self.allowed(source)
        most = source.candidates if allowed is None else int((source.finite & allowed).sum())
        if k > most:
            raise InputError(f"k is {k}; only {most} tokens can be neighbours.")
        own = torch.tensor([self.captured.tokens[p].id for p in positions], device=source.device)
        # Where the closed form does not hold, every position has a table of its own.
        one_source = all(one.encoded.source is source for one in placed)
        groups = [range(len(placed))] if one_source else [range(n, n + 1) for n in range(len(placed))]
        found = []
        for group in groups:
            places: list[Place] = [placed[n].encoded.place for n in group]
            query = placed[group[0]].encoded.source, places, torch.stack([placed[n].vectors for n in group])
            place_of, metrics = torch.arange(len(group), device=own.device), (self.question.metric,)
            near = search(
                *query, own[group.start : group.stop], place_of=place_of, k=k, metrics=metrics, candidates=allowed
            )
            found.append(without_ties(near, *query, place_of, allowed)[self.question.metric])
        return _on_cpu(found), source

    def allowed(self, source: Source) -> Tensor | None:
        """Which tokens may be neighbours, bool [token]; None: all."""
        if self.question.candidates == "all":
            return None
        return self.vocabulary.names.words.to(source.device)

    def notes(self, source: Source, given: Question) -> tuple[str, ...]:
        """What a reader of an answer must see; `given`: the question as it was asked, the position with it."""
        asked, vocabulary, text, wanted = self.question, self.vocabulary, self.captured, given.use_position
        found = [*text.notes, *notes.space(asked.space, asked.vector)]
        lens = text.bench.held(LinearLens)
        if asked.space == "fitted" and lens is not None:
            found += lens.notes(asked.layer, text.mask)
        if asked.reference == "input" and asked.layer != 0 and not vocabulary.one_value_space:
            found.append(notes.foreign_basis(asked.layer))
        if asked.reference == "isolated":
            found += notes.alone(wanted, text.mask, text.input.context is not None)
        elif asked.space in ("key", "query") and vocabulary.turns:
            found.append(notes.turned(asked.use_position))
        elif wanted and asked.reference is not None and not vocabulary.has_positions:
            found += notes.no_positions(wanted)
        found += notes.beyond(asked.at, len(text.tokens))
        found += notes.unmoved(given.at if asked.at is None else None)
        if asked.space == "unembedding" and vocabulary.unembedding.squashed:
            found.append(notes.squashed())
        lacking = range(0)
        if asked.space == "unembedding":
            logits = vocabulary.unembedding.logits
            found += notes.other_rows(logits, vocabulary.size)
            lacking = range(logits, vocabulary.size)
        strange = [id for id in source.not_finite.tolist() if id not in lacking]
        return (*found, *notes.not_finite([vocabulary.names[id].label for id in strange]))


def finder(captured: Captured, asked: Question) -> Finder:
    """What answers a question about a text: its choices are held against the model, and the tokens read alone made.

    In the answer's question `use_position` is whether the vocabulary moves at all. Raises InputError for a layer, a
    position or a number of neighbours that the model has not.
    """
    bench = captured.bench
    layer = None if asked.layer is None else bench.layer(asked.layer)
    k, at = bench.count(asked.k, asked.candidates), bench.place(asked.at)
    if asked.reference == "isolated":
        bench.isolate()
    moves = asked.use_position and asked.reference != "isolated" and bench.encodings.moves(asked.space)
    return Finder(captured, replace(asked, layer=layer, k=k, use_position=moves, at=at if moves else None))


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
