"""Scope: a model opened for reading."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from headscope.errors import InputError, cut
from headscope.keep.memory import Memory
from headscope.keep.paths import spelled
from headscope.model.adapters import named
from headscope.model.capture.edits import Edits, plain_edits
from headscope.model.card import Card, card_of
from headscope.model.feed.projections import HeadWeights, measure_projections
from headscope.model.freshness import weights_sha256
from headscope.model.opened import open_model
from headscope.model.opening.default import find_adapted
from headscope.model.opening.fresh import reinitialised
from headscope.model.opening.loading import load
from headscope.model.opening.packing import Quantize
from headscope.model.opening.stacks import choose, unwrapped
from headscope.model.staying import Stays
from headscope.model.surroundings import settled_class
from headscope.model.tokens import Token
from headscope.neighbors import warm_up
from headscope.question.choices import SPACES, Mask, Space, StackName, What, one_of
from headscope.question.given import as_seed, hearing, in_order, switch, text_of
from headscope.question.model_choice import ModelChoice
from headscope.question.passage import Passage, passage_of, passages_of
from headscope.reading.bank import Bank, bank_of, source
from headscope.reading.bench import Bench, Bytes, Changed, Isolation, a_bench, a_memory, no_scope
from headscope.reading.captured import capture
from headscope.reading.lens import LinearLens
from headscope.reading.reading import Reading
from headscope.vocabulary.isolated import Isolated

CACHE_BYTES = 4 * 2**30
_TRIES = 10  # to read with a model that is being changed
_FIRST_ANSWER = 10.0  # seconds: a command that asks one thing has ended by then, also beside other programs
T = TypeVar("T")


@settled_class
class Scope(Stays):
    """A model opened for reading: texts go in, readings come out.

    Made by `Scope.from_pretrained` or `Scope.from_model`. May be used from several threads; one forward pass runs
    at a time; of other processes, docs/inside.md tells. What hangs below it::

        Scope                       a model; follows it when its weights change
        ├── bench                   the model with the weights of now: card, vocabulary, lens, banks, layouts of maps
        ├── tokens(text)            what a text is made of, without running the model
        ├── bank(texts)             what the heads write in other texts
        └── read(text), read_many   a Reading: one text, and the bench that it was read on
            ├── nearest, atlas, compare, seeks, sought      the vocabulary tokens that heads' outputs are near to
            │   └── why, work_out, background               one answer taken apart, or held against other texts
            ├── attention, nearest_positions, map           the text's own positions
            └── journey, mixing, glance, effects            through the layers

    Studies of a corpus (`headscope.studies`: survey, probes, claims, capacity) take a scope, and read with it.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench, self._lock = a_bench(bench), bench.lock
        if bench.opened.model.device.type == "cpu":
            # In the background, and not beside the first answer, which needs none: by the second click it may be there.
            warm_up(after=_FIRST_ANSWER)

    def __repr__(self) -> str:
        card = self.card
        return f"Scope of {card.name}: {card.shape}\n{card.why}\n{self.memory}"

    @property
    def bench(self) -> Bench:
        """The opened model, and what was made of its weights as they are: made anew if they were changed since."""
        with self._lock:
            if self._bench.changed():
                self._bench = self._bench.anew()
            return self._bench

    @property
    def card(self) -> Card:
        """What is known of the model as it is now; while another thread looks at it, as it was before."""
        if self._lock.acquire(blocking=False):
            try:
                return self.bench.card
            finally:
                self._lock.release()
        return self._bench.card

    @property
    def memory(self) -> Memory:
        """What is kept beside the model: encodings, banks and what was measured over them; of all its weights."""
        return self._bench.memory

    def known_card(self) -> Card | None:
        """The card where nothing has moved since the model was last looked at; None where that has to be done anew.

        A glance: the model is not run, and no other thread is waited for.
        """
        bench = self._bench
        return None if bench.moved() else bench.card

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str] | None = None,
        revision: str | None = None,
        device: str = "auto",
        dtype: str | torch.dtype | None = None,
        *,
        adapter: str | os.PathLike[str] | None = None,
        stack: StackName | None = None,
        quantize: Quantize | None = None,
        cache_bytes: Bytes = CACHE_BYTES,
        progress: Callable[[str], None] | None = None,
    ) -> Scope:
        """Open a Hub id, a local directory, a GGUF file, or "demo"; None: roberta-base where it can be had, else the
        demo weights.

        `dtype` None is float32, "auto" the checkpoint's. `adapter` is the directory of a PEFT adapter that is put onto
        the model; without a name, onto the base that it names itself, and so is an adapter's directory as `name`.
        `stack` is "encoder" or "decoder" for encoder-decoders. `quantize` "4bit" or "8bit" packs the weights of
        projections by bitsandbytes. `cache_bytes` bounds what is kept beside the model: a number, a size ("4G") or
        another scope's `memory`, to have part in that one. `progress` is told what is being done. Weights are read from
        safetensors only, and no code of a checkpoint's is run. Raises ModelError for one that cannot be had or read.
        """
        memory = a_memory(cache_bytes)
        say = hearing(progress) or (lambda step: None)
        say("looking for the model")
        name = None if name is None else spelled(name, "the name of a model")
        adapter = None if adapter is None else spelled(adapter, "an adapter")
        revision = None if revision is None else text_of(revision, "revision")
        if name is None and revision is not None:
            raise InputError("a revision needs the name of a model.")
        found, put_on = find_adapted(name, revision, adapter)
        loaded = load(found, device, dtype, quantize, say, put_on)
        chosen = loaded.source
        say("proving the capture")

        def opening(of_files: str | None = None) -> Bench:
            opened = open_model(choose(loaded.model, stack), loaded.tokenizer, loaded.differences)
            # Weights that were changed in memory are no longer those of the file.
            own = of_files or weights_sha256(loaded.model)
            packed = {"unpacked": loaded.unpacked, "quantize": quantize}
            card = card_of(opened, chosen.name, chosen.revision, own, chosen.why, **packed)
            return Bench(opened, card, opening, memory)

        return cls(opening(loaded.weights_sha256))

    @classmethod
    def from_choice(
        cls,
        choice: ModelChoice,
        *,
        cache_bytes: Bytes = CACHE_BYTES,
        progress: Callable[[str], None] | None = None,
    ) -> Scope:
        """Open what a command's options or a request ask for, by `from_pretrained`, which says what is wrong."""
        stack: Any = choice.stack  # checked when the model is open
        packing: Any = choice.quantize  # checked before anything is loaded
        return cls.from_pretrained(
            choice.name,
            choice.revision,
            choice.device,
            choice.dtype,
            adapter=choice.adapter,
            stack=stack,
            quantize=packing,
            cache_bytes=cache_bytes,
            progress=progress,
        )

    @classmethod
    def from_model(
        cls,
        model: nn.Module,
        tokenizer: PreTrainedTokenizerBase | None = None,
        *,
        stack: StackName | None = None,
        cache_bytes: Bytes = CACHE_BYTES,
    ) -> Scope:
        """Read a model that is in memory already, and leave it as it was after each read.

        Its mode, hooks and attention implementation are restored. A PEFT model is read with its adapters; of what holds
        a transformers model (a SentenceTransformer, a value head's wrapper) that is read. `tokenizer` None: the
        model's own, where it has one. If its weights change (by training, say), the next read sees the new ones.
        """
        memory = a_memory(cache_bytes)
        inside = unwrapped(model)
        tokenizer = getattr(model, "tokenizer", None) if tokenizer is None else tokenizer
        if not isinstance(inside, PreTrainedModel):
            raise InputError(f"from_model takes a transformers model (a PreTrainedModel), not {type(model).__name__}.")
        if not isinstance(tokenizer, PreTrainedTokenizerBase):
            if tokenizer is None:
                raise InputError(f"{type(model).__name__} needs a tokenizer: Scope.from_model(model, tokenizer).")
            raise InputError(f"from_model takes a transformers tokenizer, not {type(tokenizer).__name__}.")

        def opening() -> Bench:
            opened = open_model(choose(inside, stack), tokenizer)
            name = named(inside.config.name_or_path or type(inside).__name__, inside)
            card = card_of(opened, name, None, weights_sha256(inside), "handed over in memory")
            return Bench(opened, card, opening, memory)

        return cls(opening())

    def tokens(
        self,
        text: str | None = None,
        *,
        ids: Iterable[int] | None = None,
        messages: Iterable[Mapping[str, str]] | None = None,
        pair: str | None = None,
        special: bool = True,
        truncate: bool = False,
    ) -> tuple[Token, ...]:
        """The tokens of what `read` takes as the heads get them, without running the model.

        Raises InputError for an empty text, or one that is longer than the model reads, unless `truncate`.
        """
        passage = passage_of(text, ids=ids, messages=messages, pair=pair, special=special)
        return self._bench.tokens(passage, truncate=switch(truncate, "truncate"))

    def read(
        self,
        text: str | None = None,
        mask: Mask = "model",
        *,
        ids: Iterable[int] | None = None,
        messages: Iterable[Mapping[str, str]] | None = None,
        pair: str | None = None,
        special: bool = True,
        decoder_text: str | None = None,
        truncate: bool = False,
        edit: Edits | None = None,
    ) -> Reading:
        """Run `text` through the model and keep what every head did.

        In the place of a text: `ids` of tokens as they are, or the `messages` of a chat, each {"role": …, "content":
        …}, as the tokenizer's chat template renders them. `pair` is a second text behind the first, as the tokenizer
        joins the two. `special` False leaves out the special tokens that it would add to a text.

        `mask` "model" leaves the model's own, "full" lets every token see all others, "causal" only those before
        it. With the stack "decoder" the encoder reads `text`, and the heads are those of the decoder on
        `decoder_text` (None: `text` again), which its start token begins. `edit` replaces the z of heads while the
        model runs: {(layer, head): "zero", "mean" (over the text), a tensor [position, d_head] or [d_head], or a
        function from the z that is there to what takes its place}; (layer, "z") is the z of all its heads side by
        side, (layer, "residual") the stream that the layer's block returns, (layer, "pattern") the attention [head,
        query, source] by which its values are mixed, a tensor or a function. Raises InputError for an empty text, or
        one that is longer than the model reads, unless `truncate`.
        """
        written = None if decoder_text is None else [text_of(decoder_text, "decoder_text")]
        passage = passage_of(text, ids=ids, messages=messages, pair=pair, special=special)
        return self._read([passage], mask, written, truncate, [plain_edits(edit)])[0]

    def read_many(
        self,
        texts: Iterable[str] | None = None,
        mask: Mask = "model",
        *,
        ids: Iterable[Iterable[int]] | None = None,
        messages: Iterable[Iterable[Mapping[str, str]]] | None = None,
        pairs: Iterable[str] | None = None,
        special: bool = True,
        truncate: bool = False,
        edits: Iterable[Edits | None] | None = None,
        residual: bool = False,
    ) -> list[Reading]:
        """Read several texts in padded batches: equal to single reads within float32's arithmetic.

        `texts` is anything that has an order: a list, a generator, a column of a table. A set has none. In their
        place: lists of `ids`, or of `messages`. `pairs`: a second text for each, `edits`: what is replaced in each.
        See `read`. `residual`: keep the residual streams too, for which the model is else run again when they are
        asked for.

        >>> readings = scope.read_many(["Time flies like an arrow.", "A banana."])
        >>> [reading.tokens[2].text for reading in readings]
        ['flies', 'banana']
        """
        passages = passages_of(texts, ids=ids, messages=messages, pairs=pairs, special=special)
        plain = [] if edits is None else [plain_edits(edit) for edit in in_order(edits, "edits")]
        if edits is not None and len(plain) != len(passages):
            raise InputError(f"{len(plain)} edits are given for {len(passages)} texts: one for each, or None.")
        return self._read(passages, mask, None, truncate, plain, residual)

    def _read(
        self,
        passages: Sequence[Passage],
        mask: Mask,
        decoder_texts: Sequence[str] | None,
        truncate: bool,
        edits: Sequence[Edits],
        residual: bool = False,
    ) -> list[Reading]:
        truncate, residual = switch(truncate, "truncate"), switch(residual, "residual")

        def read(bench: Bench) -> list[Reading]:
            return capture(
                Reading, bench, passages, mask, decoder_texts=decoder_texts, truncate=truncate, edits=edits,
                residual=residual,
            )  # fmt: skip

        return self._fresh(read, self._bench)

    def _fresh(self, make: Callable[[Bench], T], bench: Bench) -> T:
        """What `make` makes on a bench, or on the next where the weights turn out to have changed meanwhile."""
        for _ in range(_TRIES):
            try:
                return make(bench)
            except Changed:
                bench = self.bench
        return make(bench)

    def bank(
        self, texts: str | os.PathLike[str] | Iterable[str] | None = None, size: int = 2000, mask: Mask = "model"
    ) -> Bank:
        """What the heads write at `size` or more non-special positions of other texts; see `Reading.background`.

        `texts` is a text file with one text a line (its path), a list of texts, or None for English sentences that
        come with headscope; a model of another language needs texts of its own. As many are read as it takes, and cut
        where they are too long for the model. Kept for these weights, texts and mask. Raises InputError where the
        texts give too few outputs.
        """
        found = source(texts)
        return self._fresh(lambda bench: bank_of(bench, found, size, mask), self.bench)

    def isolate(self, progress: Callable[[int, int], None] | None = None, what: What = "values") -> Isolation:
        """Read every vocabulary token alone, and keep on disk its values, which the reference "isolated" is made of.

        Or its residual streams (`what="streams"`), which journeys are ranked among; they are kept apart, and larger.
        What is there already, from an earlier call or process that was ended, is not made again; so it may be
        interrupted at any time. `progress` is told how many tokens are done, of how many; None: a bar on standard
        error, where that is a terminal. Raises ModelError where the disk does not take it.
        """
        return self.bench.isolate(progress, what)

    @property
    def isolated(self) -> Isolated:
        """The reference "isolated" of the weights as they are: how much of it there is, and the steps to the rest."""
        return self.bench.isolated

    def weights(self, layer: int) -> HeadWeights:
        """The projections W_Q, W_K, W_V, W_O of a layer per head, with their biases, measured and checked."""
        bench = self.bench
        return measure_projections(bench.opened.feed, bench.layer(layer))

    @property
    def lens(self) -> LinearLens | None:
        """The lens of the space `fitted`; None: none is in use, or the weights have changed since."""
        return self.bench.held(LinearLens)

    def use_lens(self, lens: LinearLens | str | os.PathLike[str] | None) -> None:
        """Open the space `fitted`: by a lens (of `studies.probes.fit_lens`) or its file; None closes it.

        Raises InputError for a file that is none, and for a lens that was fitted on other weights.
        """
        used = LinearLens.load(lens) if isinstance(lens, (str, os.PathLike)) else lens
        if not (used is None or isinstance(used, LinearLens)):
            raise InputError(f"use_lens takes a lens, the path of its file, or None, not {cut(repr(lens))}.")
        with self._lock:
            bench = self.bench
            if used is not None:
                used.check(bench.card)
            bench.hold(LinearLens, used)
            bench.encodings.fitted = None if used is None else used.maps
            bench.forget()  # what was measured over a bank was another space

    def closed_spaces(self) -> dict[Space, str]:
        """The spaces that cannot be asked for, each with the sentence that says why."""
        return self.bench.closed_spaces()

    def moves(self, space: Space) -> bool:
        """Whether the vocabulary's encodings in a space depend on the position (position embeddings, RoPE)."""
        one_of("space", space, SPACES)
        return self.bench.vocabulary.moves(space)

    def randomised(self, seed: int) -> Scope:
        """The same architecture with the random weights that it starts its training from; ModelError where that fails.

        For comparison: what its heads seem to do, no training has taught them.
        """
        bench, seed = self.bench, as_seed(seed)
        fresh = Scope.from_model(reinitialised(bench.opened.stack, seed), bench.opened.names.tokenizer)
        own = fresh.bench
        own.card = replace(own.card, name=f"{bench.card.name}, randomly initialised (seed {seed})")
        return fresh


def a_scope(given: object) -> Scope:
    """What a study reads with, where it is a scope; InputError for what one is opened from, and for all else."""
    if isinstance(given, Scope):
        return given
    raise no_scope(f"; {cut(repr(given))} is none.")
