"""What a model adds to a token's embedding for its position, read off a text of one repeated token."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from headscope.model.anatomy import Anatomy, Call, Trace, without_cache
from headscope.model.capture import prepared
from headscope.model.passes import recording

_PROBE = 6


@dataclass(frozen=True)
class Positions:
    """The modules that give each position its own vector, and how many positions there are (None: no limit).

    Empty `modules`: the model's input carries no position (RoPE, ALiBi, relative biases act in the attention).
    """

    modules: tuple[nn.Module, ...]
    limit: int | None


def find_positions(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, anatomy: Anatomy, token: int
) -> Positions:
    """Watch `token` repeated: a module whose output differs by position, and whose input does not, adds it."""
    known = known_positions(model)
    length = min(_PROBE, known or _PROBE)
    ids = torch.full((1, length), token, device=model.device)
    trace = Trace()
    everything = torch.ones_like(ids)
    with prepared(model), trace.watching(model), recording(trace, everything):
        model(input_ids=ids, attention_mask=everything, **without_cache(model))
    before_blocks = trace.calls[: trace.calls.index(_first_call(trace, anatomy))]
    found = [call for call in before_blocks if not call.children and _gives_position(call, length)]
    limits = [limit for call in found if (limit := _rows_left(call)) is not None]
    if known is not None:
        limits.append(known)
    if not limits and tokenizer.model_max_length < 10**9:
        limits.append(tokenizer.model_max_length)
    return Positions(tuple(call.module for call in found), min(limits, default=None))


def known_positions(model: PreTrainedModel) -> int | None:
    """How many positions the configuration announces; None where it says nothing (XLNet says −1)."""
    known = getattr(model.config, "max_position_embeddings", None)
    return known if known and known > 0 else None


def _first_call(trace: Trace, anatomy: Anatomy) -> Call:
    return next(call for call in trace.calls if call.module is anatomy.blocks[0].module)


def _varies(tensor: object, length: int) -> bool:
    """A float tensor [..., position, width] whose rows differ."""
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point() or tensor.dim() < 2:
        return False
    return tensor.shape[-2] == length and bool((tensor != tensor[..., :1, :]).any())


def _gives_position(call: Call, length: int) -> bool:
    if not _varies(call.output, length) or any(_varies(given, length) for given in call.inputs):
        return False
    # One row a position; a relative bias has one for each pair of positions, and acts in the attention.
    return bool(call.output.numel() == length * call.output.shape[-1])


def _rows_left(call: Call) -> int | None:
    """How many rows a learned table has from the first position's on (RoBERTa's first position is row 2)."""
    if not isinstance(call.module, nn.Embedding):
        return None
    table = call.module.weight
    first = call.output.reshape(-1, *call.output.shape[-2:])[0, 0]  # (width,)
    rows = (table == first).all(dim=-1).nonzero()
    return table.shape[0] - int(rows[0]) if len(rows) else None
