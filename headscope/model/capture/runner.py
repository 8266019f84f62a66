"""Texts run through a dissected stack of layers, as one padded batch under the eyes of a recorder."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from headscope.errors import InputError
from headscope.model.capture.anatomy import Anatomy
from headscope.model.capture.capture import prepared, without_cache
from headscope.model.capture.edits import Edits
from headscope.model.capture.heads import Unrecorded
from headscope.model.capture.kept import exchanges, is_as_found
from headscope.model.capture.passes import Arrived, Recorder, is_recorded_by, recording
from headscope.model.capture.precision import float32_arithmetic
from headscope.model.capture.sharing import shared_if_large
from headscope.model.capture.stored import device_of
from headscope.model.capture.stream import stream_replaced
from headscope.model.opening.stacks import Stack
from headscope.model.telling import as_ours
from headscope.question.choices import Mask


@dataclass(frozen=True)
class Text:
    """What a model reads: token ids, under a mask; what a decoder attends to; and what is replaced on the way.

    `types`: the token types, where the ids have any but the first.
    """

    ids: list[int]
    mask: Mask = "model"
    context: list[int] | None = None
    edit: Edits = field(default_factory=dict)
    types: tuple[int, ...] = ()


@dataclass(frozen=True)
class Runner:
    """Runs texts of token ids; `padding` is the id that the shorter ones end with."""

    stack: Stack
    anatomy: Anatomy
    padding: int

    def run(self, texts: Sequence[Text], recorder: Recorder, *, widened: bool = False) -> Any:
        """Run texts under one mask as one batch before `recorder`, and return what the model does.

        `widened`: half weights compute as float32. Raises InputError for texts that the model reads with other
        attention modules than those it was opened with, ModelError for whatever the model itself raises.
        """
        with as_ours(self.stack.model, "it read a text"):
            return self._run(texts, recorder, widened)

    def _run(self, texts: Sequence[Text], recorder: Recorder, widened: bool) -> Any:
        model, encoder = self.stack.model, self.stack.encoder
        ids, attention_mask = self._batch([text.ids for text in texts])
        options: dict[str, Any] = without_cache(model)
        if any(text.types for text in texts):
            options["token_type_ids"] = self._padded([text.types for text in texts], ids.shape[1], 0)
        arithmetic = float32_arithmetic if widened else nullcontext
        contexts = [text.context for text in texts if text.context is not None]
        if contexts and encoder is not None:
            read, seen = self._batch(contexts)
            with prepared(encoder), arithmetic(encoder):
                written = encoder(input_ids=read, attention_mask=seen)[0]
            options |= {"encoder_hidden_states": written, "encoder_attention_mask": seen}
        self._check_length(ids, attention_mask, options)
        own = frozenset(block.attention for block in self.anatomy.blocks)
        edits = [text.edit for text in texts] if any(text.edit for text in texts) else []
        recorded = recording(recorder, attention_mask, texts[0].mask, own, edits)
        replaced = stream_replaced(self.anatomy, recorder, edits, [len(text.ids) for text in texts])
        with prepared(model), recorded, replaced, arithmetic(model), shared_if_large(self.anatomy, ids.numel()):
            return model(input_ids=ids, attention_mask=attention_mask, **options)

    def _check_length(self, ids: Tensor, attention_mask: Tensor, options: dict[str, Any]) -> None:
        """Refuse texts that the model reads with other attention modules than those it was opened with (BigBird)."""
        if not exchanges(self.stack.model):
            return
        recorder = Unrecorded()

        def stop(module: nn.Module, args: Any) -> None:
            if is_recorded_by(recorder):
                raise Arrived

        hook = self.anatomy.blocks[0].module.register_forward_pre_hook(stop)
        try:
            with prepared(self.stack.model, as_found=True), recording(recorder, attention_mask):
                with suppress(Arrived):
                    self.stack.model(input_ids=ids, attention_mask=attention_mask, **options)
                switched = not is_as_found(self.stack.model)
        finally:
            hook.remove()
        if not switched:
            raise InputError(
                f"{type(self.stack.model).__name__} changes its attention with the length of the text, and for one of "
                f"{ids.shape[1]} tokens it has none whose heads can be read: give a shorter one."
            )

    def _batch(self, texts: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Token ids [text, position], padded on the right, and which of them are tokens."""
        lengths = [len(ids) for ids in texts]
        attention_mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
        return self._padded(texts, max(lengths), self.padding), attention_mask.to(device_of(self.stack.model))

    def _padded(self, texts: Sequence[Sequence[int]], length: int, padding: int) -> Tensor:
        """A number for each token [text, position], padded on the right."""
        rows = torch.tensor([[*text, *[padding] * (length - len(text))] for text in texts])
        return rows.to(device_of(self.stack.model))
