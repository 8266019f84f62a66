"""What one pass over a text left: its tokens, what every head did with them, and the bench it was read on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

from headscope.errors import InputError
from headscope.model.capture.edits import Edits, check_edits, named_edits
from headscope.model.capture.heads import HeadTensors, LayerPattern
from headscope.model.capture.hooks import judged
from headscope.model.capture.runner import Text
from headscope.model.capture.stages import Stages
from headscope.model.feed.positions import Spot
from headscope.model.lengths import alike
from headscope.model.opened import Opened
from headscope.model.passages import Tokenized
from headscope.model.staying import Stays
from headscope.model.surroundings import settled_class
from headscope.model.tokens import Token, find
from headscope.question import notes
from headscope.question.choices import MASKS, VECTORS, WEIGH, Mask, Vector, Weigh, one_of
from headscope.question.passage import Passage
from headscope.reading.bench import Bench, Changed
from headscope.vocabulary import Vocabulary
from headscope.vocabulary.kinds import TextKinds
from headscope.vocabulary.witness import Witness

_BATCH_TOKENS = 1024  # with padding; larger batches leave a core's cache, smaller ones no core has a part of
_KEPT = 2**26  # bytes of a layer's pattern that is kept by itself: 16 heads of a text of 1,000 tokens


@settled_class
class Captured(Stays):
    """A text as the heads of a model read it; it holds what the pass left, and asks nothing.

    `tokens`: the tokens of the text; `passage`: how it was given, where `text` is what their spans are slices of.
    `z` float32 [layer, position, head, d_head]: each head's output before concatenation. `q` like z; `k`, `v` float32
    [layer, position, kv_head, d_head], as the attention used them. All on the CPU. `spots`: where each token stood, as
    the model counted it. `input`: what the model was given, `bench`: the model with the weights that it had.
    """

    def __init__(
        self,
        bench: Bench,
        passage: Passage,
        read: Tokenized,
        given: Text,
        heads: HeadTensors,
        notes: tuple[str, ...],
    ) -> None:
        self.bench, self.passage, self.text, self.tokens, self.notes = bench, passage, read.text, read.tokens, notes
        self.input, self.mask, self.edit = given, given.mask, given.edit
        self.q, self.k, self.v, self.z = heads.q, heads.k, heads.v, heads.z
        self._pattern, self._visible, self.spots = heads.pattern, heads.visible, heads.spots
        self._asked: tuple[int, LayerPattern] | None = None  # of a long text: the layer that was asked for last
        self._stages: tuple[Stages, ...] | None = None
        self._residual = heads.residual

    def __repr__(self) -> str:
        labels = " ".join(token.label for token in self.tokens[:12]) + (" …" if len(self.tokens) > 12 else "")
        layers, positions, heads, _ = self.z.shape
        return (
            f"{type(self).__name__} of {positions} tokens by {self.bench.card.name}, {layers} layers × {heads} heads, "
            f"mask {self.mask!r}\n{labels}"
        )

    @property
    def nbytes(self) -> int:
        """Memory the reading holds, in bytes."""
        held = [self.q, self.k, self.v, self.z, self._pattern, self._visible, self._residual]
        held += [part for stages in self._stages or () for part in (stages.before, stages.middle, stages.after)]
        held += [row for spot in self.spots for row in spot.rows]
        held += [] if self._asked is None else [*self._asked[1]]
        return sum(part.nbytes for part in held if part is not None)

    @property
    def pattern(self) -> Tensor:
        """Attention weights of all layers: float32 [layer, head, query, source]."""
        if self._pattern is None:
            self._pattern = torch.stack([self.pattern_of(layer) for layer in range(len(self.z))])
            self._asked = None
        return self._pattern

    def pattern_of(self, layer: int, weigh: Weigh = "weights") -> Tensor:
        """Attention of one layer: float32 [head, query, source].

        The weights α_ij, or with `weigh` "norms" the lengths ‖α_ij v_j W_O‖ of what each source adds to the residual
        stream (Kobayashi et al. 2020, arXiv 2004.10102). A long text's patterns are not kept; the model is run again
        for the layer that is asked for, unless it was the last one.
        """
        layer = self.bench.layer(layer)
        one_of("way to weigh", weigh, WEIGH)
        weights = self._pattern[layer] if self._pattern is not None else self.attended(layer).pattern
        return weights if weigh == "weights" else weights * self.lengths(layer)[:, None]

    def attended(self, layer: int) -> LayerPattern:
        """The weights of one layer, and what each position may see under the mask: see `pattern_of`."""
        layer = self.bench.layer(layer)
        if self._pattern is not None and self._visible is not None:
            return LayerPattern(self._pattern[layer], self._visible[layer])
        asked = self._asked
        if asked is not None and asked[0] == layer:
            return asked[1]
        self.bench.check()
        found = self.bench.opened.pattern(self.input, layer)
        if found.pattern.nbytes <= _KEPT:
            self._asked = layer, found
        return found

    def lengths(self, layer: int) -> Tensor:
        """‖v_j W_O‖, the length of what each source would add to the stream: float32 [head, source]."""
        layer = self.bench.layer(layer)
        self.bench.check()
        w_o = self.bench.w_o(layer).double()  # (H, d_head, d_model)
        v = self.vectors("v", layer).double()  # (S, H, d_head)
        squares = torch.einsum("she,hef,shf->hs", v, w_o @ w_o.mT, v)  # (H, S)
        return squares.clamp_min(0).sqrt().float()

    def position_of(self, token: int | str) -> int:
        """The position that `token` (a position, or the text of exactly one token) means; InputError if none."""
        return find(token, self.tokens, self.text)

    def stands(self, position: int, placed: bool) -> Spot | None:
        """Where the vocabulary stands that `position` is compared with; not `placed`: at no position (None), or that
        of its token type alone."""
        return self.spots[position] if placed else self.spots[position].unplaced

    @cached_property
    def _kinds(self) -> TextKinds:
        return TextKinds(self.bench.opened.names, self.tokens)

    def kinds_of(self, ids: Tensor, own: Tensor) -> Tensor:
        """The kinds of vocabulary `ids`, seen from this text: uint8, indices of KINDS; `own` are the own tokens."""
        return self._kinds.of(ids, own)

    def places_of(self, ids: Tensor) -> dict[int, tuple[int, ...]]:
        """The positions of those `ids` that the text has, itself or in another form."""
        return self._kinds.places(ids)

    @property
    def vocabulary(self) -> Vocabulary:
        """The vocabulary's encodings by the weights that the text was read with; InputError if they have changed."""
        return self.bench.vocabulary

    @property
    def stages(self) -> tuple[Stages, ...]:
        """What every block does to the residual stream, [text, position, d_model] of one text.

        The model is run again for it when it is first asked for.
        """
        if self._stages is None:
            self.bench.check()
            self._stages = self.bench.opened.stages([self.input])
        return self._stages

    @property
    def residual(self) -> Tensor:
        """The residual stream: float32 [layer + 1, position, d_model], what each block gets and the last returns.

        The model is run again for it when it is first asked for, unless it was kept with the reading.
        """
        if self._residual is None:
            self.bench.check()
            self._residual = self.bench.opened.streams([self.input])[0]
        return self._residual

    def vectors(self, vector: Vector, layer: int) -> Tensor:
        """z, q, k or v of one layer for every query head: [position, head, d_head]; grouped heads share k and v."""
        one_of("vector", vector, VECTORS)
        found: Tensor = getattr(self, vector)[self.bench.layer(layer)]
        return found.repeat_interleave(self.z.shape[2] // found.shape[1], dim=1)


C = TypeVar("C", bound=Captured)


def capture(
    make: type[C],
    bench: Bench,
    passages: Sequence[Passage],
    mask: Mask,
    *,
    decoder_texts: Sequence[str] | None = None,
    truncate: bool = False,
    edits: Sequence[Edits] = (),
    residual: bool = False,
) -> list[C]:
    """Run passages through the model of a bench in padded batches, and `make` of each what was captured.

    `edits`: what is replaced, passage by passage; none: nothing. `residual`: the residual streams are kept too.

    Raises `Changed` where the model turns out to compute something else than when the bench was made.
    """
    one_of("mask", mask, MASKS)
    opened, edits = bench.opened, edits or [{}] * len(passages)
    with bench.lock:
        # Hooks that have come since are judged by the pass itself, so that who registered them sees no other.
        changed, come = opened.freshness.before_pass()
        if changed:
            raise Changed
        forms = bench.encodings.forms()
    if decoder_texts is not None and opened.stack.encoder is None:
        raise InputError("decoder_text is for a decoder: open an encoder-decoder with stack='decoder'.")
    opened.prove_mask(mask)
    wanted = passages if decoder_texts is None else [Passage(text) for text in decoder_texts]
    cut = [bench.cut(passage, truncate) for passage in wanted]
    contexts = [bench.context(passage, truncate=truncate) for passage in passages]
    for one, edit in zip(cut, edits, strict=True):
        check_edits(edit, opened.anatomy, len(one.tokens))
    cross = () if opened.stack.encoder is None else (notes.cross_attention(),)
    told = (*cross, *notes.unused(opened.unused))
    given = [
        Text(ids_of(one.tokens), mask, None if context is None else ids_of(context), edit, one.types)
        for one, context, edit in zip(cut, contexts, edits, strict=True)
    ]
    made: dict[int, C] = {}
    for batch in alike([len(text.ids) for text in given], _BATCH_TOKENS, opened.positions.together):
        some = [given[n] for n in batch]
        witness = Witness(forms, opened.model.get_input_embeddings())
        with witness.watching(), judged(opened.model, come) as changing:
            heads = opened.run(some, residual=residual or bench.goes_by_streams)
        if changing or not _same_embeddings(opened, some, witness.embedded) or witness.denied(heads[0]):
            opened.freshness.deny()
            raise Changed
        for n, seen in zip(batch, bench.seen(heads, some), strict=True):
            of_edit = notes.edited(named_edits(given[n].edit))
            made[n] = make(bench, wanted[n], cut[n], given[n], seen, cut[n].notes + told + of_edit)
    if come and made:
        opened.freshness.only_watch()
    return [made[n] for n in range(len(given))]


def ids_of(tokens: Sequence[Token]) -> list[int]:
    """The vocabulary ids of tokens."""
    return [token.id for token in tokens]


def _same_embeddings(opened: Opened, texts: Sequence[Text], embedded: Tensor | None) -> bool:
    """Whether a pass over texts embedded them as the model did when it was opened."""
    ids = [text.ids for text in texts]
    if embedded is None or embedded.shape[:2] != (len(ids), max(map(len, ids))):
        return True  # the table is not asked for whole texts
    rows = torch.cat([embedded[row, : len(text)] for row, text in enumerate(ids)])
    return opened.freshness.embedded_as_before(torch.tensor([id for text in ids for id in text]), rows)
