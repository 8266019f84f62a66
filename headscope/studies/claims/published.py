"""The arithmetic that the experiment published, so that its findings can be told from what it did not compute.

Its code multiplied by `nn.Linear.weight` as it is stored, (out, in), and left the bias out: with X [position, d_model]
a layer's hidden states and W the stored matrix of its value projection, Ṽ = X W, where the model has X Wᵀ + b. The
columns are split by head, and mixed with the model's own pattern, z̃_i = Σ_j α_ij ṽ_j. The vocabulary is
R̃_t = LN(E_t + P_p) W⁰ at every layer, LN the embedding norm, P_p what the model adds at position p (RoBERTa keeps it
in row p + 2); without the token type. It takes a square W_V, absolute positions and an embedding norm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from headscope.cores.one_thread import alone
from headscope.errors import InputError
from headscope.keep.memory import Memory
from headscope.model.capture.capture import held
from headscope.model.capture.heads import HeadTensors
from headscope.model.capture.norms import Norm
from headscope.model.capture.runner import Text
from headscope.model.capture.stored import brought, device_of, is_plain
from headscope.model.feed.positions import Spot
from headscope.model.feed.projections import measure_projections
from headscope.model.opened import Opened
from headscope.model.surroundings import settled
from headscope.neighbors import Place, Table
from headscope.question.choices import Reference, Space
from headscope.reading.bench import Bench
from headscope.scope import Scope
from headscope.vocabulary import Encoded, Vocabulary
from headscope.vocabulary.closed_form import inverse_spreads, unnormalised
from headscope.vocabulary.isolated import Isolated
from headscope.vocabulary.stem import Stem, measured

_SAME = 1e-3  # of the largest entry: how the stored matrix is told among a layer's parameters
_ROWS = 8192
KEPT_BYTES = 2**29  # of encodings: claims go layer by layer, and come back to layer 0 alone


@dataclass(frozen=True)
class Stored:
    """What the published arithmetic takes from a model: W of every layer as stored, and the norm."""

    weights: Tensor  # [layer, d_model, d_model]
    heads: int
    norm: Norm


@settled
def stored(bench: Bench) -> Stored:
    """The weights that the published arithmetic takes; InputError, with what is missing, where it has no meaning."""
    opened, card = bench.opened, bench.card
    feed, first = opened.feed, opened.anatomy.blocks[0]
    missing = []
    width = card.kv_heads * card.d_head
    if width != card.d_model:
        missing.append(f"its W_V is {card.d_model} × {width}, not square")
    if len(opened.positions.modules) != 1:
        missing.append("it adds no absolute positions to its input")
    norm = feed.norm(0)
    # A norm that is part of the first block (pre-norm) is none of the embeddings.
    inside = {id(module) for module in first.module.modules()}
    if norm is None or id(norm.module) in inside:
        missing.append("it has no norm of the embeddings")
    embedded = opened.model.get_input_embeddings()(torch.zeros(1, 1, dtype=torch.int64, device=device_of(opened.model)))
    if embedded.shape[-1] != card.d_model:
        missing.append(f"its embeddings have {embedded.shape[-1]} numbers, its layers {card.d_model}")
    if missing:
        raise InputError(f"the published arithmetic has no meaning for {card.name}: {'; '.join(missing)}.")
    assert norm is not None, "else it is missing"
    weights = []
    for layer in range(card.layers):
        found = _as_stored(opened, layer)
        if found is None:
            raise InputError(
                f"the published arithmetic has no meaning for {card.name}: layer {layer} does not keep W_V as a matrix "
                "of its own."
            )
        weights.append(found)
    return Stored(torch.stack(weights), card.heads, norm)


def _as_stored(opened: Opened, layer: int) -> Tensor | None:
    """The parameter of the layer that is its value projection, as it lies in memory; None where there is none."""
    measured = measure_projections(opened.feed, layer).v
    if measured is None:
        return None
    matrix = measured.weight.transpose(0, 1).flatten(1)  # (in, head · d_head): v = x · matrix
    for module in opened.anatomy.blocks[layer].attention.modules():
        with brought(module):
            for parameter in module.parameters(recurse=False):
                if parameter.shape != matrix.shape or not is_plain(parameter):
                    continue
                kept = parameter.detach().float().cpu()
                # nn.Linear keeps (out, in), Conv1D (in, out); the published code took either as it was.
                if any(
                    float((kept - way).abs().amax()) <= _SAME * float(way.abs().amax()) for way in (matrix.T, matrix)
                ):
                    return kept
    return None


class Published(Scope):
    """A scope whose readings follow the published arithmetic; their patterns, tokens and streams are the model's own.

    Only the space `value` under the reference `input` is open: the published code had no other.
    """

    def __init__(self, scope: Scope) -> None:
        """Raises InputError where the published arithmetic has no meaning for the model."""
        super().__init__(PublishedBench(scope.bench))


class PublishedBench(Bench):
    """A model's bench, with the vocabulary, the values and the outputs of the published arithmetic."""

    goes_by_streams = True

    def __init__(self, own: Bench) -> None:
        """Raises InputError where the published arithmetic has no meaning for the model."""
        self.stored = stored(own)
        super().__init__(
            own.opened,
            replace(own.card, why=f"{own.card.why}; read by the published arithmetic"),
            lambda: PublishedBench(own.anew()),
            Memory(KEPT_BYTES),
            lambda opened, memory, alone: PublishedVocabulary(opened, memory, alone, self.stored),
        )

    def seen(self, heads: Sequence[HeadTensors], texts: Sequence[Text]) -> Sequence[HeadTensors]:
        """Ṽ and z̃ of every layer in the place of the model's own, mixed with its own pattern."""
        found = []
        for one, text in zip(heads, texts, strict=True):
            assert one.residual is not None, "what this bench goes by is watched"
            # What each block gets; the last row is what the last block returns.
            values = (one.residual[:-1] @ self.stored.weights).unflatten(-1, (self.stored.heads, -1))
            patterns = one.pattern  # (L, H, Q, S)
            if patterns is None:  # not captured, because large: asked for layer by layer
                patterns = torch.stack([self.opened.pattern(text, layer).pattern for layer in range(len(values))])
            found.append(replace(one, v=values, z=torch.einsum("lhqs,lshd->lqhd", patterns, values)))
        return found


class PublishedVocabulary(Vocabulary):
    """R̃_t of the whole vocabulary, factored like every table: R̃ = u_t(p) (G(E_t) W + G(P_p) W) + b W.

    G(y) = s(y) (N(y) − b) is linear in y, N the embedding norm, b = N(0), s(y) its spread, u_t(p) = 1 / s(E_t + P_p).
    """

    def __init__(self, opened: Opened, memory: Memory, alone: Isolated, kept: Stored) -> None:
        super().__init__(opened, memory, alone)
        self._stored = kept

    def encoded(
        self, space: Space, reference: Reference | None, layer: int, spot: Spot | None, queries: int | None = None
    ) -> Encoded:
        """As `Vocabulary.encoded`; InputError for all but the value space under layer 0's reference."""
        if (space, reference) != ("value", "input"):
            raise InputError(
                f"the published arithmetic has no space {space!r} under the reference {reference!r}; open: space "
                "value, reference input."
            )
        table = self._keep(("published",), self._table)
        (place,) = self._places([spot])
        return Encoded(table, place, "closed form", 0.0)

    def expect(self, space: Space, reference: Reference | None, layer: int, spots: Iterable[Spot | None]) -> None:
        """As `Vocabulary.expect`."""
        self._places(spots)

    def _table(self) -> Table:
        rows = torch.cat([self._through(self._gained(part)) for part in self._embedded().split(_ROWS)])
        bias = self.feed.normalised(torch.zeros_like(self._embedded()[:1]), 0)
        return Table.pack(rows.transpose(0, 1), self._through(bias)[0])  # (head, V, d_head)

    def _places(self, spots: Iterable[Spot | None]) -> list[Place]:
        def make(new: list[Spot | None]) -> list[Place]:
            stem = self._keep(("published", "stem"), self._stem_of_embeddings)
            added = [stem.added if spot is None else spot.rows[0].to(stem.added) for spot in new]
            scales = inverse_spreads(self.feed, 0, "v", stem, added)
            shifts = [self._through(self._gained(one[None]))[0] for one in added]
            return [Place(scale, shift) for scale, shift in zip(scales, shifts, strict=True)]

        with alone():
            return self._cache.made_together({("published", spot): spot for spot in spots}, make)

    def _stem_of_embeddings(self) -> Stem:
        rows = self._stored.norm.centred(self._embedded())
        return measured(rows, self._stored.norm, 1.0, torch.zeros_like(rows[0]), is_own=False)

    def _embedded(self) -> Tensor:
        """E [token, d_model], as the model's own embedding module gives it."""
        ids = torch.arange(self.size, device=device_of(self.feed.model))
        embeddings = self.feed.model.get_input_embeddings()
        with held(embeddings):
            found: Tensor = embeddings(ids).float()
        return found.to(self.feed.device)

    def _gained(self, y: Tensor) -> Tensor:
        """G(y) [row, d_model]."""
        return unnormalised(self.feed, 0, "v", y)

    def _through(self, rows: Tensor) -> Tensor:
        """rows W⁰ by head: [row, head, d_head]."""
        found: Tensor = (rows @ self._stored.weights[0].to(rows)).unflatten(-1, (self._stored.heads, -1))
        return found
