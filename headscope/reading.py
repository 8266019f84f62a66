"""Reading: one text that a model has read, and the questions that can be asked of its heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import Tensor

from headscope.errors import InputError, ModelError
from headscope.model.heads import Captured
from headscope.model.passes import Mask
from headscope.model.tokens import Token, find
from headscope.neighbors import METRICS, Metric, Nearest, Table, distances, search
from headscope.results import Atlas, Comparison, Neighbors, PositionNeighbors, Question, compared, named
from headscope.vocabulary import Vocabulary, notes
from headscope.vocabulary.choices import Candidates, Reference, Space, check, one_of

if TYPE_CHECKING:
    from headscope.scope import Scope

Against = Literal["z", "v"]


class Reading:
    """A text as the heads of a model read it; made by `Scope.read`.

    `tokens`: the tokens of the text. `z` float32 [layer, position, head, d_head]: each head's output before
    concatenation. `q` like z; `k`, `v` float32 [layer, position, kv_head, d_head], as the attention used them. All on
    the CPU.
    """

    def __init__(
        self,
        scope: Scope,
        text: str,
        mask: Mask,
        tokens: tuple[Token, ...],
        heads: Captured,
        notes: tuple[str, ...],
        context: tuple[Token, ...] | None = None,
    ) -> None:
        self._scope = scope
        self._opened = scope._opened
        self.text, self.mask, self.tokens, self.notes = text, mask, tokens, notes
        self.q, self.k, self.v, self.z = heads.q, heads.k, heads.v, heads.z
        self._pattern = heads.pattern
        self._context = context  # what the encoder read, for a decoder

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

    def pattern_of(self, layer: int) -> Tensor:
        """Attention weights of one layer: float32 [head, query, source].

        A long text's patterns are not kept; the model is run again for the layer that is asked for.
        """
        self._check_layer(layer)
        if self._pattern is not None:
            return self._pattern[layer]
        self._scope._vocabulary_for(self._opened)  # refuses where the weights have changed
        context = None if self._context is None else [token.id for token in self._context]
        return self._opened.pattern([token.id for token in self.tokens], self.mask, context, layer)

    def position_of(self, token: int | str) -> int:
        """The position that `token` (a position, or the text of exactly one token) means; InputError if none."""
        return find(token, self.tokens, self.text)

    def nearest(
        self,
        token: int | str | Sequence[int | str] = 1,
        layer: int = 0,
        space: Space = "value",
        reference: Reference = "input",
        metric: Metric = "cosine",
        position: bool = True,
        k: int = 15,
        candidates: Candidates = "all",
    ) -> Neighbors:
        """For each head of `layer`, the `k` vocabulary tokens that its output at `token` is nearest to.

        `reference` says whose projection encodes the vocabulary (layer 0's or the layer's own), `position` whether
        with the position embedding of the token's place, `candidates` which tokens may be neighbours ("words"
        leaves out special, unused and byte tokens). Exact; ties stand in the order of their ids. For a list of
        tokens every tensor has a leading axis. Raises InputError for a choice that is not open.
        """
        vocabulary = self._ask(space, reference, metric, candidates, layer, k)
        listed = isinstance(token, Sequence) and not isinstance(token, str)
        selected = [self.position_of(one) for one in token] if listed else [self.position_of(token)]  # type: ignore[union-attr, arg-type]
        if not selected:
            raise InputError("the list of tokens is empty: give at least one.")
        projection = 0 if reference == "input" else layer
        near, table = self._search(vocabulary, selected, layer, projection, metric, position, k, candidates)
        ids, ranks, near_distances = near.ids, near.ranks, near.distances
        own_rank, own_distance = near.own_rank, near.own_distance
        if not listed:
            ids, ranks, near_distances, own_rank, own_distance = (
                tensor[0] for tensor in (ids, ranks, near_distances, own_rank, own_distance)
            )
        names = self._opened.names
        tokens = tuple(self.tokens[p] for p in selected)
        return Neighbors(
            question=Question(layer, space, reference, metric, position and vocabulary.has_positions, candidates),
            tokens=tokens,
            ids=ids,
            distances=near_distances,
            ranks=ranks,
            own_rank=own_rank,
            own_distance=own_distance,
            names=named(near.ids, names) | {t.id: names[t.id] for t in tokens},
            notes=self._notes(vocabulary, layer, reference, position, table),
        )

    def compare(
        self,
        other: Reading,
        token: int | str = 1,
        layer: int = 0,
        space: Space = "value",
        reference: Reference = "input",
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
        self._check_layer(layer)
        position = self.position_of(token)
        others = self.z[layer] if against == "z" else self._values(layer)  # (S, H, d_head)
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
        reference: Reference = "layer",
        metric: Metric = "cosine",
        position: bool = True,
        candidates: Candidates = "all",
    ) -> Atlas:
        """For every layer and head, the vocabulary token that its output at `token` is nearest to."""
        vocabulary = self._ask(space, reference, metric, candidates, layer=0, k=1)
        selected = self.position_of(token)
        layers = range(len(self.z))
        found = [
            self._search(
                vocabulary,
                [selected],
                layer,
                0 if reference == "input" else layer,
                metric,
                position,
                1,
                candidates,
            )
            for layer in layers
        ]
        ids = torch.stack([near.ids[0, :, 0] for near, _ in found])  # (L, H)
        names = self._opened.names
        own = self.tokens[selected]
        return Atlas(
            question=Question(None, space, reference, metric, position and vocabulary.has_positions, candidates),
            token=own,
            ids=ids,
            distances=torch.stack([near.distances[0, :, 0] for near, _ in found]),
            own_rank=torch.stack([near.own_rank[0] for near, _ in found]),
            names=named(ids, names) | {own.id: names[own.id]},
            notes=self._notes(vocabulary, None, reference, position, found[0][1]),
        )

    def _ask(self, space: str, reference: str, metric: str, candidates: str, layer: int, k: int) -> Vocabulary:
        """The vocabulary, once the choices are known to be open."""
        check(space, reference, metric, candidates)
        self._check_layer(layer)
        vocabulary = self._scope._vocabulary_for(self._opened)
        most = int(self._opened.names.words.sum()) if candidates == "words" else vocabulary.size
        if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= most:
            raise InputError(f"k is {k!r}; it is a number from 1 to {most} (the candidates).")
        return vocabulary

    def _check_layer(self, layer: int) -> None:
        last = len(self.z) - 1
        if isinstance(layer, bool) or not isinstance(layer, int) or not 0 <= layer <= last:
            raise InputError(f"there is no layer {layer!r}; the model's layers are 0 to {last}.")

    def _search(
        self,
        vocabulary: Vocabulary,
        selected: list[int],
        layer: int,
        projection: int,
        metric: Metric,
        position: bool,
        k: int,
        candidates: Candidates,
    ) -> tuple[Nearest, Table]:
        """Neighbours of the outputs of `layer` at the selected positions, and the table of `projection` they are in."""
        lost = [p for p in selected if not bool(self.z[layer, p].isfinite().all())]
        if lost:
            raise ModelError(
                f"the outputs of layer {layer} at position {lost[0]} ({self.tokens[lost[0]].label}) are not finite: "
                "the model itself computes no numbers there."
            )
        encoded = [vocabulary.encoded(projection, p if position else None) for p in selected]
        table = encoded[0].table
        device = table.rows.device
        allowed = None
        if candidates == "words":
            allowed = self._opened.names.words.to(device)
        most = table.candidates if allowed is None else int((table.finite & allowed).sum())
        if k > most:
            raise InputError(f"k is {k}; only {most} tokens can be neighbours.")
        own = torch.tensor([self.tokens[p].id for p in selected], device=device)
        z = self.z[layer, selected].to(device)
        everything = list(range(len(selected)))
        # Where the closed form does not hold, every position has a table of its own.
        groups = [everything] if all(one.table is table for one in encoded) else [[n] for n in everything]
        found = [
            search(
                encoded[group[0]].table,
                [encoded[n].place for n in group],
                z[group],
                own[group],
                place_of=torch.arange(len(group), device=device),
                k=k,
                metrics=(metric,),
                candidates=allowed,
            )[metric]
            for group in groups
        ]
        return _on_cpu(found), table

    def _values(self, layer: int) -> Tensor:
        """The values that each head mixes: [position, head, d_head]; grouped heads share theirs."""
        return self.v[layer].repeat_interleave(self.z.shape[2] // self.v.shape[2], dim=1)

    def _notes(
        self, vocabulary: Vocabulary, layer: int | None, reference: Reference, position: bool, table: Table
    ) -> tuple[str, ...]:
        found = list(self.notes)
        if reference == "input" and layer != 0 and not vocabulary.one_value_space:
            found.append(notes.foreign_basis(layer))
        if not vocabulary.has_positions:
            found += notes.no_positions(position)
        found += notes.not_finite([self._opened.names[id] for id in table.not_finite.tolist()])
        return tuple(found)


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
