"""Attention calls of models that compute their attention themselves, seen as torch runs them.

Some models (MPNet, DeBERTa-v2, GPT-Neo, GPT-J, BLOOM, Falcon; code of a user's own) do not take their attention
from transformers' AttentionInterface. Their heads are found by what attention is: a product that goes through a
softmax over its last axis, and then times the values; or one call of torch's scaled_dot_product_attention.
q and k are the two factors of that product, as they went into it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from headscope.model.capture.passes import Attended, batch_size, hand_over, is_recorded, other_mask, with_bias
from headscope.model.capture.visible import MASKED, SOFTMAXES, unhidden


@dataclass(frozen=True)
class AttentionStage:
    """How far a tensor is on the way from q and k to z; q [..., query, d_head], k [..., source, d_head].

    `scores` [..., query, source] of a pattern: what went into its softmax.
    """

    name: Literal["scores", "pattern"]
    q: Tensor
    k: Tensor
    scores: Tensor | None = None


_PRODUCTS = {torch.matmul, torch.bmm, torch.baddbmm, Tensor.matmul, Tensor.bmm, Tensor.baddbmm, Tensor.__matmul__}
_CHOICES = {torch.where, Tensor.where}
_SUMS = {torch.add, Tensor.add, Tensor.add_, Tensor.__add__, Tensor.__radd__, Tensor.__iadd__}
_FILLS = {torch.masked_fill, Tensor.masked_fill, Tensor.masked_fill_}


class Watching(TorchFunctionMode):
    """While it is on, attention that is computed in the open is handed to the recorder of the pass."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not is_recorded():
            return func(*args, **kwargs)
        if func is functional.scaled_dot_product_attention:
            return _whole_attention(*args, **kwargs)
        source = next((x for x in args if isinstance(x, Tensor) and _stage(x)), None)
        stage = _stage(source)
        if func in _PRODUCTS:
            first = _stage(args[0])
            if first and first.name == "pattern":
                return _mix(func, first, *args)
            left, right = _factors(args, kwargs)
            product = func(*args, **kwargs)
            if min(left.dim(), right.dim()) < 3:
                return product
            return _mark(product, AttentionStage("scores", left, right.transpose(-1, -2)))
        if stage is None or source is None:
            return func(*args, **kwargs)
        if func in SOFTMAXES and stage.name == "scores":
            scores = _remasked(args[0])
            return _mark(func(scores, *args[1:], **kwargs), replace(stage, name="pattern", scores=scores))
        if stage.name == "scores" and func in _CHOICES | _FILLS and _hides(args):
            # The model's own mask: under another one every score stays, and the softmax above sees to it.
            shown = args[1] if func in _CHOICES else args[0]
            return shown if _other_mask(shown) is not None else _mark(func(*args, **kwargs), stage)
        if stage.name == "scores" and func in _SUMS and _other_mask(source) is not None:
            args = tuple(one if one is source else unhidden(one) for one in args)
        result = func(*args, **kwargs)
        same = isinstance(result, Tensor) and result.shape[-1:] == source.shape[-1:] and result.is_floating_point()
        return _mark(result, stage) if same else result


def _stage(tensor: Any) -> AttentionStage | None:
    return getattr(tensor, "_headscope_stage", None)


def _mark(tensor: Tensor, stage: AttentionStage) -> Tensor:
    tensor._headscope_stage = stage  # type: ignore[attr-defined]
    return tensor


def _factors(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """The two tensors that a product multiplies; baddbmm may name them."""
    if "batch1" in kwargs:
        return kwargs["batch1"], kwargs["batch2"]
    return args[-2], args[-1]


def _hides(args: tuple[Any, ...]) -> bool:
    """Whether a where or a masked_fill puts a very small number where something must not be seen."""
    if len(args) < 3:
        return False
    fill = args[2]
    return bool(fill.numel() == 1 and fill <= MASKED) if isinstance(fill, Tensor) else fill <= MASKED


def _other_mask(scores: Tensor) -> Tensor | None:
    """The other mask that this pass was asked for, in the shape of `scores` [..., query, source]."""
    return other_mask(scores.shape[-2], scores.shape[-1], scores.dtype, scores.device)


def _remasked(scores: Tensor) -> Tensor:
    """Scores under the mask of this pass; [batch, head, query, source] or [batch * head, query, source]."""
    mask = _other_mask(scores)
    if mask is None:
        return scores
    shape = scores.shape
    return (scores.reshape(mask.shape[0], -1, *shape[-2:]) + mask).reshape(shape)


def _mix(func: Callable[..., Any], stage: AttentionStage, pattern: Tensor, values: Tensor) -> Tensor:
    """The product of a pattern and values, by way of the recorder."""
    batch = batch_size() if pattern.dim() == 3 else pattern.shape[0]

    def by_head(tensor: Tensor) -> Tensor:
        return tensor.reshape(batch, -1, *tensor.shape[-2:])  # (batch, head, position, width)

    def attend() -> Attended:
        scores = None if stage.scores is None else by_head(stage.scores)
        return Attended(by_head(func(pattern, values)).transpose(1, 2), by_head(pattern), scores)

    z = hand_over(by_head(stage.q), by_head(stage.k), by_head(values), attend).z
    return z.transpose(1, 2).reshape(*pattern.shape[:-1], values.shape[-1])


def _whole_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """torch's scaled_dot_product_attention, written out so that its pattern can be seen; [batch, head, position, …]."""

    def attend() -> Attended:
        groups = query.shape[1] // key.shape[1]
        k, v = (x.repeat_interleave(groups, dim=1) for x in (key, value))
        scores = query @ k.transpose(-1, -2) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
        own = _other_mask(scores)
        if own is not None:
            scores = scores + with_bias(own, attn_mask)
        elif is_causal:
            scores = scores.masked_fill(~torch.ones_like(scores[0, 0], dtype=torch.bool).tril(), -torch.inf)
        elif attn_mask is not None and attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, -torch.inf)
        elif attn_mask is not None:
            scores = scores + attn_mask
        pattern = scores.softmax(-1)
        return Attended((pattern @ v).transpose(1, 2), pattern, scores)

    return hand_over(query, key, value, attend).z.transpose(1, 2)
