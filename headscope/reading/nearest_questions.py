"""What a reading can be asked of the vocabulary tokens that are nearest to its heads' vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from headscope.errors import InputError
from headscope.model.surroundings import settled_class
from headscope.question.choices import Candidates, Metric, Reference, Space, Vector
from headscope.question.question import Question
from headscope.reading import answers
from headscope.reading.alive import Asking
from headscope.reading.answer import Answer
from headscope.reading.background import Background, background
from headscope.reading.bank import Bank, held_by
from headscope.reading.belonging import own
from headscope.reading.captured import Captured
from headscope.reading.nearest import Neighbors
from headscope.reading.portrait import Portrait
from headscope.reading.why import Why
from headscope.reading.worked import Worked

A = TypeVar("A", bound=Answer)


@settled_class
class NearestQuestions(Captured):
    """The part of `Reading` that asks for nearest tokens, and asks further of such an answer."""

    def nearest(
        self,
        token: int | str | Iterable[int | str] = 1,
        layer: int = 0,
        space: Space = "value",
        reference: Reference | None = None,
        metric: Metric = "cosine",
        position: bool = True,
        k: int = 15,
        candidates: Candidates = "all",
        vector: Vector = "z",
        at: int | None = None,
    ) -> Neighbors:
        """For each head of `layer`, the `k` vocabulary tokens that its output at `token` is nearest to.

        `space` is what is compared: the head's values, its keys or queries, its values as W_O passes them on
        ("output"), or what it adds to the residual stream, with the embeddings or the unembedding. `reference` says
        how the vocabulary is encoded: by layer 0's projection, the layer's own, or by the model reading each token
        alone ("isolated", which `Scope.isolate` makes where it is missing; None: the layer's own, in the spaces that
        have references), `position` whether with what the model does for positions, at the token's place or at
        position `at`. `candidates` says which tokens may be neighbours ("words" leaves out special, unused and byte
        tokens), `vector` what is compared in the place of z: the head's q, k or v at the token. Exact; ties stand in
        the order of their ids. For a list of tokens every tensor has a leading axis. Raises InputError for a choice
        that is not open.

        >>> reading = scope.read("Time flies like an arrow.")
        >>> near = reading.nearest("flies", layer=0, k=2)
        >>> [near.names[id].label for id in near.ids[8].tolist()]
        ['flies', 'current']
        >>> round(near.distances[8, 0].item(), 2), near.own_rank[8].item()  # head 8 left the token itself the nearest
        (0.3, 1)
        """
        return self.ask_nearest(Question(layer, space, reference, metric, position, candidates, vector, at, k), token)

    def ask_nearest(self, asked: Question, token: int | str | Iterable[int | str] = 1) -> Neighbors:
        """The same for a question that is made already."""
        found = answers.nearest(self, asked, token, self)
        if len(found.tokens) != 1:
            return self._told(found)
        return self._told(
            found, found.tokens[0].position, asked.layer, lambda at, of: self.ask_nearest(replace(asked, layer=of), at)
        )

    def seeks(
        self,
        token: int | str | Iterable[int | str] = 1,
        layer: int = 0,
        source: int | None = None,
        k: int = 15,
        candidates: Candidates = "all",
    ) -> Neighbors:
        """For each head of `layer`, the vocabulary tokens that its query at `token` would attend to most.

        q·k over the layer's keys of the vocabulary, standing at position `source` (None: the token's own), with what
        the model does for positions (position embeddings, RoPE); the distance is −q·k, before any scaling.
        """
        return self.ask_nearest(Question(layer, "key", "layer", "dot", True, candidates, "q", source, k), token)

    def sought(
        self,
        token: int | str | Iterable[int | str] = 1,
        layer: int = 0,
        query: int | None = None,
        k: int = 15,
        candidates: Candidates = "all",
    ) -> Neighbors:
        """For each head of `layer`, the vocabulary tokens that would attend most to its key at `token`.

        q·k over the layer's queries of the vocabulary, standing at position `query`; see `seeks`.
        """
        return self.ask_nearest(Question(layer, "query", "layer", "dot", True, candidates, "k", query, k), token)

    def why(self, near: Neighbors, head: int, id: int) -> Why:
        """The exact split of a token's score in one head's answer over the positions that the head mixed.

        z = Σ_j α_ij v_j, so ⟨z, R⟩ is the sum of α_ij ⟨v_j, R⟩; for cosine divided by |z||R|; for euclidean these are
        the dot product's shares. Raises InputError for an answer about several tokens or about q, k or v.

        >>> reading = scope.read("Time flies like an arrow.")
        >>> near = reading.nearest("flies")
        >>> why = reading.why(near, head=8, id=near.ids[8, 0].item())
        >>> why.neighbor.label, round(why.score, 2), reading.tokens[why.shares.argmax()].text
        ('flies', 0.7, 'flies')
        """
        return self._told(answers.why(self, near, head, id))

    def work_out(self, near: Neighbors, head: int, id: int) -> Worked:
        """One distance of an answer worked out from the start: q·k, softmax, Σ α v, and the distance.

        Raises InputError for an answer about several tokens or about q, k or v.
        """
        return self._told(answers.work_out(self, near, head, id))

    def background(self, near: Neighbors, bank: Bank | None = None) -> Background:
        """What a bank of other texts' outputs says of an answer of this reading: hub-aware neighbours, and chance.

        `near` is an answer about one token's z; `bank` None: the sentences that come with headscope, under the
        reading's mask. This very text is left out of the bank. Raises InputError for an answer or a bank that do not
        fit.

        >>> reading = scope.read("Time flies like an arrow.")
        >>> found = reading.background(reading.nearest("flies", k=2), scope.bank(size=100))
        >>> found.scores.shape, found.hubs.skewness.shape  # a score for each neighbour, one skewness for each head
        (torch.Size([12, 2]), torch.Size([12]))
        """
        return self._told(background(self, near, held_by(self, bank)))

    def portrait(
        self,
        token: int | str = 1,
        layer: int = 0,
        space: Space = "value",
        reference: Reference | None = None,
        metric: Metric = "cosine",
        position: bool = True,
        k: int = 15,
        candidates: Candidates = "all",
        vector: Vector = "z",
    ) -> Portrait:
        """For each head of `layer`, the whole words that its output at `token` resembles most, and where it looked.

        The words are those among the `k` nearest; the choices are those of `nearest`.
        """
        asked = Question(layer, space, reference, metric, position, candidates, vector, k=k)
        return self.ask_portrait(self.ask_nearest(asked, self.position_of(token)))

    def ask_portrait(self, near: Neighbors) -> Portrait:
        """The same of an answer of this reading that is made already; it is about one token."""
        if own(self, near, Neighbors).ids.dim() != 2:
            raise InputError("a portrait is of an answer about one token: near.each() gives them one by one.")
        attention = answers.attention(self, near.tokens[0].position, near.question.layer or 0, "weights")
        found = Portrait(near, attention, self.bench.card.d_head, self.bench.card.kv_heads)
        again = lambda at, of: self.ask_portrait(self.ask_nearest(replace(near.question, layer=of), at))  # noqa: E731
        return self._told(found, near.tokens[0].position, near.question.layer, again)

    def _told(
        self,
        answer: A,
        token: int | str | None = None,
        layer: int | None = None,
        again: Callable[[int, int], Answer] | None = None,
    ) -> A:
        """The answer, which knows what it is of, and what was asked about; see `Asking`."""
        at = None if token is None else self.position_of(token)
        return replace(answer, asking=Asking(self, at, None if layer is None else self.bench.layer(layer), again))
