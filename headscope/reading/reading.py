"""Reading: one text that a model has read, and the questions that can be asked of its heads."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Literal, cast, get_args

import torch
from torch import Tensor

from headscope.errors import InputError
from headscope.model.capture.edits import Edits, Kind
from headscope.model.capture.heads import Captured
from headscope.model.capture.passes import Mask
from headscope.model.capture.stages import Stages
from headscope.model.feed.projections import output_weights
from headscope.model.opened import Opened, Text
from headscope.model.surroundings import settled_class
from headscope.model.tokens import Token, find
from headscope.neighbors import METRICS, Metric, Table, distances
from headscope.question import notes
from headscope.question.choices import Candidates, Reference, Space, Vector, check, one_of, resolved
from headscope.question.given import as_seed, in_order, number, whole
from headscope.reading import layers
from headscope.reading.answer import named
from headscope.reading.atlas import Atlas
from headscope.reading.attention import Attention
from headscope.reading.background import Background, background
from headscope.reading.bank import Bank
from headscope.reading.comparison import Comparison, compared
from headscope.reading.finding import Finder, Question
from headscope.reading.layers import Effects, Glance, Journey, Mixing
from headscope.reading.map import Map
from headscope.reading.map.layouts import Method, Tell, Way
from headscope.reading.map.plan import plan
from headscope.reading.nearest import Ends, Neighbors
from headscope.reading.positions import PositionNeighbors
from headscope.reading.why import Why
from headscope.reading.worked import Worked, worked
from headscope.vocabulary import Vocabulary
from headscope.vocabulary.kinds import TextKinds

if TYPE_CHECKING:
    from headscope.scope import Scope

Against = Literal["z", "v"]
Weigh = Literal["weights", "norms"]


@settled_class
class Reading:
    """A text as the heads of a model read it; made by `Scope.read`.

    `tokens`: the tokens of the text. `z` float32 [layer, position, head, d_head]: each head's output before
    concatenation. `q` like z; `k`, `v` float32 [layer, position, kv_head, d_head], as the attention used them. All on
    the CPU. `spots`: where each token stood, as the model counted it.
    """

    def __init__(
        self,
        scope: Scope,
        opened: Opened,
        text: str,
        mask: Mask,
        tokens: tuple[Token, ...],
        heads: Captured,
        notes: tuple[str, ...],
        context: tuple[Token, ...] | None = None,
        edit: Edits | None = None,
    ) -> None:
        self._scope, self._opened = scope, opened
        self.text, self.mask, self.tokens, self.notes = text, mask, tokens, notes
        self.q, self.k, self.v, self.z = heads.q, heads.k, heads.v, heads.z
        self._pattern, self.spots = heads.pattern, heads.spots
        # `context` is what the encoder read, for a decoder.
        read = None if context is None else [token.id for token in context]
        self.edit = edit or {}
        self._input = Text([token.id for token in tokens], mask, read, self.edit)
        self._stages: tuple[Stages, ...] | None = None
        self._residual: Tensor | None = None

    def __repr__(self) -> str:
        labels = " ".join(token.label for token in self.tokens[:12]) + (" …" if len(self.tokens) > 12 else "")
        layers, positions, heads, _ = self.z.shape
        return (
            f"Reading of {positions} tokens by {self._scope.card.name}, {layers} layers × {heads} heads, "
            f"mask {self.mask!r}\n{labels}"
        )

    @property
    def nbytes(self) -> int:
        """Memory the reading holds, in bytes."""
        return sum(part.nbytes for part in (self.q, self.k, self.v, self.z, self._pattern) if part is not None)

    @property
    def pattern(self) -> Tensor:
        """Attention weights of all layers: float32 [layer, head, query, source]."""
        if self._pattern is None:
            self._pattern = torch.stack([self.pattern_of(layer) for layer in range(len(self.z))])
        return self._pattern

    def pattern_of(self, layer: int, weigh: Weigh = "weights") -> Tensor:
        """Attention of one layer: float32 [head, query, source].

        The weights α_ij, or with `weigh` "norms" the lengths ‖α_ij v_j W_O‖ of what each source adds to the residual
        stream (Kobayashi et al. 2020, arXiv 2004.10102). A long text's patterns are not kept; the model is run again
        for the layer that is asked for.
        """
        layer = self._layer(layer)
        one_of("way to weigh", weigh, get_args(Weigh))
        if self._pattern is not None:
            weights = self._pattern[layer]
        else:
            self._check_weights()
            weights = self._opened.pattern(self._input, layer)
        return weights if weigh == "weights" else weights * self._lengths(layer)[:, None]

    def _lengths(self, layer: int) -> Tensor:
        """‖v_j W_O‖ for each head and source: [head, source]."""
        self._check_weights()
        w_o = output_weights(self._opened.feed, layer)[0].double().cpu()  # (H, d_head, d_model)
        v = self.vectors("v", layer).double()  # (S, H, d_head)
        squares = torch.einsum("she,hef,shf->hs", v, w_o @ w_o.mT, v)  # (H, S)
        return squares.clamp_min(0).sqrt().float()

    def attention(self, token: int | str = 1, layer: int = 0, weigh: Weigh = "weights") -> Attention:
        """For each head of `layer`, how much of each position's value it mixes into its output at `token`.

        By attention weights, or with `weigh` "norms" by the lengths of what they let through; see `pattern_of`.
        """
        position = self.position_of(token)
        one_of("way to weigh", weigh, get_args(Weigh))
        layer = self._layer(layer)
        weights = self.pattern_of(layer)[:, position]  # (H, S)
        lost = float(1 - weights.sum(-1).min())
        return Attention(
            layer=layer,
            weigh=weigh,
            token=self.tokens[position],
            tokens=self.tokens,
            shares=weights if weigh == "weights" else weights * self._lengths(layer),
            notes=(*self.notes, *notes.sinks(lost)),
        )

    @cached_property
    def _kinds(self) -> TextKinds:
        return TextKinds(self._opened.names, self.tokens)

    def position_of(self, token: int | str) -> int:
        """The position that `token` (a position, or the text of exactly one token) means; InputError if none."""
        return find(token, self.tokens, self.text)

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary's encodings by the weights that the text was read with; InputError if they have changed."""
        return self._scope._vocabulary_for(self._opened)

    @property
    def stages(self) -> tuple[Stages, ...]:
        """What every block does to the residual stream, [text, position, d_model] of one text.

        The model is run again for it when it is first asked for.
        """
        if self._stages is None:
            self._check_weights()
            text = self._input
            self._stages = self._opened.stages([text.ids], text.mask, text.contexts(1), [text.edit])
        return self._stages

    @property
    def residual(self) -> Tensor:
        """The residual stream: float32 [layer + 1, position, d_model], what each block gets and the last returns.

        The model is run again for it when it is first asked for.
        """
        if self._residual is None:
            self._check_weights()
            self._residual = self._opened.streams([self._input])[0]
        return self._residual

    def vectors(self, vector: Vector, layer: int) -> Tensor:
        """z, q, k or v of one layer for every query head: [position, head, d_head]; grouped heads share k and v."""
        found: Tensor = getattr(self, vector)[self._layer(layer)]
        return found.repeat_interleave(self.z.shape[2] // found.shape[1], dim=1)

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
        """
        check(space, reference, metric, candidates, vector)
        listed = isinstance(token, Iterable) and not isinstance(token, str) and whole(token) is None
        selected = [self.position_of(one) for one in (in_order(token, "tokens") if listed else [cast(int, token)])]
        if not selected:
            raise InputError("the list of tokens is empty: give at least one.")
        reference = resolved(space, reference)
        layer = self._layer(layer)
        k, at = self._k(k, candidates), self._at(at)
        finder = self._finder(layer, space, reference, metric, position, candidates, vector, at)
        near, table = finder.search(layer, selected, k)
        self._scope._vouch(self._opened, near.ids)
        suppressed = None
        if space in ("embedding", "unembedding") and metric != "euclidean":
            ends = finder.farthest(layer, selected, k)
            self._scope._vouch(self._opened, ends.ids)
            suppressed = Ends(ends.ids, ends.distances)
        names = self._opened.names
        tokens = tuple(self.tokens[p] for p in selected)
        ids = near.ids if suppressed is None else torch.cat([near.ids, suppressed.ids])
        found = Neighbors(
            question=finder.question,
            tokens=tokens,
            ids=near.ids,
            distances=near.distances,
            ranks=near.ranks,
            own_rank=near.own_rank,
            own_distance=near.own_distance,
            kinds=self._kinds.of(near.ids, torch.tensor([token.id for token in tokens])[:, None, None]),
            places=self._kinds.places(ids),
            names=named(ids, names) | {t.id: names[t.id] for t in tokens},
            notes=self._notes(finder, position, table),
            suppressed=suppressed,
            reading=self,
        )
        return found if listed else found.each()[0]

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
        return self.nearest(token, layer, "key", "layer", "dot", True, k, candidates, "q", source)

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
        return self.nearest(token, layer, "query", "layer", "dot", True, k, candidates, "k", query)

    def why(self, near: Neighbors, head: int, id: int) -> Why:
        """The exact split of a token's score in one head's answer over the positions that the head mixed.

        z = Σ_j α_ij v_j, so ⟨z, R⟩ is the sum of α_ij ⟨v_j, R⟩; for cosine divided by |z||R|; for euclidean these are
        the dot product's shares. Raises InputError for an answer about several tokens or about q, k or v.
        """
        asked = near.question
        layer, head, id = self._asked(near, head, id)
        split = Finder(self, self.vocabulary, asked).split(layer, near.tokens[0].position, head, id)
        return Why(asked, near.tokens[0], head, self._opened.names[id], self.tokens, split)

    def work_out(self, near: Neighbors, head: int, id: int) -> Worked:
        """One distance of an answer worked out from the start: q·k, softmax, Σ α v, and the distance.

        Raises InputError for an answer about several tokens or about q, k or v.
        """
        _, head, id = self._asked(near, head, id)
        finder = Finder(self, self.vocabulary, near.question)
        return worked(self, near, head, id, finder, self._opened.names[id])

    def _asked(self, near: Neighbors, head: int, id: int) -> tuple[int, int, int]:
        """Layer, head and id of an answer of one layer about one token's z; InputError for another, or none such."""
        asked = near.question
        if asked.layer is None or near.ids.dim() != 2 or asked.vector != "z":
            raise InputError("this is asked of an answer about one token's z: near.each() gives them one by one.")
        heads, size = near.ids.shape[0], self.vocabulary.size
        head = number(head, range(heads), f"there is no head {head!r}; the layer's heads are 0 to {heads - 1}.")
        return asked.layer, head, number(id, range(size), f"there is no token id {id!r}; ids are 0 to {size - 1}.")

    def background(self, near: Neighbors, bank: Bank | None = None) -> Background:
        """What a bank of other texts' outputs says of an answer of this reading: hub-aware neighbours, and chance.

        `near` is an answer about one token's z; `bank` None: the sentences that come with headscope, under the
        reading's mask. This very text is left out of the bank. Raises InputError for an answer or a bank that do not
        fit.
        """
        held = self._scope.bank(mask=self.mask) if bank is None else bank
        return background(self, self._scope._vocabulary_for(self._opened), self._scope._banks, near, held)

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
        selected = self.position_of(token)
        return compared(
            self.nearest(selected, layer, space, reference, metric, position, k, candidates),
            other.nearest(selected, layer, space, other_reference or reference, metric, position, k, candidates),
        )

    def nearest_positions(
        self, token: int | str = 1, layer: int = 0, metric: Metric = "cosine", against: Against = "z"
    ) -> PositionNeighbors:
        """For each head of `layer`, the positions of the text by their distance from its output at `token`.

        Compared with the head's outputs there (`against="z"`), or with the values there that it mixes ("v").
        """
        one_of("metric", metric, METRICS)
        one_of("against", against, get_args(Against))
        layer = self._layer(layer)
        position = self.position_of(token)
        others = self.vectors(against, layer)  # (S, H, d_head)
        apart = distances(metric, self.z[layer, position], others).T  # (H, S)
        order = apart.argsort(dim=-1, stable=True)
        return PositionNeighbors(
            layer=layer,
            metric=metric,
            against=against,
            token=self.tokens[position],
            tokens=self.tokens,
            positions=order,
            distances=apart.gather(-1, order).float(),
            notes=self.notes,
        )

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
        """
        check(space, reference, metric, candidates)
        reference = resolved(space, reference)
        selected = self.position_of(token)
        finder = self._finder(None, space, reference, metric, position, candidates, "z", None)
        found = [finder.search(layer, [selected], 1) for layer in range(len(self.z))]
        ids = torch.stack([near.ids[0, :, 0] for near, _ in found])  # (L, H)
        self._scope._vouch(self._opened, ids)
        names = self._opened.names
        own = self.tokens[selected]
        return Atlas(
            question=finder.question,
            token=own,
            ids=ids,
            distances=torch.stack([near.distances[0, :, 0] for near, _ in found]),
            own_rank=torch.stack([near.own_rank[0] for near, _ in found]),
            kinds=self._kinds.of(ids, torch.tensor(own.id)),
            places=self._kinds.places(ids),
            names=named(ids, names) | {own.id: names[own.id]},
            notes=self._notes(finder, position, found[0][1]),
        )

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
        check(space, reference, metric, candidates)
        reference = resolved(space, reference)
        layer = self._layer(layer)
        k, at, way = self._k(k, candidates), self._at(at), Way(method, perplexity, as_seed(seed))
        finder = self._finder(layer, space, reference, metric, at is not None, candidates, "z", at)
        planned = plan(self, finder, head, way, size, k, at)
        return planned.map(self._scope._layouts, progress)

    def journey(self, k: int = 10, position: bool = True, isolated: bool = False) -> Journey:
        """What becomes of every token on its way up: rank of and cosine to its own input embedding, stage by stage.

        `position`: the embedding as block 0 gets it at the token's place, or without the position. `k`: how many
        neighbours are compared between stages. `isolated`: the rank among the vocabulary read alone too, for which
        the model reads every token alone where `Scope.isolate` has not done so.
        """
        k = self._k(k)
        if isolated:
            self._scope.isolate(what="streams")
        return layers.journey(self, k, position, isolated)

    def mixing(self) -> Mixing:
        """How much of every layer's output comes from other positions; see `Mixing`."""
        return layers.mixing(self)

    def glance(self) -> Glance:
        """Every head of this text in five numbers; see `Glance`."""
        return layers.glance(self)

    def effects(self, token: int | str = 1, replaced_by: Kind = "zero") -> Effects:
        """For each head, what the model's output at `token` loses when that head's z is replaced everywhere.

        By zeros, or by its mean over the text ("mean"). As many forward passes as there are heads, and one.
        """
        one_of("replacement", replaced_by, get_args(Kind))
        return layers.effects(self, self.position_of(token), replaced_by)

    def _finder(
        self,
        layer: int | None,
        space: Space,
        reference: Reference | None,
        metric: Metric,
        position: bool,
        candidates: Candidates,
        vector: Vector,
        at: int | None,
    ) -> Finder:
        """What answers a question, once the choices are known to be open."""
        vocabulary = self.vocabulary
        if reference == "isolated":
            self._scope.isolate()
        moves = position and reference != "isolated" and vocabulary.moves(space)
        question = Question(layer, space, reference, metric, moves, candidates, vector, at if moves else None)
        return Finder(self, vocabulary, question)

    def _check_weights(self) -> None:
        """Refuse to run a model again whose weights have changed since the text was read."""
        self._scope._vocabulary_for(self._opened)

    def _k(self, k: int, candidates: Candidates = "all") -> int:
        names = self._opened.names
        most = int(names.words.sum()) if candidates == "words" else names.vocab_size
        return number(k, range(1, most + 1), f"k is {k!r}; it is a number from 1 to {most} (the candidates).")

    def _layer(self, layer: int) -> int:
        layers = len(self.z)
        return number(layer, range(layers), f"there is no layer {layer!r}; the model's layers are 0 to {layers - 1}.")

    def _at(self, at: int | None) -> int | None:
        if at is None:
            return None
        limit = self._opened.positions.limit
        to = "from 0" if limit is None else f"0 to {limit - 1}"
        open_ones = range(sys.maxsize if limit is None else limit)
        return number(at, open_ones, f"there is no position {at!r}; the model's positions are {to}.")

    def _notes(self, finder: Finder, position: bool, table: Table) -> tuple[str, ...]:
        asked, vocabulary = finder.question, finder.vocabulary
        found = [*self.notes, *notes.space(asked.space, asked.vector)]
        if asked.space == "fitted" and self._scope.lens is not None:
            found += self._scope.lens.notes(asked.layer, self.mask)
        if asked.reference == "input" and asked.layer != 0 and not vocabulary.one_value_space:
            found.append(notes.foreign_basis(asked.layer))
        if asked.reference == "isolated":
            found += notes.alone(position, self.mask, self._input.context is not None)
        elif asked.space in ("key", "query") and vocabulary.turns:
            found.append(notes.turned(asked.use_position))
        elif position and asked.reference is not None and not vocabulary.has_positions:
            found += notes.no_positions(position)
        found += notes.beyond(asked.at, len(self.tokens))
        if asked.space == "unembedding" and vocabulary.unembedding.squashed:
            found.append(notes.squashed())
        lacking = range(0)
        if asked.space == "unembedding":
            logits = vocabulary.unembedding.logits
            found += notes.other_rows(logits, vocabulary.size)
            lacking = range(logits, vocabulary.size)
        found += notes.not_finite([self._opened.names[id] for id in table.not_finite.tolist() if id not in lacking])
        return tuple(found)
