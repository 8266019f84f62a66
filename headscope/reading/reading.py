"""Reading: one text that a model has read, and the questions that can be asked of its heads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from headscope.errors import InputError, cut
from headscope.model.surroundings import settled_class
from headscope.question.choices import (
    REPLACEMENTS,
    Against,
    Candidates,
    Method,
    Metric,
    Reference,
    Replacement,
    Space,
    Vector,
    Weigh,
    one_of,
)
from headscope.question.given import as_seed, switch
from headscope.question.question import Question
from headscope.reading import answers
from headscope.reading.alive import Asking, View
from headscope.reading.answer import Answer
from headscope.reading.atlas import Atlas
from headscope.reading.atlas_chance import held_against
from headscope.reading.attention import Attention
from headscope.reading.background import Background, background
from headscope.reading.bank import Bank, held_by
from headscope.reading.belonging import own
from headscope.reading.captured import Captured
from headscope.reading.comparison import Comparison, compared
from headscope.reading.effects import Effects, effects
from headscope.reading.glance import Glance, glance
from headscope.reading.journey import Journey, journey
from headscope.reading.map import Map
from headscope.reading.map.layouts import Way
from headscope.reading.map.plan import plan
from headscope.reading.mixing import Mixing, mixing
from headscope.reading.nearest import Neighbors
from headscope.reading.portrait import Portrait
from headscope.reading.positions import PositionNeighbors
from headscope.reading.removed import Removed, removed
from headscope.reading.standing import Standing, standing
from headscope.reading.why import Why
from headscope.reading.worked import Worked
from headscope.reading.written import Written, written
from headscope.show.progress import Tell

A = TypeVar("A", bound=Answer)
VIEWS = ("heads", "atlas", "attention", "written", "journey", "layers")


@settled_class
class Reading(Captured):
    """A text as the heads of a model read it, and what can be asked of it; made by `Scope.read`.

    See `Captured` for what it holds. Every question is a method here; one that is made already is asked by
    `ask_nearest`, `ask_atlas` and `ask_map`.
    """

    def attention(self, token: int | str = 1, layer: int = 0, weigh: Weigh = "weights") -> Attention:
        """For each head of `layer`, how much of each position's value it mixes into its output at `token`.

        By attention weights, or with `weigh` "norms" by the lengths of what they let through; see `pattern_of`.
        """
        return self._told(
            answers.attention(self, token, layer, weigh), token, layer, lambda at, of: self.attention(at, of, weigh)
        )

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

    def compare(
        self,
        other: Reading,
        token: int | str = 1,
        layer: int = 0,
        space: Space = "value",
        reference: Reference | None = None,
        metric: Metric = "cosine",
        position: bool = True,
        k: int = 15,
        candidates: Candidates = "all",
        *,
        other_reference: Reference | None = None,
    ) -> Comparison:
        """For each head, how the nearest tokens differ between this reading and another of the same text.

        The other may be made under another mask, by another model with the same tokenizer, or be this very reading
        with another reference (`other_reference`; None: the same on both sides).
        """
        if not isinstance(other, Reading):
            raise InputError(f"other is another reading, as scope.read(text, mask) gives it, not {cut(repr(other))}.")
        selected = self.position_of(token)
        one = Question(layer, space, reference, metric, position, candidates, k=k)
        there = replace(one, reference=other_reference or reference)
        return self._told(compared(self.ask_nearest(one, selected), other.ask_nearest(there, selected)))

    def nearest_positions(
        self, token: int | str = 1, layer: int = 0, metric: Metric = "cosine", against: Against = "z"
    ) -> PositionNeighbors:
        """For each head of `layer`, the positions of the text by their distance from its output at `token`.

        Compared with the head's outputs there (`against="z"`), or with the values there that it mixes ("v").
        """
        found = answers.positions(self, token, layer, metric, against)
        return self._told(found, token, layer, lambda at, of: self.nearest_positions(at, of, metric, against))

    def atlas(
        self,
        token: int | str = 1,
        space: Space = "value",
        reference: Reference | None = None,
        metric: Metric = "cosine",
        position: bool = True,
        candidates: Candidates = "all",
    ) -> Atlas:
        """For every layer and head, the vocabulary token that its output at `token` is nearest to.

        The choices are those of `nearest`; `reference` None is each layer's own, in the spaces that have references.

        >>> atlas = scope.read("Time flies like an arrow.").atlas("flies")
        >>> atlas.ids.shape  # layer, head
        torch.Size([6, 12])
        >>> [atlas.names[id].label for id in atlas.ids[:, 8].tolist()][:2]
        ['flies', 'like']
        """
        return self.ask_atlas(Question(None, space, reference, metric, position, candidates, k=1), token)

    def atlas_chance(self, atlas: Atlas, bank: Bank | None = None) -> Atlas:
        """An atlas of this reading, with what chance gives beside each layer's shares (`Atlas.chance`).

        Chance: the same count over the outputs of other texts in the smallest window around the position that holds
        100 of them, searched in the same basis at every layer. `bank` None: the sentences that come with headscope,
        under the reading's mask; this very text is left out. Raises InputError for an atlas of another reading, or a
        bank that does not fit.

        >>> reading = scope.read("Time flies like an arrow.")
        >>> held = reading.atlas_chance(reading.atlas("flies"), scope.bank(size=100))
        >>> held.chance.rates().shape == held.rates().shape  # layer, kind
        True
        """
        return held_against(self, atlas, held_by(self, bank))

    def ask_atlas(self, asked: Question, token: int | str = 1, tell: Callable[[Atlas], None] | None = None) -> Atlas:
        """The same for a question that is made already; `tell` hears of the layers so far, at each that is found."""
        return self._told(answers.atlas(self, asked, token, tell), token, None, lambda at, _: self.ask_atlas(asked, at))

    def map(
        self,
        layer: int = 0,
        head: int = 0,
        space: Space = "value",
        reference: Reference | None = None,
        metric: Metric = "cosine",
        method: Method = "tsne",
        *,
        at: int | None = None,
        candidates: Candidates = "all",
        size: int = 2000,
        k: int = 10,
        perplexity: float = 30,
        seed: int = 0,
        progress: Tell | None = None,
    ) -> Map:
        """One head's space in two dimensions: a sample of the vocabulary, and the text's values and outputs.

        `method` is "tsne" or "pca", `metric` cosine or euclidean. The sample has `size` vocabulary tokens: those of
        the text, the `k` nearest of each output, and a random rest drawn with `seed`. They stand at position `at`;
        None: at none, for one picture shows many positions. `reference` None: the layer's own. Seeded, and kept in
        memory and on disk. `progress` hears how many iterations of t-SNE are done, of how many; None: a bar on
        standard error, where that is a terminal. Other texts are placed into it by `Map.place`. Needs the extra
        `maps`. Raises InputError for a choice that is not open.
        """
        asked = Question(layer, space, reference, metric, at is not None, candidates, at=at, k=k)
        return self.ask_map(asked, head, Way(method, perplexity, as_seed(seed)), size, progress)

    def ask_map(self, asked: Question, head: int, way: Way, size: int = 2000, progress: Tell | None = None) -> Map:
        """The same for a question that is made already, whose k is that of each output."""
        return self._told(plan(self, asked, head, way, size).map(progress))

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

    def written(
        self,
        layer: int = 0,
        space: Space = "value",
        reference: Reference | None = None,
        metric: Metric = "cosine",
        position: bool = True,
        head: int | None = None,
    ) -> Written:
        """For each head of `layer`, which of the text's tokens each of its outputs is near to: what is written where.

        AUC_ij is how near the output at i is to token j among the whole vocabulary as it is at i, beside the weight
        with which i attended to j; and how far a head's outputs tell own and attended tokens from others. `head` is
        whose two matrices are laid out; None: that of the largest mean Carry. The choices are those of `nearest`.

        >>> written = scope.read("Time flies like an arrow.").written()
        >>> written.auc.shape == written.pattern.shape  # head, position, token
        True
        >>> round(written.auc[8, 2, 2].item(), 4)  # head 8 at "flies": that token is the nearest of all
        1.0
        """
        found = written(self, Question(self.bench.layer(layer), space, reference, metric, position, k=1), head)
        return self._told(
            found, None, layer, lambda _, of: self.written(of, space, reference, metric, position, found.head)
        )

    def standing(
        self,
        token: int | str = 1,
        layer: int = 0,
        space: Space = "value",
        reference: Reference | None = None,
        metric: Metric = "cosine",
        position: bool = True,
        *,
        bank: Bank | None = None,
    ) -> Standing:
        """For each head of `layer`, where its output at `token` ranks the text's own tokens, beside even attention.

        The ranks are among the whole vocabulary; with each stand the rank that even attention would give, and the
        weight that the token has. With a `bank` also the middle half of where other texts' outputs put it. The choices
        are those of `nearest`. What it says in words describes this text, and claims nothing of the model.

        >>> standing = scope.read("Time flies like an arrow.").standing("flies")
        >>> print(standing.says_of(8).partition(",")[0], standing.ranks[8].tolist()[1])  # “flies” is the nearest of all
        Layer 0 1
        """
        asked = Question(self.bench.layer(layer), space, reference, metric, position, k=1)
        found = standing(self, asked, token, None if bank is None else held_by(self, bank))
        return self._told(found, token, layer)

    def journey(self, k: int = 10, position: bool = True, isolated: bool = False) -> Journey:
        """What becomes of every token on its way up: rank of and cosine to its own input embedding, stage by stage.

        `position`: the embedding as block 0 gets it at the token's place, or without the position. `k`: how many
        neighbours are compared between stages. `isolated`: the rank among the vocabulary read alone too, for which
        the model reads every token alone where `Scope.isolate` has not done so.
        """
        return self._told(journey(self, k, switch(position, "position"), switch(isolated, "isolated")))

    def mixing(self) -> Mixing:
        """How much of every layer's output comes from other positions; see `Mixing`."""
        return self._told(mixing(self))

    def glance(self) -> Glance:
        """Every head of this text in five numbers; see `Glance`."""
        return self._told(glance(self))

    def effects(self, token: int | str = 1, replaced_by: Replacement = "zero") -> Effects:
        """For each head, what the model's output at `token` loses when that head's z is replaced everywhere.

        By zeros, or by its mean over the text ("mean"). As many forward passes as there are heads, and one.
        """
        one_of("replacement", replaced_by, REPLACEMENTS)
        return self._told(effects(self, self.position_of(token), replaced_by), token)

    def removed(self, token: int | str = 1, layer: int = 0, replaced_by: Replacement = "zero") -> Removed:
        """What the output at `token` loses without each head of `layer`, in sentences.

        As many forward passes as the layer has heads, and one.
        """
        one_of("replacement", replaced_by, REPLACEMENTS)
        return self._told(removed(self, self.position_of(token), layer, replaced_by), token)

    def show(
        self,
        view: str = "heads",
        token: int | str = 1,
        layer: int = 0,
        space: Space = "value",
        reference: Reference | None = None,
        metric: Metric = "cosine",
        position: bool = True,
    ) -> View:
        """A view of the page, alive in a notebook's cell, which goes on without a kernel; `save` makes it a file.

        `view` is "heads" (nearest tokens and positions), "atlas", "attention", "written", "journey" or "layers". It can
        be moved to the other tokens and layers that fit, by which it is asked before it is shown. Raises InputError for
        a view or a choice that is not open.

        >>> view = scope.read("Time flies.").show("attention")  # as a cell's last line: the view itself
        >>> view.to_html().startswith("<!doctype html>"), "sandbox" in view._repr_html_()
        (True, True)
        """
        one_of("view", view, VIEWS)
        token = self.position_of(token)
        if view == "heads":
            near = self.nearest(token, layer, space, reference, metric, position)
            return View((near, self.nearest_positions(token, layer, metric)))
        if view == "atlas":
            return View((self.atlas(token, space, reference, metric, position),))
        if view == "attention":
            return View((self.attention(token, layer),))
        if view == "written":
            return View((self.written(layer, space, reference, metric, position),))
        if view == "journey":
            return View((self.journey(position=position), self.mixing()))
        return View((self.glance(), self.atlas(token, space, reference, metric, position)))

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
