"""A model made ready for reading: dissected, its positions found, the way into its layers laid."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from headscope.errors import HeadscopeError, ModelError
from headscope.model.capture.anatomy import Anatomy, hidden_output
from headscope.model.capture.capture import held, is_by_name
from headscope.model.capture.dissect import dissect
from headscope.model.capture.edits import layers_of_stream
from headscope.model.capture.heads import AllHeads, HeadTensors, LayerPattern, OnePattern, Unrecorded
from headscope.model.capture.kept import forget
from headscope.model.capture.passes import is_recorded_by
from headscope.model.capture.precision import float32_arithmetic, tolerance
from headscope.model.capture.runner import Runner, Text
from headscope.model.capture.stages import Stages, stages
from headscope.model.capture.stored import device_of, never_loaded
from headscope.model.capture.stream import StreamRecorder
from headscope.model.capture.trace import Trace
from headscope.model.feed.embeddings import finite_ids, rows_of
from headscope.model.feed.feed import Feed
from headscope.model.feed.positions import Positions, Spotter, find_positions, known_positions
from headscope.model.freshness import Freshness
from headscope.model.opening.stacks import Stack
from headscope.model.opening.unused import Differences
from headscope.model.telling import as_ours, first_line
from headscope.model.tokens import TokenNames
from headscope.question.choices import Mask
from headscope.question.shown import Summarised

_PROBE = (2, 10)  # texts, tokens


@dataclass(frozen=True, repr=False)
class Opened(Summarised):
    """A model that has proved its capture on a probe."""

    stack: Stack
    names: TokenNames
    anatomy: Anatomy
    positions: Positions
    feed: Feed
    probe: Tensor  # token ids [text, position]
    unused: tuple[str, ...] = ()  # weights of the checkpoint that the model has no place for, on no way to a layer
    proved: set[Mask] = field(default_factory=set)  # masks that were seen to work

    @cached_property
    def freshness(self) -> Freshness:
        """Whether the model still computes what it did when it was opened."""
        return Freshness(self.runner, self.probe[0].tolist(), self.feed.vocab_size)

    @cached_property
    def runner(self) -> Runner:
        """What runs texts through the model before a recorder of one's own."""
        padding = self.names.tokenizer.pad_token_id
        return Runner(self.stack, self.anatomy, 0 if padding is None else padding)

    @property
    def model(self) -> PreTrainedModel:
        """The stack of layers that is read."""
        return self.stack.model

    def run(self, texts: Sequence[Text], *, residual: bool = False) -> list[HeadTensors]:
        """The heads of texts under one mask, run as one batch padded on the right, or each by itself where the model
        rounds a text by its batch. `residual`: their streams too."""
        if not self.anatomy.arithmetic.by_batch:
            return self._together(texts, residual=residual)
        return [self._together([text], residual=residual)[0] for text in texts]

    def _together(self, texts: Sequence[Text], *, residual: bool = False) -> list[HeadTensors]:
        """The heads of several texts, run as one batch."""
        ids = [text.ids for text in texts]
        lengths = [len(some) for some in ids]
        heads = AllHeads(lengths, len(self.anatomy.blocks))
        streams = StreamRecorder(self.anatomy, lengths, heads) if residual else None
        recorder = heads if streams is None else streams
        spotter = Spotter(self.positions, self.anatomy, any(text.types for text in texts))
        with spotter.watching(recorder), nullcontext() if streams is None else streams.watching():
            self.runner.run(texts, recorder)
        of_texts = [None] * len(texts) if streams is None else streams.streams()
        return [
            replace(one, spots=spots, residual=stream)
            for one, spots, stream in zip(heads.captured(), spotter.spots(ids), of_texts, strict=True)
        ]

    def pattern(self, text: Text, layer: int) -> LayerPattern:
        """The pattern of one layer on one text."""
        recorder = OnePattern(layer)
        self.runner.run([text], recorder)
        assert recorder.found is not None
        return recorder.found

    def outputs(self, texts: Sequence[Text]) -> tuple[Tensor, Tensor | None]:
        """What the last block returns for texts under one mask, and the logits (None: the model has none).

        [text, position, d_model] and [text, position, token], padded on the right, where the model computes.
        """
        kept: list[Tensor] = []
        recorder = Unrecorded()

        def keep(module: nn.Module, args: Any, output: Any) -> None:
            if is_recorded_by(recorder):
                kept.append(hidden_output(output).clone())

        hook = self.anatomy.blocks[-1].module.register_forward_hook(keep)
        try:
            given = self.runner.run(texts, recorder)
        finally:
            hook.remove()
        return kept[-1], given[0] if self.model.get_output_embeddings() is not None else None

    def stages(self, texts: Sequence[Text], *, widened: bool = False) -> tuple[Stages, ...]:
        """What every block does to the residual streams of several texts, padded on the right; as `runner` runs
        them."""
        trace = self._traced(texts, widened)
        # Where a replaced stream hides what the blocks themselves returned, they are seen without it.
        hidden = layers_of_stream([text.edit for text in texts])
        own = self._traced([replace(text, edit={}) for text in texts], widened) if hidden else trace
        with held(self.model), float32_arithmetic(self.model):
            return stages(self.anatomy, trace, own)

    def _traced(self, texts: Sequence[Text], widened: bool) -> Trace:
        trace = Trace(copies=self.anatomy.writes_over)
        with trace.watching(self.model):
            self.runner.run(texts, trace, widened=widened)
        return trace

    def streams(self, texts: Sequence[Text]) -> list[Tensor]:
        """The residual streams [layer + 1, position, d_model] of texts under one mask, before and after each block."""
        if self.anatomy.arithmetic.by_batch and len(texts) > 1:
            return [self.streams([text])[0] for text in texts]
        recorder = StreamRecorder(self.anatomy, [len(text.ids) for text in texts], Unrecorded())
        with recorder.watching():
            self.runner.run(texts, recorder)
        return recorder.streams()

    def prove_mask(self, mask: Mask) -> None:
        """Show, by changing a probe's last token, that `mask` decides who sees whom; ModelError where it does not."""
        if mask == "model" or mask in self.proved:
            return
        ids = self.probe[0].tolist()
        other = next(int(id) for id in self.probe.flatten() if id != ids[-1])
        # As one batch: what rounds activations by the largest of a batch then rounds both alike.
        texts = [Text(ids, mask), Text([*ids[:-1], other], mask)]
        one, two = self._together(texts)
        moved = (one.z - two.z)[:, :-1].abs().amax((1, 2, 3)) / one.z.abs().amax()  # (layer,)
        seen = bool(moved[0] > 1e-6) if mask == "full" else bool(moved.amax() > 1e-5)
        if seen != (mask == "full"):
            raise ModelError(
                f"the mask {mask!r} has no hold on {type(self.model).__name__}: on a probe, earlier tokens "
                f"{'see nothing of' if mask == 'full' else 'still see'} a later one."
            )
        self._check_same_mask(texts, one)
        self.proved.add(mask)

    def _check_same_mask(self, texts: Sequence[Text], found: HeadTensors) -> None:
        """Where the model's own mask shows every layer just what theirs does, the heads must do the same under both:
        `found` are those of the first text."""
        mask = texts[0].mask
        own = self._together([replace(text, mask="model") for text in texts])[0]
        assert own.visible is not None, "a probe is short"
        shown = torch.ones_like(own.visible) if mask == "full" else torch.ones_like(own.visible).tril()
        error = float((found.z - own.z).abs().amax() / own.z.abs().amax())
        if torch.equal(own.visible, shown) and error > tolerance(self.model.dtype) + self.anatomy.arithmetic.allowance:
            raise ModelError(
                f"the mask {mask!r} does not do on {type(self.model).__name__} what it promises: on a probe it shows "
                f"just what the model's own mask does, and outputs differ by {error:.1e} of the largest value."
            )


def _else(encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
    """What a reader can do whose decoder is not read."""
    with suppress(ModelError):
        open_model(Stack(encoder), tokenizer)
        return ": read the encoder (stack='encoder'), or with a newer transformers"
    return ", and its encoder cannot be read, either"


def open_model(stack: Stack, tokenizer: PreTrainedTokenizerBase, differences: Differences | None = None) -> Opened:
    """Dissect the stack and prove its capture; `differences` are those between the model and its checkpoint.

    Raises ModelError for a model that cannot be read, with what was not found.
    """
    model, kind = stack.model, type(stack.model).__name__
    if never_loaded(model):
        raise ModelError(
            f"{kind} has weights that are placeholders on the device meta, and nothing brings them into memory: they "
            "were never loaded. Load it with from_pretrained."
        )
    embeddings = _embeddings(model)
    if embeddings is None or not rows_of(embeddings):
        raise ModelError(
            f"{kind} has no table of token embeddings, so it has no vocabulary to compare with" + _parts_with_one(model)
        )
    if stack.encoder is not None and not rows_of(_embeddings(stack.encoder) or nn.Identity()):
        raise ModelError(
            f"{kind} attends to an encoder ({type(stack.encoder).__name__}) that reads no tokens, so there is no text "
            "that it could be read beside."
        )
    if stack.encoder is not None and not is_by_name(model):
        raise ModelError(
            f"{kind} computes its attention in the open in transformers {transformers.__version__}, where that of a "
            f"decoder is not told from what it attends to of its encoder{_else(stack.encoder, tokenizer)}."
        )
    names = TokenNames(tokenizer, rows_of(embeddings))
    forget(model)
    with as_ours(model, "its token embeddings were looked at"):
        finite = finite_ids(model)
        probe = _probe(model, names, finite)
    try:
        anatomy = dissect(model, probe)
        positions = find_positions(model, tokenizer, anatomy, _two(probe))
        feed = Feed(model, anatomy, positions, finite)
        if anatomy.picks or feed.counts_padding:
            positions = replace(positions, together=0)
        unused = () if differences is None else differences.beside(anatomy.used)
        opened = Opened(stack, names, anatomy, positions, feed, probe, unused)
        _check_tokens_alone(opened)
        opened.freshness  # noqa: B018 - what it computes now is what it is held against
    except HeadscopeError:
        raise
    except Exception as error:  # whatever a model raises
        inner = model.base_model
        if inner is not model and model.get_output_embeddings() is None:
            # What stands on top takes no batch, or no plain text (rerankers, multiple choice): it is no part of a head.
            return open_model(replace(stack, model=inner), tokenizer, differences)
        if _runs(model, probe):
            said = f"runs on token ids, but not under the eyes of headscope: {first_line(error)}"
        else:
            said = f"cannot be run on token ids alone: {first_line(error)[:-1]}{_parts_with_one(model)}"
        raise ModelError(f"{kind} {said}") from error
    return opened


def _embeddings(model: PreTrainedModel) -> Any:
    """The module that has a row for each token; None where the model names none (CANINE hashes characters), or names
    what maps the pixels of an image or the frames of a sound."""
    try:
        found = model.get_input_embeddings()
    except (NotImplementedError, AttributeError):
        return None
    return None if isinstance(found, nn.Linear) or hasattr(found, "kernel_size") else found


def _parts_with_one(model: PreTrainedModel) -> str:
    """The end of a sentence about a model of several parts: the first that has a table of token embeddings, and runs on
    token ids."""
    some = torch.zeros(1, 3, dtype=torch.long, device=device_of(model))
    for name, one in model.named_modules():
        if (
            name
            and isinstance(one, PreTrainedModel)
            and rows_of(_embeddings(one) or nn.Identity())
            and _runs(one, some)
        ):
            return (
                "; a part of it has a table of token embeddings, and may be handed over: "
                f"model.{name} ({type(one).__name__})."
            )
    return "."


def _runs(model: PreTrainedModel, probe: Tensor) -> bool:
    """Whether the model itself, left to itself, takes one text of token ids."""
    try:
        with torch.no_grad():
            model(input_ids=probe[:1])
    except Exception:
        return False
    return True


def _check_tokens_alone(opened: Opened) -> None:
    """Refuse a model in which a token's value at layer 0 depends on its neighbours, or on its position in a way that
    cannot be told: it has no encoding of its own."""
    text = opened.probe[0]
    values, spots = opened.feed.first_values(text.tolist())
    if len(values) != len(text):
        raise ModelError(
            f"{type(opened.model).__name__} reads {len(values)} positions where a text has {len(text)} tokens (it puts "
            "some of its own beside them), so its positions are not those of the text."
        )
    largest = values.abs().amax().clamp_min(torch.finfo(torch.float32).tiny)  # a layer of pruned heads has no values
    for position in {0, len(text) // 2, len(text) - 1}:
        alone = opened.feed.vectors(text[position : position + 1], 0, spots[position].added)[0]
        error = float((alone - values[position]).abs().amax() / largest)
        allowed = tolerance(opened.model.dtype) + opened.anatomy.arithmetic.allowance
        if error <= allowed:
            continue
        among = opened.probe[1].clone()
        among[position] = text[position]
        others, _ = opened.feed.first_values(among.tolist())
        by_place = float((others[position] - values[position]).abs().amax() / largest) <= allowed
        raise ModelError(
            f"{type(opened.model).__name__}: the value of a token at layer 0 is not that of the token alone (it "
            f"differs by {error:.1e} of the largest value), "
            + (
                "and follows its position: what is added there, no module of the model returns, so it cannot be given "
                "to the vocabulary, which has no encodings to compare with."
                if by_place
                else "so the vocabulary has no encodings to compare with."
            )
        )


def _probe(model: PreTrainedModel, names: TokenNames, finite: Tensor) -> Tensor:
    """Seeded random token ids [text, position], no special tokens, with finite embeddings."""
    texts, length = _PROBE[0], min(_PROBE[1], known_positions(model) or _PROBE[1])
    specials = torch.tensor(sorted(names.specials), dtype=torch.long, device=finite.device)
    ordinary = finite[~torch.isin(finite, specials)]
    if not len(ordinary):
        raise ModelError(f"{type(model).__name__} has no ordinary token with a finite embedding.")
    draw = torch.randint(len(ordinary), (texts, length), generator=torch.Generator().manual_seed(0))
    return ordinary.cpu()[draw].to(device_of(model))


def _two(probe: Tensor) -> tuple[int, int]:
    """Two different tokens of a probe, if there are two."""
    first = int(probe[0, 0])
    return first, next((id for id in probe.flatten().tolist() if id != first), first)
