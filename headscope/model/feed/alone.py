"""A vocabulary token read alone: the model's own run of a text that has no other token but the tokenizer's frame.

All in float32 arithmetic, under the model's own mask, with the position ids that it gives such a text; a decoder's
encoder reads the same token. Results are on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from headscope.errors import ModelError
from headscope.model.capture.passes import Arrived, Attend, Attended
from headscope.model.capture.runner import Text
from headscope.model.opened import Opened
from headscope.model.untouched import untouched

_PASS = 512  # tokens of one pass that every module is watched in: all that they see is held until it ends
_TEXTS = ("a", "The bird", "1")  # a tokenizer frames every text alike: any that becomes tokens would do


@dataclass(frozen=True)
class Frame:
    """The ids that stand before and behind a text: [CLS] and [SEP], a start token, or none."""

    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def position(self) -> int:
        """Where the text's first token stands."""
        return len(self.before)

    def around(self, id: int) -> list[int]:
        """The text whose only token is `id`."""
        return [*self.before, id, *self.after]


class _Values:
    """A recorder that keeps v [kv_head, text, d_head] at one position of every layer, and ends the run with the last.

    The last attention is not computed: nothing asks for its output.
    """

    def __init__(self, layers: int, position: int) -> None:
        self.layers, self.position = layers, position
        self.kept: list[Tensor] = []

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor, attend: Attend) -> Attended:
        values = v[:, :, self.position].transpose(0, 1)  # (kv_head, B, d_head)
        self.kept.append(values.to("cpu", torch.float32, copy=True))
        if len(self.kept) == self.layers:
            raise Arrived
        return attend()


def frame_of(opened: Opened) -> Frame:
    """What the tokenizer puts around a text; before a decoder's, its start token. ModelError where it cannot be told.

    Read off what it makes of a text with and without its frame.
    """
    tokenizer = opened.names.tokenizer
    found = {one for one in (_framing(tokenizer, text) for text in _TEXTS) if one is not None}
    if len(found) != 1:
        raise ModelError(
            f"{type(tokenizer).__name__} puts {'no' if not found else 'not the same'} frame around different texts, so "
            "what a token is alone cannot be told; references input and layer are open."
        )
    frame = found.pop()
    start = opened.stack.start
    return frame if start is None else Frame((start, *frame.before), frame.after)


def values_alone(opened: Opened, ids: Tensor, frame: Frame) -> Tensor:
    """v of `ids` [token], each the only token of a text, in every layer: float32 [layer, kv_head, token, d_head]."""
    if _one_by_one(opened) and len(ids) > 1:
        return torch.cat([values_alone(opened, one, frame) for one in ids.split(1)], 2)
    recorder = _Values(len(opened.anatomy.blocks), frame.position)
    try:
        opened.runner.run(_texts(opened, ids, frame), recorder, widened=True)
    except Arrived:
        return torch.stack(recorder.kept)
    raise ModelError(f"{type(opened.model).__name__} ran to its end without coming to its last layer.")


def streams_alone(opened: Opened, ids: Tensor, frame: Frame) -> Tensor:
    """The residual stream of `ids` [token], each the only token of a text: float32 [2 · layer + 1, 1, token, d_model].

    Block 0's input, then the stream after each layer's attention and residual, and after the whole layer; nan for a
    token whose stream is not finite throughout.
    """
    some = 1 if _one_by_one(opened) else max(1, _PASS // len(frame.around(0)))
    return torch.cat([_streams(opened, part, frame) for part in ids.split(some)], 2)


def _one_by_one(opened: Opened) -> bool:
    """Whether a text has to be run by itself, since others beside it would change how it is rounded."""
    return opened.anatomy.arithmetic.by_batch


def _streams(opened: Opened, ids: Tensor, frame: Frame) -> Tensor:
    blocks = opened.stages(_texts(opened, ids, frame), widened=True)
    parts = [blocks[0].before, *(stage for one in blocks for stage in (one.middle, one.after))]
    found = torch.stack([part[:, frame.position] for part in parts])[:, None]  # (stage, 1, token, d_model)
    if bool(found.isfinite().all()):
        return found
    if len(ids) == 1:
        return torch.full_like(found, torch.nan)
    # Stages are told apart by their values, all texts of a pass together: one that is not finite is read by itself.
    return torch.cat([_streams(opened, half, frame) for half in ids.tensor_split(2)], 2)


def _texts(opened: Opened, ids: Tensor, frame: Frame) -> list[Text]:
    """The texts of one token each, which a decoder's encoder reads, too."""
    if opened.stack.encoder is None:
        return [Text(frame.around(id)) for id in ids.tolist()]
    own = Frame(frame.before[1:], frame.after)  # the start token is the decoder's alone
    return [Text(frame.around(id), context=own.around(id)) for id in ids.tolist()]


def _framing(tokenizer: PreTrainedTokenizerBase, text: str) -> Frame | None:
    """What stands around the tokens of one text; None where it has none, or they are not to be found again."""
    with untouched(tokenizer):
        bare = tokenizer(text, add_special_tokens=False)["input_ids"]
        framed = tokenizer(text)["input_ids"]
    for start in range(len(framed) - len(bare) + 1):
        if bare and framed[start : start + len(bare)] == bare:
            return Frame(tuple(framed[:start]), tuple(framed[start + len(bare) :]))
    return None
