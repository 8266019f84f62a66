"""Scope: a model opened for reading."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from headscope.errors import HeadscopeError, InputError
from headscope.keep.memory import Recent
from headscope.model.capture.edits import Edits, check_edits, named_edits, plain_edits
from headscope.model.capture.hooks import judged
from headscope.model.capture.passes import MASKS, Mask
from headscope.model.feed.projections import HeadWeights, measure_projections
from headscope.model.freshness import weights_sha256
from headscope.model.lengths import apart
from headscope.model.opened import Opened, open_model
from headscope.model.opening.default import default_source, find
from headscope.model.opening.fresh import reinitialised
from headscope.model.opening.loading import load
from headscope.model.opening.stacks import StackName, choose, unwrapped
from headscope.model.surroundings import settled_class
from headscope.model.tokens import Token, started, tokenize
from headscope.question import notes
from headscope.question.choices import Space, one_of
from headscope.question.given import as_seed, number, text_of, texts_of
from headscope.reading.bank import Bank, fill, source
from headscope.reading.lens import LinearLens
from headscope.reading.map.layouts import Layouts
from headscope.reading.reading import Reading
from headscope.show.progress import bar
from headscope.vocabulary import Vocabulary
from headscope.vocabulary.closed_form import ClosedForm
from headscope.vocabulary.isolated import WHAT, Isolated, ReadAlone, What
from headscope.vocabulary.witness import Witness

CACHE_BYTES = 4 * 2**30
_BANK_BYTES = 2**30  # banks, and what was measured over them
_CHANGED = "the model's weights changed after this text was read: read it again."
_BATCH_TOKENS = 2048  # with padding; larger batches gain nothing on a CPU


@dataclass(frozen=True)
class Card:
    """What is known of an opened model; `positions` None: the model sets no limit.

    `capture_error`: the largest error of z = Σ α v and Σ_h z W_O + b_O on a probe, relative to the largest value.
    `weights_sha256`: of the safetensors file (of the list of the shards' hashes); for a model that was handed over,
    of its tensors. `why`: how the model was chosen.
    """

    name: str
    revision: str | None
    weights_sha256: str
    layers: int
    heads: int
    kv_heads: int
    d_head: int
    d_model: int
    vocab_size: int
    positions: int | None
    position_embeddings: bool
    causal: bool
    capture_error: float
    dtype: str
    device: str
    why: str


@dataclass(frozen=True)
class Isolation:
    """What there is on disk of the tokens read alone: bytes, files, and where; `seconds`: how long this call took."""

    bytes: int
    shards: int
    directory: str
    seconds: float


@settled_class
class Scope:
    """A model opened for reading: texts go in, readings come out.

    Made by `Scope.from_pretrained` or `Scope.from_model`. May be used from several threads; one forward pass runs
    at a time.
    """

    def __init__(
        self,
        opened: Opened,
        card: Card,
        reopen: Callable[[], tuple[Opened, Card]],
        cache_bytes: int,
    ) -> None:
        self._opened, self._card = opened, card
        self._reopen, self._cache_bytes = reopen, cache_bytes
        self._lock = threading.RLock()
        self._isolated, self._vocabulary = self._encodings()
        self._banks: Recent[Any] = Recent(_BANK_BYTES)
        self._lens: LinearLens | None = None
        self._layouts = Layouts()

    def __repr__(self) -> str:
        card = self.card
        return (
            f"Scope of {card.name}: {card.layers} layers × {card.heads} heads of {card.d_head}, vocabulary "
            f"{card.vocab_size:,}, capture error {card.capture_error:.1e}\n{card.why}"
        )

    @property
    def card(self) -> Card:
        """What is known of the model as it is now; while another thread looks at it, as it was before."""
        if self._lock.acquire(blocking=False):
            try:
                self._current()
            finally:
                self._lock.release()
        return self._card

    def known_card(self) -> Card | None:
        """The card where nothing has moved since the model was last looked at; None where that has to be done anew.

        A glance: the model is not run, and no other thread is waited for; while one looks, the card is as it was.
        """
        if not self._lock.acquire(blocking=False):
            return self._card
        try:
            return None if self._opened.freshness.moved() else self._card
        finally:
            self._lock.release()

    @classmethod
    def from_pretrained(
        cls,
        name: str | None = None,
        revision: str | None = None,
        device: str = "auto",
        dtype: str | torch.dtype | None = None,
        *,
        stack: StackName | None = None,
        cache_bytes: int = CACHE_BYTES,
        progress: Callable[[str], None] | None = None,
    ) -> Scope:
        """Open a Hub id, a local directory, or "demo"; None: roberta-base where it can be had, else the demo weights.

        `dtype` None is float32, "auto" the checkpoint's. `stack` is "encoder" or "decoder" for encoder-decoders.
        `cache_bytes` bounds what is kept of vocabulary encodings.
        `progress` is told what is being done. Weights are read from safetensors only, and no code that comes with a
        checkpoint is run. Raises ModelError for a model that is not to be had or cannot be read.
        """
        say = progress or (lambda step: None)
        say("looking for the model")
        if name is None and revision is not None:
            raise InputError("a revision needs the name of a model.")
        source = default_source() if name is None else find(name, revision)
        loaded = load(source, device, dtype, say)
        say("proving the capture")

        def reopen(of_files: str | None = None) -> tuple[Opened, Card]:
            opened = open_model(choose(loaded.model, stack), loaded.tokenizer, loaded.differences)
            # Weights that were changed in memory are no longer those of the file.
            own = of_files or weights_sha256(loaded.model)
            return opened, _card(opened, source.name, source.revision, own, source.why)

        return cls(*reopen(loaded.weights_sha256), reopen, cache_bytes)

    @classmethod
    def from_model(
        cls,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        stack: StackName | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> Scope:
        """Read a model that is in memory already, and leave it as it was after each read.

        Its mode, hooks and attention implementation are restored. A PEFT model is read with its adapters.
        If its weights change (by training, say), the next read sees the new ones.
        """
        inside = unwrapped(model)
        if not isinstance(inside, PreTrainedModel):
            raise InputError(f"from_model takes a transformers model (a PreTrainedModel), not {type(model).__name__}.")
        if not isinstance(tokenizer, PreTrainedTokenizerBase):
            raise InputError(f"from_model takes a transformers tokenizer, not {type(tokenizer).__name__}.")

        def reopen() -> tuple[Opened, Card]:
            opened = open_model(choose(inside, stack), tokenizer)
            name = inside.config.name_or_path or type(inside).__name__
            return opened, _card(opened, name, None, weights_sha256(inside), "handed over in memory")

        return cls(*reopen(), reopen, cache_bytes)

    def read(
        self,
        text: str,
        mask: Mask = "model",
        *,
        decoder_text: str | None = None,
        truncate: bool = False,
        edit: Edits | None = None,
    ) -> Reading:
        """Run `text` through the model and keep what every head did.

        `mask` "model" leaves the model's own, "full" lets every token see all others, "causal" only those before
        it. With the stack "decoder" the encoder reads `text`, and the heads are those of the decoder on
        `decoder_text` (None: `text` again), which its start token begins. `edit` replaces the z of heads while the
        model runs: {(layer, head): "zero", "mean" (over the text), a tensor [position, d_head] or [d_head], or a
        function from the z that is there to what takes its place}; (layer, "z") is the z of all its heads side by
        side, (layer, "residual") the stream that the layer's block returns. Raises InputError for an empty text, or
        one that is longer than the model reads, unless `truncate`.
        """
        written = None if decoder_text is None else [text_of(decoder_text, "decoder_text")]
        return self._read([text_of(text)], mask, written, truncate, plain_edits(edit))[0]

    def read_many(self, texts: Iterable[str], mask: Mask = "model", *, truncate: bool = False) -> list[Reading]:
        """Read several texts in padded batches: equal to single reads within float32's arithmetic.

        `texts` is anything that has an order: a list, a generator, a column of a table. A set has none.
        """
        return self._read(texts_of(texts), mask, None, truncate, {})

    def _read(
        self, texts: Sequence[str], mask: Mask, decoder_texts: Sequence[str] | None, truncate: bool, edit: Edits
    ) -> list[Reading]:
        one_of("mask", mask, MASKS)
        opened, come, forms = self._to_read()
        decodes = opened.stack.encoder is not None
        if decoder_texts is not None and not decodes:
            raise InputError("decoder_text is for a decoder: open an encoder-decoder with stack='decoder'.")
        opened.prove_mask(mask)
        wanted = texts if decoder_texts is None else decoder_texts
        prepared = [self._tokens(opened, text, opened.stack.start, truncate) for text in wanted]
        contexts = [self._tokens(opened, text, None, truncate)[0] for text in texts] if decodes else None
        for tokens, _ in prepared:
            check_edits(edit, opened.anatomy, len(tokens))
        cross = (notes.cross_attention(),) if decodes else ()
        told = (*cross, *notes.unused(opened.unused), *notes.edited(named_edits(edit)))
        readings = []
        for batch in _batches([len(tokens) for tokens, _ in prepared], opened.positions.together):
            context = None if contexts is None else [[token.id for token in contexts[n]] for n in batch]
            ids = [[token.id for token in prepared[n][0]] for n in batch]
            witness = Witness(forms, opened.model.get_input_embeddings())
            with witness.watching(), judged(opened.model, come) as changing:
                heads = opened.run(ids, mask, context, [edit] * len(batch) if edit else ())
            if changing or not _same_embeddings(opened, ids, witness.embedded) or witness.denied(heads[0]):
                opened.freshness.deny()
                return Scope._read(self, texts, mask, decoder_texts, truncate, edit)
            readings += [
                Reading(
                    self,
                    opened,
                    wanted[n],
                    mask,
                    prepared[n][0],
                    captured,
                    prepared[n][1] + told,
                    None if contexts is None else contexts[n],
                    edit,
                )
                for n, captured in zip(batch, heads, strict=True)
            ]
        if come and readings:
            opened.freshness.only_watch()
        return readings

    def _tokens(
        self, opened: Opened, text: str, start: int | None, truncate: bool
    ) -> tuple[tuple[Token, ...], tuple[str, ...]]:
        """The tokens that the stack is to read, and a note if the text was cut."""
        begin = 0 if start is None else 1
        tokens = started(tokenize(text, opened.names), start, opened.names)
        limit = opened.positions.limit
        if limit is None or len(tokens) <= limit:
            return tokens, ()
        if not truncate:
            raise InputError(
                f"the text has {len(tokens)} tokens, and the model reads at most {limit}: shorten it, or let it be cut "
                "(truncate=True, --truncate)."
            )
        kept = started(tokenize(text, opened.names, limit - begin), start, opened.names)
        return kept, (notes.truncated(limit, len(tokens)),)

    def bank(self, texts: str | Path | Iterable[str] | None = None, size: int = 2000, mask: Mask = "model") -> Bank:
        """What the heads write at `size` or more non-special positions of other texts; see `Reading.background`.

        `texts` is a text file with one text a line (its path), a list of texts, or None for English sentences that
        come with headscope; a model of another language needs texts of its own. As many are read as it takes, and cut
        where they are too long for the model. Kept for these weights, texts and mask. Raises InputError where the
        texts give too few outputs.
        """
        size = number(
            size, range(2, sys.maxsize), f"the size of a bank is {size!r}; it is a number of outputs, 2 or more."
        )
        one_of("mask", mask, MASKS)
        self._current()
        found, weights = source(texts), self.card.weights_sha256

        def make() -> Bank:
            unknown = self._opened.names.tokenizer.unk_token_id
            return fill(
                found, size, mask, weights, lambda some: self.read_many(some, mask, truncate=True), unknown,
                notes.unknown_words,
            )  # fmt: skip

        return self._banks.made(("bank", found.key, size, mask), make)

    def isolate(self, progress: Callable[[int, int], None] | None = None, what: What = "values") -> Isolation:
        """Read every vocabulary token alone, and keep on disk its values, which the reference "isolated" is made of.

        Or its residual streams (`what="streams"`), which journeys are ranked among; they are kept apart, and larger.
        What is there already, from an earlier call or process that was ended, is not made again; so it may be
        interrupted at any time. `progress` is told how many tokens are done, of how many; None: a bar on standard
        error, where that is a terminal. Raises ModelError where the disk does not take it.
        """
        started = time.monotonic()
        one_of("part of the tokens read alone", what, WHAT)
        alone = self.isolated.kept(what)
        done = alone.done()
        shown = bar(_announced(alone), "Reading tokens alone") if progress is None and done < alone.tokens else None
        with shown or nullcontext(progress or (lambda done, total: None)) as tell:
            tell(done, alone.tokens)
            for done in alone.steps():
                tell(done, alone.tokens)
        return Isolation(alone.nbytes, alone.shards, str(alone.directory), time.monotonic() - started)

    @property
    def isolated(self) -> Isolated:
        """The reference "isolated" of the weights as they are: how much of it there is, and the steps to the rest."""
        with self._lock:
            self._current()
            return self._isolated

    def weights(self, layer: int) -> HeadWeights:
        """The projections W_Q, W_K, W_V, W_O of a layer per head, with their biases, measured and checked."""
        opened = self._current()
        last = len(opened.anatomy.blocks) - 1
        layer = number(layer, range(last + 1), f"there is no layer {layer!r}; the model's layers are 0 to {last}.")
        return measure_projections(opened.feed, layer)

    @property
    def lens(self) -> LinearLens | None:
        """The lens of the space `fitted`; None: none is in use, or the weights have changed since."""
        with self._lock:
            self._current()
            return self._lens

    def use_lens(self, lens: LinearLens | str | Path | None) -> None:
        """Open the space `fitted`: by a lens (of `studies.probes.fit_lens`) or its file; None closes it.

        Raises InputError for a file that is none, and for a lens that was fitted on other weights.
        """
        used = LinearLens.load(lens) if isinstance(lens, (str, Path)) else lens
        with self._lock:
            self._current()
            if used is not None:
                used.check(self.card)
            self._lens, self._banks = used, Recent(_BANK_BYTES)  # what was measured over a bank was another space
            self._vocabulary.fitted = None if used is None else used.maps

    def closed_spaces(self) -> dict[Space, str]:
        """The spaces that cannot be asked for, each with the sentence that says why."""
        closed: dict[Space, str] = {}
        try:
            self._vocabulary_for(self._current()).unembedding  # noqa: B018 - finding it is the question
        except HeadscopeError as error:
            closed["unembedding"] = str(error)
        if self.lens is None:
            closed["fitted"] = notes.no_lens()
        return closed

    def moves(self, space: Space) -> bool:
        """Whether the vocabulary's encodings in a space depend on the position (position embeddings, RoPE)."""
        return self._vocabulary_for(self._current()).moves(space)

    def randomised(self, seed: int) -> Scope:
        """The same architecture with the random weights that it starts its training from; ModelError where that fails.

        For comparison: what its heads seem to do, no training has taught them.
        """
        opened = self._current()
        seed = as_seed(seed)
        fresh = Scope.from_model(reinitialised(opened.stack, seed), opened.names.tokenizer)
        fresh._card = replace(fresh.card, name=f"{self.card.name}, randomly initialised (seed {seed})")
        return fresh

    def _current(self) -> Opened:
        """The opened model, opened anew if its weights were changed since."""
        with self._lock:
            if self._opened.freshness.changed():
                self._open_anew()
            return self._opened

    def _open_anew(self) -> None:
        self._opened, self._card = self._reopen()
        self._isolated, self._vocabulary = self._encodings()
        self._banks, self._lens = Recent(_BANK_BYTES), None

    def _to_read(self) -> tuple[Opened, frozenset[int], list[ClosedForm]]:
        """The opened model, hooks that the pass is to judge, and what it can witness of the encodings."""
        with self._lock:
            changed, come = self._opened.freshness.before_pass()
            if changed:
                self._open_anew()
            return self._opened, come, self._vocabulary.forms()

    def _encodings(self) -> tuple[Isolated, Vocabulary]:
        isolated = Isolated(self._opened, self._card.weights_sha256)
        return isolated, Vocabulary(self._opened, self._cache_bytes, isolated)

    def _vocabulary_for(self, opened: Opened) -> Vocabulary:
        """The vocabulary's encodings by the weights that a reading was made with."""
        with self._lock:
            if self._current() is not opened:
                raise InputError(_CHANGED)
            return self._vocabulary

    def _vouch(self, opened: Opened, ids: Tensor) -> None:
        """Refuse an answer with tokens that the model no longer embeds as it did when the text was read."""
        with self._lock:
            if not opened.freshness.embeds_as_before(ids.flatten()):
                raise InputError(_CHANGED)


def _card(opened: Opened, name: str, revision: str | None, weights_sha256: str, why: str) -> Card:
    block = opened.anatomy.blocks[0]
    return Card(
        name=name,
        revision=revision,
        weights_sha256=weights_sha256,
        layers=len(opened.anatomy.blocks),
        heads=block.heads,
        kv_heads=block.kv_heads,
        d_head=block.d_head,
        d_model=opened.anatomy.d_model,
        vocab_size=opened.names.vocab_size,
        positions=opened.positions.limit,
        position_embeddings=bool(opened.positions.modules),
        causal=opened.anatomy.causal,
        capture_error=opened.anatomy.capture_error,
        dtype=str(opened.model.dtype).removeprefix("torch."),
        device=str(opened.model.device),
        why=why,
    )


def _same_embeddings(opened: Opened, ids: list[list[int]], embedded: Tensor | None) -> bool:
    """Whether a pass over texts (token ids) embedded them as the model did when it was opened."""
    if embedded is None or embedded.shape[:2] != (len(ids), max(map(len, ids))):
        return True  # the table is not asked for whole texts
    rows = torch.cat([embedded[row, : len(text)] for row, text in enumerate(ids)])
    return opened.freshness.embedded_as_before(torch.tensor([id for text in ids for id in text]), rows)


def _announced(alone: ReadAlone) -> str:
    asker = {"values": "The reference isolated", "streams": "A rank among the vocabulary read alone"}[alone.what]
    return (
        f"{asker} needs {alone.tokens:,} tokens read alone, once; their {alone.what} take "
        f"{alone.nbytes / 2**20:,.0f} MiB in {alone.directory}"
    )


def _batches(lengths: list[int], together: int | None) -> list[list[int]]:
    """Indices of texts, in order, in batches whose padded size stays within bounds; `together` as `apart` has it."""
    batches: list[list[int]] = []
    longest = 0
    for n, length in enumerate(lengths):
        longest = max(longest, length)
        full = not batches or longest * (len(batches[-1]) + 1) > _BATCH_TOKENS
        if full or any(apart(lengths[other], length, together) for other in batches[-1]):
            batches.append([])
            longest = length
        batches[-1].append(n)
    return batches
